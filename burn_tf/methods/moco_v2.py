"""MoCo v2: each query finds its key among those of earlier batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from burn_tf import distribute
from burn_tf._checks import UserError, check_range
from burn_tf.layers import mlp_head
from burn_tf.losses._vectors import directions
from burn_tf.methods.base import StepTerms, feature_dim
from burn_tf.methods.momentum import MomentumMethod
from burn_tf.methods.queue import KeyQueue
from burn_tf.methods.regularizers import EmbeddingRegularizer
from burn_tf.schedules import EMADecay


@tf.keras.utils.register_keras_serializable(package="burn_tf")
class MoCoV2(MomentumMethod):
    """Momentum contrast with a two-layer projector.

        q = hat g(f(v_1)), k = hat g'(f'(v_2)), n over the queue of earlier keys
        L = mean_b -log exp(q.k / T) / (exp(q.k / T) + sum_n exp(q.n / T))

    f', g' are moving averages of f, g (decay 0.999). With `symmetric` the views change places too
    and the two losses are averaged; keys of v_2 alone enter the queue.

    Args:
        backbone: f, model from [B, H, W, 3] to [B, D].
        projector: g, model from [B, D] to [B, d], or None for a Dense - ReLU - Dense of the sizes
            below.
        hidden_dim: hidden size of the projector built here; 2048 (the paper's).
        embedding_dim: d of the projector built here; 128 (the paper's).
        temperature: T > 0; 0.2 (the paper's).
        queue_size: keys in the queue, a multiple of the global batch; 65,536 (the paper's).
        ema_decay: schedule of the decay; None is 0.999 throughout (the paper's).
        symmetric: whether both views are queries in turn; False (the paper's).
        moving_statistics: whether keys are normalised by moving averages of the batch norms'
            statistics (True, default; Cai et al., EMAN) or by their own batch's.
        target_backbone, target_projector: f' and g' restored from a saved model; None copies f, g.
        total_steps, regularizer, seed, name: as in `SSLMethod`.

    Views: exactly 2 tensors [B, H, W, 3] float32.

    Raises:
        UserError: for options out of range, another number of views, or a batch that does not
            divide the queue.

    Example:
        >>> backbone = burn_tf.backbones.ReActNetTiny((16, 16, 3), include_top=False, pooling="avg")
        >>> model = MoCoV2(backbone, hidden_dim=32, embedding_dim=16, queue_size=64)
        >>> model.compile(tf.keras.optimizers.SGD(0.1))

    Source: Chen et al., Improved Baselines with Momentum Contrastive Learning, arXiv 2003.04297;
        He et al., Momentum Contrast, CVPR 2020, eqs. 1 and 2, arXiv 1911.05722.
    Departs from source: the paper shuffles images among GPUs so that batch statistics do not give
        the key away. Here batch norms are synchronised; moving statistics have the same end (Cai et
        al., Exponential Moving Average Normalization, CVPR 2021, arXiv 2101.08482).
    """

    view_count = 2

    def __init__(
        self,
        backbone: tf.keras.Model,
        projector: tf.keras.Model | None = None,
        *,
        hidden_dim: int = 2048,
        embedding_dim: int = 128,
        temperature: float = 0.2,
        queue_size: int = 65_536,
        ema_decay: EMADecay | None = None,
        symmetric: bool = False,
        moving_statistics: bool = True,
        target_backbone: tf.keras.Model | None = None,
        target_projector: tf.keras.Model | None = None,
        total_steps: int = 1,
        regularizer: EmbeddingRegularizer | None = None,
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        constant = EMADecay(total_steps, base=0.999, end=0.999)
        super().__init__(
            backbone,
            projector or contrast_head(backbone, hidden_dim, embedding_dim),
            ema_decay=constant if ema_decay is None else ema_decay,
            bias_corrected=False,
            moving_statistics=moving_statistics,
            target_backbone=target_backbone,
            target_projector=target_projector,
            total_steps=total_steps,
            regularizer=regularizer,
            seed=seed,
            name=name,
        )
        self.temperature = check_range("temperature", temperature, low=0.0, low_open=True)
        self.symmetric = bool(symmetric)
        self.queue = KeyQueue(queue_size, feature_dim(self.projector, "projector"), seed)
        # Keras saves variables that are attributes of the model.
        self.queue_keys, self.queue_position = self.queue.keys, self.queue.position

    def check_views(self, count: int) -> None:
        if count != self.view_count:
            raise UserError(
                f"{type(self).__name__} needs `num_views`={self.view_count}. Received: {count}"
            )

    def check_batch(self, batch_size: int) -> None:
        super().check_batch(batch_size)
        self.queue.check_batch(batch_size)

    def contrast(self, queries: tf.Tensor, keys: tf.Tensor) -> tf.Tensor:
        """InfoNCE [B] of unit queries and keys [B, d] against the queue."""
        positive = tf.reduce_sum(queries * keys, axis=-1) / self.temperature
        others = self.queue.log_sum_exp(queries, self.temperature)
        return tf.reduce_logsumexp(tf.stack([positive, others]), axis=0) - positive

    def encode(self, view: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Features [B, D] and un-normalised queries [B, d] float32 of one view."""
        features = self.backbone(view, training=True)
        embedding = self.projector(features, training=True)
        return tf.cast(features, tf.float32), tf.cast(embedding, tf.float32)

    def compute_terms(self, views: Sequence[tf.Tensor], step: tf.Tensor) -> StepTerms:
        pairs = [(0, 1), (1, 0)] if self.symmetric else [(0, 1)]
        keys = [self.target_embedding(views[second]) for _, second in pairs]
        encoded = [self.encode(views[first]) for first, _ in pairs]
        losses = [
            tf.reduce_mean(self.contrast(directions(query), directions(key)))
            for (_, query), key in zip(encoded, keys, strict=True)
        ]
        further = self.further_terms(views, directions(keys[0]), step)
        return StepTerms(
            terms={"info_nce": tf.add_n(losses) / len(losses), **further},
            features=encoded[0][0],
            embeddings=tf.stack([query for _, query in encoded]),
            targets=tf.stack(keys),
            remembered=(keys[0],),
        )

    def further_terms(
        self, views: Sequence[tf.Tensor], key: tf.Tensor, step: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Terms of a subclass that contrast with the queue too; `key` [B, d] is of unit length."""
        return {}

    def remember(self, rows: Sequence[tf.Tensor]) -> None:
        """Put the global batch's keys into the queue."""
        (keys,) = rows
        self.queue.push(directions(distribute.all_gather(keys)))

    def carried_state(self) -> list[tf.Variable]:
        return [*super().carried_state(), self.queue.keys, self.queue.position]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "temperature": self.temperature,
            "queue_size": self.queue.size,
            "symmetric": self.symmetric,
            "moving_statistics": self.moving_statistics,
        }


def contrast_head(
    backbone: tf.keras.Model, hidden_dim: int, embedding_dim: int, name: str = "projector"
) -> tf.keras.Model:
    """MoCo v2's projector: Dense - ReLU - Dense without norm."""
    size = feature_dim(backbone, "backbone")
    return mlp_head(size, [hidden_dim], embedding_dim, norm="none", name=name)
