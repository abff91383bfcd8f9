"""SimSiam: each view predicts the others through one network, and a stopped gradient."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from burn_tf.layers import mlp_head
from burn_tf.losses import feature_similarity
from burn_tf.methods.base import StepTerms, check_fits
from burn_tf.methods.joint_embedding import JointEmbedding, deep_projector


@tf.keras.utils.register_keras_serializable(package="burn_tf")
class SimSiam(JointEmbedding):
    """Siamese learning without negatives and without an averaged target.

        p = h(g(f(v))), z = g(f(v));   L = -1/2 <hat p_1, hat sg(z_2)> - 1/2 <hat p_2, hat sg(z_1)>

    Args:
        backbone: f, model from [B, H, W, 3] to [B, D].
        projector: g, model from [B, D] to [B, d], or None for Dense - BatchNorm - ReLU twice, then
            Dense - BatchNorm, of the sizes below.
        predictor: h, model from [B, d] to [B, d], or None for Dense - BatchNorm - ReLU - Dense.
        hidden_dim: hidden sizes of a projector built here; 2048 (the paper's).
        embedding_dim: d of a projector built here; 2048 (the paper's).
        predictor_dim: hidden size of a predictor built here; 512 (the paper's bottleneck).
        total_steps, regularizer, seed, name: as in `SSLMethod`; the regulariser's terms act on the
            predictions, with the other branch's z as targets.

    Views: K >= 2 tensors [B, H, W, 3] float32; all ordered pairs are averaged.

    Raises:
        UserError: for sizes out of range, a predictor whose output is not of the projector's size,
            fewer than 2 views.

    Example:
        >>> backbone = burn_tf.backbones.ReActNetTiny((16, 16, 3), include_top=False, pooling="avg")
        >>> model = SimSiam(backbone, hidden_dim=32, embedding_dim=16, predictor_dim=8)
        >>> model.compile(tf.keras.optimizers.SGD(0.1))

    Source: Chen & He, Exploring Simple Siamese Representation Learning, CVPR 2021, sec. 3, eqs. 1
        to 4, arXiv 2011.10566.
    Departs from source: more than two views are averaged over their pairs.
    """

    network_names = ("projector", "predictor")

    def __init__(
        self,
        backbone: tf.keras.Model,
        projector: tf.keras.Model | None = None,
        predictor: tf.keras.Model | None = None,
        *,
        hidden_dim: int = 2048,
        embedding_dim: int = 2048,
        predictor_dim: int = 512,
        **options: Any,
    ) -> None:
        head = {**deep_projector(hidden_dim, embedding_dim), "output_norm": True}
        super().__init__(backbone, projector, head, **options)
        size = self.embedding_dim
        self.predictor = predictor or mlp_head(size, [predictor_dim], size, name="predictor")
        check_fits(self.predictor, "predictor", inputs=size, outputs=size)

    def learning_networks(self) -> dict[str, Sequence[tf.keras.layers.Layer]]:
        return {"extractor": [self.backbone], "heads": [self.projector, self.predictor]}

    def compute_terms(self, views: Sequence[tf.Tensor], step: tf.Tensor) -> StepTerms:
        output = self.embed(views)
        projections = tf.unstack(output.embeddings, num=len(views))
        predictions = tf.stack([self.predictor(z, training=True) for z in projections])
        output = dataclasses.replace(output, embeddings=tf.cast(predictions, tf.float32))
        output.terms["simsiam"] = tf.reduce_mean(_distances(output)) - 1.0
        return output


def _distances(output: StepTerms) -> tf.Tensor:
    """1 - <hat p_i, hat z_j> of all images and ordered pairs of views."""

    def rows(views: tf.Tensor) -> tf.Tensor:
        return tf.reshape(views, [-1, views.shape[-1]])

    # Rolled by 1 to K - 1 views, the targets meet every prediction but their own.
    shifts = range(1, output.targets.shape[0])
    rolled = [tf.roll(output.targets, shift, axis=0) for shift in shifts]
    predictions = rows(output.embeddings)
    return tf.stack([feature_similarity(rows(targets), predictions) for targets in rolled])
