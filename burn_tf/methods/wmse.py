"""W-MSE: views agree after the batch has been whitened, which keeps it from collapsing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from burn_tf import distribute
from burn_tf._checks import UserError, check_integer, check_range
from burn_tf.losses import wmse
from burn_tf.methods.base import StepTerms
from burn_tf.methods.joint_embedding import JointEmbedding

# Any fixed number: it only keeps these draws apart from others with the user's seed.
_SLICE_STREAM = 0x51


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
        slice_size: images that are whitened together, more than d, drawn anew in each update: the
            batch is cut into slices of so many (128 in the paper for d = 64). None, the default:
            all of the global batch.
        total_steps, regularizer, seed, name: as in `SSLMethod`; the seed is also that of the
            slices.

    Views: K >= 2 tensors [B, H, W, 3] float32, all pairs averaged; a global batch larger than d,
        and a multiple of `slice_size`.

    Raises:
        UserError: for sizes or an epsilon out of range, fewer than 2 views, a batch too small for
            its covariance to have full rank, or one that slices do not divide.

    Example:
        >>> backbone = burn_tf.backbones.ReActNetTiny((16, 16, 3), include_top=False, pooling="avg")
        >>> model = WMSE(backbone, hidden_dim=32, embedding_dim=16)
        >>> model.compile(tf.keras.optimizers.SGD(0.1))

    Source: Ermolov et al., Whitening for Self-Supervised Representation Learning, ICML 2021,
        sec. 3, arXiv 2007.06346.
    Departs from source: the batch is cut into slices once in an update (the authors' code can do so
        several times, and does it once for CIFAR and ImageNet-100).
    """

    option_names = ("epsilon", "slice_size")

    def __init__(
        self,
        backbone: tf.keras.Model,
        projector: tf.keras.Model | None = None,
        *,
        hidden_dim: int = 1024,
        embedding_dim: int = 64,
        epsilon: float = 1e-3,
        slice_size: int | None = None,
        **options: Any,
    ) -> None:
        head = {"hidden_dims": [hidden_dim], "output_dim": embedding_dim}
        super().__init__(backbone, projector, head, **options)
        self.epsilon = check_range("epsilon", epsilon, low=0.0, high=1.0, low_open=True)
        self.slice_size = slice_size
        if slice_size is not None:
            check_integer("slice_size", slice_size, low=self.embedding_dim + 1)

    @property
    def looks_across_the_batch(self) -> bool:
        return True

    def minimum_batch(self) -> int:
        return self.slice_size or self.embedding_dim + 1

    def check_batch(self, batch_size: int) -> None:
        if batch_size < self.minimum_batch():
            raise UserError(
                f"WMSE whitens {self.embedding_dim} outputs and needs a larger `batch_size`: at "
                f"least {self.minimum_batch()}, or a smaller `embedding_dim`. "
                f"Received: {batch_size}"
            )
        self._check_slices("batch_size", batch_size)

    def check_micro_batch(self, images: int) -> None:
        self._check_slices("batch_size / accumulate", images)

    def _check_slices(self, name: str, images: int) -> None:
        if self.slice_size is not None and images % self.slice_size:
            raise UserError(
                f"`{name}` must be a multiple of `slice_size`, {self.slice_size}. "
                f"Received: {images}"
            )

    def compute_terms(self, views: Sequence[tf.Tensor], step: tf.Tensor) -> StepTerms:
        output = self.embed(views)
        slices = self._slices(tf.shape(output.embeddings)[1], step)
        output.terms["wmse"] = wmse(output.embeddings, self.epsilon, slices)
        return output

    def _slices(self, rows: tf.Tensor, step: tf.Tensor) -> tf.Tensor | None:
        """Places [S, slice_size] in the global batch, drawn for this update."""
        if self.slice_size is None:
            return None
        seed = tf.random.experimental.stateless_fold_in(
            [self.seed, _SLICE_STREAM], tf.cast(step, tf.int32)
        )
        numbers = tf.random.stateless_uniform([rows * distribute.num_replicas()], seed)
        return tf.reshape(tf.argsort(numbers), [-1, self.slice_size])
