"""BYOL: MSBReg's networks on two views, each drawn to the other's target."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.losses import feature_similarity
from burn_tf.methods.base import StepTerms
from burn_tf.methods.msbreg import MSBReg


@tf.keras.utils.register_keras_serializable(package="burn_tf")
class BYOL(MSBReg):
    """Bootstrap your own latent: the special case of `MSBReg` with K = 2 and neither L_s nor L_b.

        L = 2 - 2 <hat p_1, hat z'_2> + 2 - 2 <hat p_2, hat z'_1>

    Args:
        backbone, projector, predictor, hidden_dim, embedding_dim, head_norm, ema_decay,
        total_steps,
            target_backbone, target_projector, regularizer, seed, name: as in `MSBReg`.
        singular_value_weight: lambda_s >= 0 of MSBReg's L_s as a regulariser; 0 by default.
        brownian_weight: lambda_b >= 0 of MSBReg's L_b as a regulariser; 0 by default.

    Views: exactly 2 tensors [B, H, W, 3] float32.

    Raises:
        UserError: for arguments that `MSBReg` refuses, and for any other number of views.

    Example:
        >>> backbone = burn_tf.backbones.ReActNetTiny((16, 16, 3), include_top=False, pooling="avg")
        >>> model = BYOL(backbone, hidden_dim=32, embedding_dim=16, total_steps=10)
        >>> model.compile(tf.keras.optimizers.SGD(0.1))

    Source: Grill et al., Bootstrap Your Own Latent, NeurIPS 2020, eqs. 2 and 3, arXiv 2006.07733.
    Departs from source: the moving average corrects its bias, as in MSBReg.
    """

    def __init__(
        self,
        backbone: tf.keras.Model,
        projector: tf.keras.Model | None = None,
        predictor: tf.keras.Model | None = None,
        *,
        singular_value_weight: float = 0.0,
        brownian_weight: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(
            backbone,
            projector,
            predictor,
            singular_value_weight=singular_value_weight,
            brownian_weight=brownian_weight,
            **options,
        )

    def check_views(self, count: int) -> None:
        if count != 2:
            raise UserError(f"BYOL needs `num_views`=2, one against the other. Received: {count}")

    def compute_terms(self, views: Sequence[tf.Tensor], step: tf.Tensor) -> StepTerms:
        output = self.embed(views)
        crossed = tf.reverse(output.targets, axis=[0])
        losses = [
            2.0 * tf.reduce_mean(feature_similarity(crossed[i], output.embeddings[i]))
            for i in range(2)
        ]
        output.terms["byol"] = tf.add_n(losses)
        return output
