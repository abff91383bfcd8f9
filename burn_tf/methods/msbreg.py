"""MSBReg: K views drawn to their centroid, spread by a variance target and random walks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from burn_tf._checks import check_integer, check_range
from burn_tf.layers import mlp_head
from burn_tf.losses import centroid
from burn_tf.methods.base import StepTerms, check_fits, feature_dim
from burn_tf.methods.momentum import MomentumMethod
from burn_tf.methods.regularizers import EmbeddingRegularizer, checked_regularizer
from burn_tf.schedules import EMADecay


@tf.keras.utils.register_keras_serializable(package="burn_tf")
class MSBReg(MomentumMethod):
    """Online and target networks on K views of each image.

        p_j = q(g(f(v_j))), z'_l = g'(f'(v_l))       predictions and targets, [B, d]
        L = L_c + lambda_s L_s + lambda_b L_b         eqs. 3, 4 and 6

    The target f', g' is a bias-corrected moving average of f, g; it sees every view, in training
    mode (batch norm with the batch's statistics), and receives no gradient.

    Args:
        backbone: f, model from [B, H, W, 3] to [B, D].
        projector: g, model from [B, D] to [B, d], or None for a Dense - norm - ReLU - Dense of the
            sizes below.
        predictor: q, model from [B, d] to [B, d], or None likewise.
        hidden_dim: hidden size of heads built here; 512 (the paper's for ResNet-18; 2048 for
            ResNet-50).
        embedding_dim: d of heads built here; 128 (the paper's for ResNet-18; 256 for ResNet-50).
        head_norm: "batch" (default) or "layer" (Table 13) in heads built here.
        singular_value_weight: lambda_s >= 0; 4e-3 (the paper's, ImageNet-100).
        brownian_weight: lambda_b >= 0; 0.5 (the paper's, ImageNet-100).
        ema_decay: schedule of the target's decay over updates; None is BYOL's cosine from 0.99 to
            1.
        total_steps: updates of the whole training, for the default decay schedule; >= 1.
        global_views: how many views, from the first on, the target sees; None (default): all. With
            multi-crop only the large ones.
        target_backbone, target_projector: f' and g' restored from a saved model; None copies f and
            g.
        regularizer: weights that are added to the two above, and those of further terms, or None.
        seed: of the Brownian noise.
        name: of the model.

    Views: K >= 2 tensors [B, H, W, 3] float32.

    Raises:
        UserError: for sizes or weights out of range, and when fewer than two views arrive.

    Example:
        >>> backbone = burn_tf.backbones.ReActNetTiny((16, 16, 3), include_top=False, pooling="avg")
        >>> model = MSBReg(backbone, hidden_dim=32, embedding_dim=16, total_steps=10)
        >>> model.compile(tf.keras.optimizers.SGD(0.1))

    Source: Moon et al., An Embedding-Dynamic Approach to Self-supervised Learning, arXiv
        2207.03552, eqs. 3 to 6.
    Departs from source: none.
    """

    minimum_views = 2

    def __init__(
        self,
        backbone: tf.keras.Model,
        projector: tf.keras.Model | None = None,
        predictor: tf.keras.Model | None = None,
        *,
        hidden_dim: int = 512,
        embedding_dim: int = 128,
        head_norm: str = "batch",
        singular_value_weight: float = 4e-3,
        brownian_weight: float = 0.5,
        ema_decay: EMADecay | None = None,
        total_steps: int = 1,
        global_views: int | None = None,
        target_backbone: tf.keras.Model | None = None,
        target_projector: tf.keras.Model | None = None,
        regularizer: EmbeddingRegularizer | None = None,
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        added = checked_regularizer(regularizer)
        own = {
            "singular_value": check_range("singular_value_weight", singular_value_weight, low=0.0),
            "brownian": check_range("brownian_weight", brownian_weight, low=0.0),
        }
        head: dict[str, Any] = {"hidden_dims": [hidden_dim], "norm": head_norm}
        features = feature_dim(backbone, "backbone")
        projector = projector or mlp_head(
            features, output_dim=embedding_dim, name="projector", **head
        )
        size = check_fits(projector, "projector", inputs=features)
        predictor = predictor or mlp_head(size, output_dim=size, name="predictor", **head)
        check_fits(predictor, "predictor", inputs=size, outputs=size)
        super().__init__(
            backbone,
            projector,
            ema_decay=ema_decay,
            global_views=global_views,
            target_backbone=target_backbone,
            target_projector=target_projector,
            total_steps=total_steps,
            regularizer=added.plus(**own),
            seed=seed,
            name=name,
        )
        self.predictor = predictor
        # Saved apart, since terms are weighed with the sums.
        self.singular_value_weight = own["singular_value"]
        self.brownian_weight = own["brownian"]
        self.added_regularizer = added

    def learning_networks(self) -> dict[str, Sequence[tf.keras.layers.Layer]]:
        return {"extractor": [self.backbone], "heads": [self.projector, self.predictor]}

    def check_views(self, count: int) -> None:
        check_integer("num_views", count, low=max(self.minimum_views, self.global_views or 0))

    def embed(self, views: Sequence[tf.Tensor]) -> StepTerms:
        """Predictions [K, B, d] of all views, targets [G, B, d], with no terms yet."""
        targets = self.target_embeddings(views)
        features = [self.backbone(view, training=True) for view in views]
        projections = [self.projector(feature, training=True) for feature in features]
        predictions = [self.predictor(projection, training=True) for projection in projections]
        return StepTerms(
            terms={},
            features=tf.cast(features[0], tf.float32),
            embeddings=tf.cast(tf.stack(predictions), tf.float32),
            targets=targets,
        )

    def compute_terms(self, views: Sequence[tf.Tensor], step: tf.Tensor) -> StepTerms:
        output = self.embed(views)
        loss = tf.reduce_mean(centroid(output.targets, output.embeddings))
        output.terms["centroid"] = loss
        return output

    def get_config(self) -> dict[str, Any]:
        predictor = tf.keras.saving.serialize_keras_object(self.predictor)
        return {
            **super().get_config(),
            "singular_value_weight": self.singular_value_weight,
            "brownian_weight": self.brownian_weight,
            "regularizer": self.added_regularizer.get_config(),
            "predictor": predictor,
            "global_views": self.global_views,
        }
