"""What methods with a target network share: its copies, its average, its place in the config."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from burn_tf._checks import check_integer
from burn_tf.methods.base import SSLMethod, check_fits
from burn_tf.methods.ema import BiasCorrectedEMA, MovingAverage
from burn_tf.methods.given_schedule import schedule_or
from burn_tf.methods.regularizers import EmbeddingRegularizer
from burn_tf.schedules import EMADecay


class MomentumMethod(SSLMethod):
    """Base of methods whose targets come from an averaged copy of the backbone and projector.

    Args:
        backbone: f, model from [B, H, W, 3] to [B, D].
        projector: g, model from [B, D] to [B, d].
        ema_decay: schedule of the target's decay over updates; None: BYOL's cosine from 0.99 to 1.
        bias_corrected: whether the average starts from nothing (MSBReg) or from a copy (MoCo).
        moving_statistics: whether the target's batch norms use the averaged statistics of the
            online network, or (False) those of the batch.
        global_views: how many views, from the first on, the target sees; None: all.
        target_backbone, target_projector: restored from a saved model; None copies f and g.
        total_steps, regularizer, seed, name: as in `SSLMethod`.

    Raises:
        UserError: for sizes or counts out of range.

    Example:
        >>> backbone = burn_tf.backbones.ReActNetTiny((16, 16, 3), include_top=False, pooling="avg")
        >>> head = burn_tf.layers.mlp_head(backbone.output_shape[-1], [32], 16)
        >>> MomentumMethod(backbone, head, total_steps=10).target_projector.output_shape
        (None, 16)

    Source: Grill et al., NeurIPS 2020, sec. 3, arXiv 2006.07733; He et al., CVPR 2020, sec. 3.2.
    Departs from source: none.
    """

    def __init__(
        self,
        backbone: tf.keras.Model,
        projector: tf.keras.Model,
        *,
        ema_decay: EMADecay | None = None,
        bias_corrected: bool = True,
        moving_statistics: bool = False,
        global_views: int | None = None,
        target_backbone: tf.keras.Model | None = None,
        target_projector: tf.keras.Model | None = None,
        total_steps: int = 1,
        regularizer: EmbeddingRegularizer | None = None,
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        super().__init__(
            backbone, total_steps=total_steps, regularizer=regularizer, seed=seed, name=name
        )
        self.projector = projector
        check_fits(projector, "projector", inputs=self.feature_dim)
        self.ema_decay = schedule_or(EMADecay(self.total_steps), "ema_decay", ema_decay)
        self.moving_statistics = moving_statistics
        self.global_views = global_views
        if global_views is not None:
            check_integer("global_views", global_views, low=1)
        self.target_backbone = target_backbone or copy_network(self.backbone)
        self.target_projector = target_projector or copy_network(self.projector)
        self.decay_product = tf.Variable(1.0, trainable=False, name="ema_decay_product")
        corrected = BiasCorrectedEMA(self.decay_product)
        self._average = corrected if bias_corrected else MovingAverage()

    def learning_networks(self) -> dict[str, Sequence[tf.keras.layers.Layer]]:
        return {"extractor": [self.backbone], "heads": [self.projector]}

    def target_views(self, views: Sequence[tf.Tensor]) -> Sequence[tf.Tensor]:
        """The views that the target sees."""
        return views[: self.global_views]

    def target_embedding(self, view: tf.Tensor) -> tf.Tensor:
        """g'(f'(view)): [B, d] float32 without gradient."""
        training = not self.moving_statistics
        features = self.target_backbone(view, training=training)
        embedding = self.target_projector(features, training=training)
        return tf.stop_gradient(tf.cast(embedding, tf.float32))

    def target_embeddings(self, views: Sequence[tf.Tensor]) -> tf.Tensor:
        """[G, B, d] of the views that the target sees, one after the other.

        Each waits for the one before: all at once, their activations would be held together.
        """
        made: list[tf.Tensor] = []
        for view in self.target_views(views):
            with tf.control_dependencies(made[-1:]):
                made.append(self.target_embedding(tf.identity(view)))
        return tf.stack(made)

    def after_update(self, step: tf.Tensor) -> None:
        kind = "weights" if self.moving_statistics else "trainable_weights"
        pairs = (
            (self.target_backbone, self.backbone),
            (self.target_projector, self.projector),
        )
        targets = [weight for target, _ in pairs for weight in getattr(target, kind)]
        online = [weight for _, network in pairs for weight in getattr(network, kind)]
        self._average.update(targets, online, self.ema_decay(step))

    def carried_state(self) -> list[tf.Variable]:
        return [*super().carried_state(), self.decay_product]

    def schedule_values(self, step: tf.Tensor) -> dict[str, tf.Tensor]:
        return {
            **super().schedule_values(step),
            "ema_decay": tf.cast(self.ema_decay(step), tf.float32),
        }

    def get_config(self) -> dict[str, Any]:
        parts = ("projector", "target_backbone", "target_projector", "ema_decay")
        saved = {
            name: tf.keras.saving.serialize_keras_object(getattr(self, name)) for name in parts
        }
        return {**super().get_config(), **saved}


def copy_network(network: tf.keras.Model) -> tf.keras.Model:
    """A second network of the same layers and weights."""
    clone = tf.keras.models.clone_model(network)
    clone.set_weights(network.get_weights())
    return clone
