"""Barlow Twins: the cross-correlation of two views' embeddings becomes the identity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from burn_tf._checks import check_range
from burn_tf.losses import barlow_twins
from burn_tf.methods.base import StepTerms
from burn_tf.methods.joint_embedding import JointEmbedding, deep_projector


@tf.keras.utils.register_keras_serializable(package="burn_tf")
class BarlowTwins(JointEmbedding):
    """Redundancy reduction: each output agrees between views and repeats no other output.

        L = sum_i (1 - C_ii)^2 + lambda sum_{i != j} C_ij^2

    C is the cross-correlation [d, d] of two views' embeddings over the global batch
    (`burn_tf.losses.barlow_twins`).

    Args:
        backbone: f, model from [B, H, W, 3] to [B, D].
        projector: g, model from [B, D] to [B, d], or None for Dense - BatchNorm - ReLU twice, then
            Dense, of the sizes below.
        hidden_dim: hidden sizes of a projector built here; 8192 (the paper's).
        embedding_dim: d of a projector built here; 8192 (the paper's).
        redundancy_weight: lambda >= 0; 5e-3 (the paper's).
        total_steps, regularizer, seed, name: as in `SSLMethod`.

    Views: K >= 2 tensors [B, H, W, 3] float32, all pairs averaged; a global batch of 2 or more.

    Raises:
        UserError: for sizes or a weight out of range, fewer than 2 views, a batch of 1.

    Example:
        >>> backbone = burn_tf.backbones.ReActNetTiny((16, 16, 3), include_top=False, pooling="avg")
        >>> model = BarlowTwins(backbone, hidden_dim=32, embedding_dim=16)
        >>> model.compile(tf.keras.optimizers.SGD(0.1))

    Source: Zbontar et al., Barlow Twins: Self-Supervised Learning via Redundancy Reduction, ICML
        2021, sec. 2, eqs. 1 and 2, arXiv 2103.03230.
    Departs from source: more than two views are averaged over their pairs.
    """

    option_names = ("redundancy_weight",)

    def __init__(
        self,
        backbone: tf.keras.Model,
        projector: tf.keras.Model | None = None,
        *,
        hidden_dim: int = 8192,
        embedding_dim: int = 8192,
        redundancy_weight: float = 5e-3,
        **options: Any,
    ) -> None:
        head = deep_projector(hidden_dim, embedding_dim)
        super().__init__(backbone, projector, head, **options)
        self.redundancy_weight = check_range("redundancy_weight", redundancy_weight, low=0.0)

    @property
    def looks_across_the_batch(self) -> bool:
        return True

    def compute_terms(self, views: Sequence[tf.Tensor], step: tf.Tensor) -> StepTerms:
        output = self.embed(views)
        output.terms["barlow_twins"] = barlow_twins(output.embeddings, self.redundancy_weight)
        return output
