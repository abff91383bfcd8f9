"""SimCLR v2: an image's views against all other images of the batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from burn_tf._checks import check_range
from burn_tf.losses import nt_xent
from burn_tf.methods.base import StepTerms
from burn_tf.methods.joint_embedding import JointEmbedding, deep_projector


@tf.keras.utils.register_keras_serializable(package="burn_tf")
class SimCLRV2(JointEmbedding):
    """Contrastive learning within the batch, through a projector of three layers.

        L = mean over positive pairs (i, j) of
            -log e^{<hat z_i, hat z_j> / T} / sum over negatives and j of e^{<hat z_i, hat z_k> / T}

    Positives are the views of one image; negatives all views of all other images of the global
    batch (`burn_tf.losses.nt_xent`).

    Args:
        backbone: f, model from [B, H, W, 3] to [B, D].
        projector: g, model from [B, D] to [B, d], or None for Dense - BatchNorm - ReLU twice, then
            Dense - BatchNorm, of the sizes below.
        hidden_dim: hidden sizes of a projector built here; 2048 (the paper's for ResNet-50).
        embedding_dim: d of a projector built here; 128 (the authors' code's).
        temperature: T > 0; 0.1 (the paper's).
        total_steps, regularizer, seed, name: as in `SSLMethod`.

    Views: K >= 2 tensors [B, H, W, 3] float32, all pairs averaged; a global batch of 2 or more.

    Raises:
        UserError: for sizes or a temperature out of range, fewer than 2 views, a batch of 1.

    Example:
        >>> backbone = burn_tf.backbones.ReActNetTiny((16, 16, 3), include_top=False, pooling="avg")
        >>> model = SimCLRV2(backbone, hidden_dim=32, embedding_dim=16)
        >>> model.compile(tf.keras.optimizers.SGD(0.1))

    Source: Chen et al., Big Self-Supervised Models are Strong Semi-Supervised Learners, NeurIPS
        2020, sec. 2 and eq. 1, arXiv 2006.10029.
    Departs from source: no memory of momentum features; no distillation after fine-tuning; batch
        norm sees one view at a time.
    """

    option_names = ("temperature",)

    def __init__(
        self,
        backbone: tf.keras.Model,
        projector: tf.keras.Model | None = None,
        *,
        hidden_dim: int = 2048,
        embedding_dim: int = 128,
        temperature: float = 0.1,
        **options: Any,
    ) -> None:
        head = {**deep_projector(hidden_dim, embedding_dim), "output_norm": True}
        super().__init__(backbone, projector, head, **options)
        self.temperature = check_range("temperature", temperature, low=0.0, low_open=True)

    @property
    def looks_across_the_batch(self) -> bool:
        return True

    def compute_terms(self, views: Sequence[tf.Tensor], step: tf.Tensor) -> StepTerms:
        output = self.embed(views)
        output.terms["nt_xent"] = tf.reduce_mean(nt_xent(output.embeddings, self.temperature))
        return output
