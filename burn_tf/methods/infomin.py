"""InfoMin: MoCo v2 on stronger views, with a jigsaw branch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from burn_tf._checks import UserError, check_range
from burn_tf.losses._vectors import directions
from burn_tf.methods import micro_batches
from burn_tf.methods.base import check_fits, feature_dim
from burn_tf.methods.jigsaw import PIECES, jigsaw_pieces
from burn_tf.methods.moco_v2 import MoCoV2

# Any fixed number: it only keeps these draws apart from others with the user's seed.
_JIGSAW_STREAM = 0x15


@tf.keras.utils.register_keras_serializable(package="burn_tf")
class InfoMin(MoCoV2):
    """Contrast between two views, and between a puzzle of a third view and the second.

        q = hat g(f(v_1)), k = hat g'(f'(v_2)), r = hat m(f(piece_1 of v_3) .. f(piece_9 of v_3))
        L = (1 - beta) InfoNCE(q, k) + beta InfoNCE(r, k)

    m maps each piece's features to d numbers and the nine of them, in random order, to [B, d].

    Args:
        backbone, projector: as in `MoCoV2`; the backbone must take the pieces' size too, hence be
            built for any size, `input_shape=(None, None, 3)`.
        jigsaw_head: m, model from [B, 9 D] to [B, d]; None: Dense - ReLU - Dense(d) for each piece,
            shared, then Dense(d) on all nine (the authors').
        jigsaw_weight: beta, in [0, 1]; 0.5 (the authors').
        hidden_dim: hidden size of heads built here; 2048 (the paper's).
        temperature: T > 0; 0.15 (the authors').
        options: as in `MoCoV2`.

    Views: exactly 3 tensors [B, H, W, 3] float32; the third is cut into pieces.

    Raises:
        UserError: for options out of range, or another number of views.

    Example:
        >>> size = (None, None, 3)
        >>> backbone = burn_tf.backbones.ReActNetTiny(size, include_top=False, pooling="avg")
        >>> model = InfoMin(backbone, hidden_dim=32, embedding_dim=16, queue_size=64)
        >>> model.compile(tf.keras.optimizers.SGD(0.1))

    Source: Tian et al., What Makes for Good Views for Contrastive Learning?, NeurIPS 2020, sec. 4,
        arXiv 2005.10243; the branch: Misra & van der Maaten, PIRL, CVPR 2020, arXiv 1912.01991.
    Departs from source: as `MoCoV2`.
    """

    view_count = 3

    def __init__(
        self,
        backbone: tf.keras.Model,
        projector: tf.keras.Model | None = None,
        jigsaw_head: tf.keras.Model | None = None,
        *,
        hidden_dim: int = 2048,
        temperature: float = 0.15,
        jigsaw_weight: float = 0.5,
        **options: Any,
    ) -> None:
        super().__init__(
            backbone, projector, hidden_dim=hidden_dim, temperature=temperature, **options
        )
        self.jigsaw_weight = check_range("jigsaw_weight", jigsaw_weight, low=0.0, high=1.0)
        _check_any_size(backbone)
        embedding_dim = feature_dim(self.projector, "projector")
        self.jigsaw_head = jigsaw_head or _jigsaw_head(self.feature_dim, hidden_dim, embedding_dim)
        check_fits(
            self.jigsaw_head,
            "jigsaw_head",
            inputs=PIECES * self.feature_dim,
            outputs=embedding_dim,
        )

    def learning_networks(self) -> dict[str, Sequence[tf.keras.layers.Layer]]:
        return {"extractor": [self.backbone], "heads": [self.projector, self.jigsaw_head]}

    def term_weights(self, step: tf.Tensor) -> dict[str, tf.Tensor | float]:
        return {"info_nce": 1.0 - self.jigsaw_weight, "jigsaw": self.jigsaw_weight}

    def further_terms(
        self, views: Sequence[tf.Tensor], key: tf.Tensor, step: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        puzzle = directions(self._puzzle(views[2], step))
        return {"jigsaw": tf.reduce_mean(self.contrast(puzzle, key))}

    def _puzzle(self, view: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        batch = tf.shape(view)[0]
        shape = [micro_batches.whole_batch(batch), 3, PIECES]
        seed = tf.random.experimental.stateless_fold_in(
            [self.seed, _JIGSAW_STREAM], tf.cast(step, tf.int32)
        )
        numbers = micro_batches.own_rows(tf.random.stateless_uniform(shape, seed))
        pieces = jigsaw_pieces(view, numbers)
        flat = tf.reshape(pieces, [PIECES * batch, *pieces.shape[2:]])
        features = tf.reshape(self.backbone(flat, training=True), [PIECES, -1, self.feature_dim])
        joined = tf.reshape(tf.transpose(features, [1, 0, 2]), [-1, PIECES * self.feature_dim])
        return tf.cast(self.jigsaw_head(joined, training=True), tf.float32)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "jigsaw_head": tf.keras.saving.serialize_keras_object(self.jigsaw_head),
            "jigsaw_weight": self.jigsaw_weight,
        }


def _check_any_size(backbone: tf.keras.Model) -> None:
    shape = backbone.input_shape
    if shape[1:3] != (None, None):
        raise UserError(
            "`backbone` must be built for images of any size, (None, None, 3): InfoMin shows it "
            f"pieces of them too. Received: input shape {shape}"
        )


def _jigsaw_head(feature_dim: int, hidden_dim: int, embedding_dim: int) -> tf.keras.Model:
    inputs = tf.keras.Input([PIECES * feature_dim], name="pieces")
    pieces = tf.keras.layers.Reshape([PIECES, feature_dim], name="split")(inputs)
    pieces = tf.keras.layers.Dense(hidden_dim, activation="relu", name="piece_hidden")(pieces)
    pieces = tf.keras.layers.Dense(embedding_dim, name="piece")(pieces)
    joined = tf.keras.layers.Flatten(name="join")(pieces)
    outputs = tf.keras.layers.Dense(embedding_dim, name="puzzle")(joined)
    return tf.keras.Model(inputs, outputs, name="jigsaw_head")
