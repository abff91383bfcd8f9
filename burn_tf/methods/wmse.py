"""W-MSE: views agree after the batch has been whitened, which keeps it from collapsing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from burn_tf._checks import UserError, check_range
from burn_tf.losses import wmse
from burn_tf.methods.base import StepTerms
from burn_tf.methods.joint_embedding import JointEmbedding


@tf.keras.utils.register_keras_serializable(package="burn_tf")
class WMSE(JointEmbedding):
    """Mean squared error between whitened, normalised embeddings of an image's views.

        L = mean over pairs of views of 2 - 2 <hat w_i, hat w_j>,   w = W (z - mean)

    W whitens one view's embeddings of the global batch (`burn_tf.losses.wmse`).

    Args:
        backbone: f, model from [B, H, W, 3] to [B, D].
        projector: g, model from [B, D] to [B, d], or None for Dense - BatchNorm - ReLU - Dense of
            the sizes below.
        hidden_dim: hidden size of a projector built here; 1024 (the paper's).
        embedding_dim: d of a projector built here; 64 (the paper's for CIFAR).
        epsilon: share of the identity in the covariance that is whitened, in (0, 1]; 1e-3 (ours).
        total_steps, regularizer, seed, name: as in `SSLMethod`.

    Views: K >= 2 tensors [B, H, W, 3] float32, all pairs averaged; a global batch larger than d.

    Raises:
        UserError: for sizes or an epsilon out of range, fewer than 2 views, a batch too small for
            its covariance to have full rank.

    Example:
        >>> backbone = burn_tf.backbones.ReActNetTiny((16, 16, 3), include_top=False, pooling="avg")
        >>> model = WMSE(backbone, hidden_dim=32, embedding_dim=16)
        >>> model.compile(tf.keras.optimizers.SGD(0.1))

    Source: Ermolov et al., Whitening for Self-Supervised Representation Learning, ICML 2021,
        sec. 3, arXiv 2007.06346.
    Departs from source: the whole batch is whitened at once, not sub-batches of 2 d (the paper's
        batch slicing).
    """

    option_names = ("epsilon",)

    def __init__(
        self,
        backbone: tf.keras.Model,
        projector: tf.keras.Model | None = None,
        *,
        hidden_dim: int = 1024,
        embedding_dim: int = 64,
        epsilon: float = 1e-3,
        **options: Any,
    ) -> None:
        head = {"hidden_dims": [hidden_dim], "output_dim": embedding_dim}
        super().__init__(backbone, projector, head, **options)
        self.epsilon = check_range("epsilon", epsilon, low=0.0, high=1.0, low_open=True)

    @property
    def looks_across_the_batch(self) -> bool:
        return True

    def minimum_batch(self) -> int:
        return self.embedding_dim + 1

    def check_batch(self, batch_size: int) -> None:
        if batch_size < self.minimum_batch():
            raise UserError(
                f"WMSE whitens {self.embedding_dim} outputs and needs a larger `batch_size`: at "
                f"least {self.minimum_batch()}, or a smaller `embedding_dim`. "
                f"Received: {batch_size}"
            )

    def compute_terms(self, views: Sequence[tf.Tensor], step: tf.Tensor) -> StepTerms:
        output = self.embed(views)
        output.terms["wmse"] = wmse(output.embeddings, self.epsilon)
        return output
