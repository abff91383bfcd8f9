"""What methods with one network and a projector share: every view's embedding, no target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from burn_tf._checks import check_integer
from burn_tf.layers import mlp_head
from burn_tf.methods.base import SSLMethod, StepTerms, check_fits


class JointEmbedding(SSLMethod):
    """Base of methods that compare the embeddings z_k = g(f(v_k)) of K views.

    A subclass names what it was built with: `network_names` and `option_names` are the attributes
    that make up its config.

    Args:
        backbone: f, model from [B, H, W, 3] to [B, D].
        projector: g, model from [B, D] to [B, d], or None to build it.
        head: arguments of `mlp_head` for a projector built here.
        total_steps, regularizer, seed, name: as in `SSLMethod`.

    Raises:
        UserError: for sizes out of range, a projector that gives no vectors, fewer than 2 views.
    """

    network_names: tuple[str, ...] = ("projector",)
    option_names: tuple[str, ...] = ()

    def __init__(
        self,
        backbone: tf.keras.Model,
        projector: tf.keras.Model | None,
        head: Mapping[str, Any],
        **options: Any,
    ) -> None:
        super().__init__(backbone, **options)
        self.projector = projector or mlp_head(self.feature_dim, name="projector", **head)
        self.embedding_dim = check_fits(self.projector, "projector", inputs=self.feature_dim)

    def learning_networks(self) -> dict[str, Sequence[tf.keras.layers.Layer]]:
        return {"extractor": [self.backbone], "heads": [self.projector]}

    def check_views(self, count: int) -> None:
        check_integer("num_views", count, low=2)

    def embed(self, views: Sequence[tf.Tensor]) -> StepTerms:
        """Embeddings [K, B, d] of all views, as targets without gradient too; no terms yet."""
        features = [self.backbone(view, training=True) for view in views]
        projections = [self.projector(feature, training=True) for feature in features]
        embeddings = tf.cast(tf.stack(projections), tf.float32)
        return StepTerms(
            terms={},
            features=tf.cast(features[0], tf.float32),
            embeddings=embeddings,
            targets=tf.stop_gradient(embeddings),
        )

    def get_config(self) -> dict[str, Any]:
        networks = {
            name: tf.keras.saving.serialize_keras_object(getattr(self, name))
            for name in self.network_names
        }
        settings = {name: getattr(self, name) for name in self.option_names}
        return {**super().get_config(), **networks, **settings}


def deep_projector(hidden_dim: int, embedding_dim: int) -> dict[str, Any]:
    """Arguments of `mlp_head` for three Dense layers, the first two with batch norm and ReLU."""
    return {"hidden_dims": [hidden_dim, hidden_dim], "output_dim": embedding_dim}
