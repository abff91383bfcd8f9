"""BYOL: MSBReg's networks, every view drawn to the targets of the other views."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from burn_tf.losses import feature_similarity
from burn_tf.methods.base import StepTerms
from burn_tf.methods.msbreg import MSBReg


@tf.keras.utils.register_keras_serializable(package="burn_tf")
class BYOL(MSBReg):
    """Bootstrap your own latent: `MSBReg`'s networks with neither L_s nor L_b.

        L = sum_l 1/(K-1) sum_(j != l) (2 - 2 <hat p_j, hat z'_l>),   l over the G global views

    With two views that is 2 - 2 <hat p_1, hat z'_2> + 2 - 2 <hat p_2, hat z'_1>. With multi-crop
    (`global_views=2` and more views, which may be smaller) the small ones learn and do not teach.

    Args:
        backbone, projector, predictor, hidden_dim, embedding_dim, head_norm, ema_decay,
            total_steps, global_views, target_backbone, target_projector, regularizer, seed, name:
            as in `MSBReg`.
        singular_value_weight: lambda_s >= 0 of MSBReg's L_s as a regulariser; 0 by default.
        brownian_weight: lambda_b >= 0 of MSBReg's L_b as a regulariser; 0 by default.

    Views: K >= 2 tensors [B, H, W, 3] float32.

    Raises:
        UserError: for arguments that `MSBReg` refuses, and for fewer than two views.

    Example:
        >>> backbone = burn_tf.backbones.ReActNetTiny((16, 16, 3), include_top=False, pooling="avg")
        >>> model = BYOL(backbone, hidden_dim=32, embedding_dim=16, total_steps=10)
        >>> model.compile(tf.keras.optimizers.SGD(0.1))

    Source: Grill et al., Bootstrap Your Own Latent, NeurIPS 2020, eqs. 2 and 3, arXiv 2006.07733;
        multi-crop: Caron et al., SwAV, NeurIPS 2020, sec. 3.2, arXiv 2006.09882.
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

    def compute_terms(self, views: Sequence[tf.Tensor], step: tf.Tensor) -> StepTerms:
        output = self.embed(views)
        count, targets = len(views), tf.unstack(output.targets)
        losses = [
            2.0 * tf.reduce_mean(feature_similarity(targets[i], output.embeddings[j])) / (count - 1)
            for i in range(len(targets))
            for j in range(count)
            if j != i
        ]
        output.terms["byol"] = tf.add_n(losses)
        return output
