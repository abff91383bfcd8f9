"""Proof that a file computes what the model computes, in LCE's own interpreter."""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf

from burn_tf._checks import UserError, check_integer
from burn_tf.export.binary_layers import BINARY_CONVOLUTION, match_layers
from burn_tf.export.flatbuffer import TFLiteGraph, read_flatbuffer
from burn_tf.export.preparation import check_exportable, float32_model


@dataclasses.dataclass(frozen=True)
class ParityReport:
    """How far the outputs of file and model agree on the same images.

    Args:
        num_images: How many images were compared.
        top1_agreement: Share of images, 0 to 1, whose greatest output is the same one.
        max_abs_difference: Greatest difference of any output value.
        mean_cosine: Mean over images of the cosine between the two output vectors.
        median_cosine: The middle image's cosine. A value at a sign's threshold that float rounding
            flips moves single images, so the worst and the mean; a wrong operator moves the median.
        min_cosine: The worst image's cosine.
        num_binary_operators: Binary convolutions in the file, counted before anything was compared.
        notes: What the model was changed into before the comparison, in words.
    """

    num_images: int
    top1_agreement: float
    max_abs_difference: float
    mean_cosine: float
    median_cosine: float
    min_cosine: float
    num_binary_operators: int
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, int | float | list[str]]:
        """The report as JSON types."""
        return dataclasses.asdict(self) | {"notes": list(self.notes)}


def _check_operators(graph: TFLiteGraph, model: tf.keras.Model, strict: bool) -> int:
    """Number of binary convolutions in the file, all of them the model's.

    A file in which every layer is float would agree with the model best of all.
    """
    found = graph.counts().get(BINARY_CONVOLUTION, 0)
    layers = match_layers(model, graph)
    missing = [layer.name for layer in layers if not layer.became_binary]
    if found == 0 or (strict and missing):
        example = f": {missing[0]!r} is not among them" if missing else ""
        raise UserError(
            f"the file must have the model's {len(layers)} binary layers as binary operators. "
            f"Received: {found}{example}"
        )
    return found


def _checked_images(images: np.ndarray, graph: TFLiteGraph) -> np.ndarray:
    images = np.asarray(images, np.float32)
    wanted = graph.inputs[0].shape[1:]
    if images.ndim != 4 or len(images) == 0 or images.shape[1:] != wanted:
        raise UserError(
            f"`images` must be at least one preprocessed image [N, {', '.join(map(str, wanted))}]. "
            f"Received: shape {images.shape}"
        )
    return images


def _keras_outputs(model: tf.keras.Model, images: np.ndarray, batch_size: int) -> np.ndarray:
    forward = tf.function(lambda batch: model(batch, training=False), reduce_retracing=True)
    parts = (images[start : start + batch_size] for start in range(0, len(images), batch_size))
    return np.concatenate([np.asarray(forward(tf.constant(part)), np.float32) for part in parts])


def _lce_outputs(flatbuffer: bytes, images: np.ndarray, num_threads: int) -> np.ndarray:
    from larq_compute_engine.tflite.python.interpreter import Interpreter

    outputs = Interpreter(flatbuffer, num_threads=num_threads).predict(images)
    if not isinstance(outputs, np.ndarray):
        raise UserError(f"the file must have one output. Received: {len(outputs)}")
    return outputs


def _cosines(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    both_zero = ~left.any(axis=1) & ~right.any(axis=1)
    cosines = np.sum(left * right, axis=1) / np.where(norms > 0, norms, 1.0)
    return np.where(both_zero, 1.0, cosines)


def verify_lce(
    flatbuffer: bytes,
    model: tf.keras.Model,
    images: np.ndarray,
    *,
    strict: bool = True,
    batch_size: int = 64,
    num_threads: int = 1,
) -> ParityReport:
    """Run a file in LCE's interpreter and the model in Keras on the same images.

    The binary operators are counted and matched to the model's layers first, so that a file which
    stayed float cannot pass.

    Args:
        flatbuffer: Bytes of the file, as `to_lce` gives them.
        model: The Keras model it came from.
        images: Preprocessed images [N, H, W, C], N at least 1, the same bytes for both.
        strict: Require every binary layer of the model in the file; default True (ours).
        batch_size: Images per Keras forward pass; LCE takes one at a time.
        num_threads: Threads of the interpreter.

    Returns:
        Agreement of the outputs, flattened to [N, D]; the greatest output is taken as the answer.

    Raises:
        UserError: the file lacks a binary layer of the model, or `images` do not fit it.

    Example:
        >>> import numpy as np
        >>> from burn_tf import backbones, export
        >>> model = backbones.ReActNetTiny(input_shape=(16, 16, 3), classes=10)
        >>> images = np.random.default_rng(0).normal(size=(2, 16, 16, 3))
        >>> export.verify_lce(export.to_lce(model).flatbuffer, model, images).num_images
        2

    Source: ours.
    Departs from source: none.
    """
    check_integer("batch_size", batch_size, low=1)
    check_exportable(model)
    compared, notes = float32_model(model)
    graph = read_flatbuffer(flatbuffer)
    count = _check_operators(graph, compared, strict)
    images = _checked_images(images, graph)
    ours = _keras_outputs(compared, images, batch_size).reshape(len(images), -1).astype(np.float64)
    theirs = (
        _lce_outputs(flatbuffer, images, num_threads).reshape(len(images), -1).astype(np.float64)
    )
    cosines = _cosines(ours, theirs)
    return ParityReport(
        num_images=len(images),
        top1_agreement=float(np.mean(ours.argmax(axis=1) == theirs.argmax(axis=1))),
        max_abs_difference=float(np.abs(ours - theirs).max()),
        mean_cosine=float(cosines.mean()),
        median_cosine=float(np.median(cosines)),
        min_cosine=float(cosines.min()),
        num_binary_operators=count,
        notes=notes,
    )
