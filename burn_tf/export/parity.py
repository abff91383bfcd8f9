"""Proof that a file computes what the model computes, in the runtime that the file needs."""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf

from burn_tf._checks import UserError, check_integer
from burn_tf.data.preprocessing import preprocess_input
from burn_tf.export.binary_layers import match_layers
from burn_tf.export.flatbuffer import read_flatbuffer
from burn_tf.export.metadata import SCORES
from burn_tf.export.preparation import Exportable, check_exportable, float32_model, keras_model
from burn_tf.export.report import LayerReport
from burn_tf.export.runtime import Runtime, load_runtime, runtime_of

# Images whose outputs all agree to this, relative to the largest output, count as equal.
EQUAL = 1e-4


@dataclasses.dataclass(frozen=True)
class ParityReport:
    """How far the outputs of file and model agree on the same images.

    Args:
        runtime: "lce" or "litert": what ran the file.
        num_images: How many images were compared.
        top1_agreement: Share of images, 0 to 1, whose greatest output is the same one; of several
            outputs the one that is named "scores", or else the first.
        share_equal: Share of images, 0 to 1, with every output within 1e-4, or 1e-4 of its largest
            value where that is above 1. The others have values at a sign's threshold that rounding
            flips.
        max_abs_difference: Greatest difference of any output value.
        median_abs_difference: The middle image's greatest difference.
        mean_cosine: Mean over images of the cosine between the two output vectors.
        median_cosine: The middle image's cosine. A value at a sign's threshold that float rounding
            flips moves single images, so the worst and the mean; a wrong operator moves the median.
        min_cosine: The worst image's cosine.
        num_binary_operators: Operators of the file with the signs of a binary layer, counted before
            anything was compared.
        notes: What the model was changed into before the comparison, in words.
    """

    runtime: str
    num_images: int
    top1_agreement: float
    share_equal: float
    max_abs_difference: float
    median_abs_difference: float
    mean_cosine: float
    median_cosine: float
    min_cosine: float
    num_binary_operators: int
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, int | float | str | list[str]]:
        """The report as JSON types."""
        return dataclasses.asdict(self) | {"notes": list(self.notes)}

    def __str__(self) -> str:
        lines = [
            f"{self.num_images} images in {self.runtime}: top-1 agreement "
            f"{self.top1_agreement:.2%}, equal to {EQUAL:g}: {self.share_equal:.2%}",
            f"largest difference {self.max_abs_difference:.2g} (median image "
            f"{self.median_abs_difference:.2g}), cosine: mean {self.mean_cosine:.6f}, "
            f"median {self.median_cosine:.6f}, worst {self.min_cosine:.6f}",
        ]
        return "\n".join([*lines, *self.notes])


def _check_operators(layers: tuple[LayerReport, ...], needed: str, strict: bool) -> int:
    """Number of operators with a binary layer's signs, all of them the model's.

    A file of other weights could agree on few images; one in which every layer is float would agree
    with the model best of all.
    """
    missing = [layer.name for layer in layers if not layer.became_binary]
    found = len(layers) - len(missing)
    if (found == 0 and (strict or needed == "lce")) or (strict and missing):
        example = f": {missing[0]!r} is not among them" if missing else ""
        raise UserError(
            f"the file must have the model's {len(layers)} binary layers as binary operators. "
            f"Received: {found}{example}"
        )
    return found


def preprocessed(images: np.ndarray) -> np.ndarray:
    """float32 images as a model takes them: uint8 pixels are normalised, others stay."""
    images = np.asarray(images)
    values = preprocess_input(images) if images.dtype == np.uint8 else images
    return np.asarray(values, np.float32)


def fitted(runtime: Runtime, images: np.ndarray) -> np.ndarray:
    """Images in the type that a file takes.

    Args:
        runtime: the loaded file.
        images: [N, H, W, C], uint8 pixels, or preprocessed values of any float type.

    Raises:
        UserError: another shape, or preprocessed values for a file that takes pixels.
    """
    images, wanted = np.asarray(images), runtime.input_shape[1:]
    if images.ndim != 4 or len(images) == 0 or images.shape[1:] != wanted:
        raise UserError(
            f"`images` must be at least one image [N, {', '.join(map(str, wanted))}]. "
            f"Received: shape {images.shape}"
        )
    if runtime.input_dtype == np.uint8:
        if images.dtype != np.uint8:
            raise UserError(
                f"`images` must be uint8 pixels: the file normalises them. Received: {images.dtype}"
            )
        return images
    values = preprocessed(images)
    scale, zero_point = runtime.input_quantization
    if runtime.input_dtype.kind == "f" or not scale:
        return values.astype(runtime.input_dtype)
    limits = np.iinfo(runtime.input_dtype)
    steps = np.round(values / scale) + zero_point
    return np.clip(steps, limits.min, limits.max).astype(runtime.input_dtype)


def _rows(outputs: list[np.ndarray]) -> np.ndarray:
    """All outputs of an image as one row, float64."""
    return np.concatenate([o.reshape(len(o), -1).astype(np.float64) for o in outputs], axis=1)


def _keras_outputs(model: tf.keras.Model, images: np.ndarray, batch_size: int) -> list[np.ndarray]:
    forward = tf.function(lambda batch: model(batch, training=False), reduce_retracing=True)
    parts = (images[start : start + batch_size] for start in range(0, len(images), batch_size))
    batches = [tf.nest.flatten(forward(tf.constant(part))) for part in parts]
    return [
        np.concatenate([np.asarray(o) for o in column]) for column in zip(*batches, strict=True)
    ]


def _cosines(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    both_zero = ~left.any(axis=1) & ~right.any(axis=1)
    cosines = np.sum(left * right, axis=1) / np.where(norms > 0, norms, 1.0)
    return np.where(both_zero, 1.0, cosines)


def verify(
    flatbuffer: bytes,
    model: tf.keras.Model | Exportable,
    images: np.ndarray,
    *,
    runtime: str | None = None,
    strict: bool = True,
    batch_size: int = 64,
    num_threads: int = 1,
) -> ParityReport:
    """Run a file in its runtime and the model in Keras on the same images.

    The binary layers are found in the file first, by their signs, so that a file of another model
    cannot pass, nor one for LCE that stayed float.

    Args:
        flatbuffer: Bytes of the file, as `to_lce` and `to_litert` give them.
        model: The Keras model it came from, or the detector.
        images: [N, H, W, C], N at least 1: uint8 pixels, or preprocessed float images for files
            that take these. Both sides get the same.
        runtime: "lce" or "litert" to insist on one; None (default): the one that the file needs.
        strict: Require every binary layer of the model in the file; default True (ours).
        batch_size: Images per Keras forward pass; a file takes one at a time.
        num_threads: Threads of the interpreter.

    Returns:
        Agreement of the outputs, flattened to [N, D]; the greatest value of a classifier's output,
        or of a detector's scores, is taken as the answer.

    Raises:
        UserError: the file lacks a binary layer of the model, `images` do not fit it, or another
            runtime is needed.

    Example:
        >>> import numpy as np
        >>> from burn_tf import backbones, export
        >>> model = backbones.ReActNetTiny(input_shape=(16, 16, 3), classes=10)
        >>> images = np.random.default_rng(0).normal(size=(2, 16, 16, 3))
        >>> export.verify(export.to_lce(model).flatbuffer, model, images).num_images
        2

    Source: ours.
    Departs from source: none.
    """
    check_integer("batch_size", batch_size, low=1)
    model = keras_model(model)
    check_exportable(model)
    compared, notes = float32_model(model)
    needed = runtime_of(flatbuffer)
    layers = match_layers(compared, read_flatbuffer(flatbuffer), needed)
    count = _check_operators(layers, needed, strict)
    loaded = load_runtime(flatbuffer, num_threads=num_threads, runtime=runtime)
    theirs = list(loaded.run_all(fitted(loaded, images)))
    ours = _keras_outputs(compared, preprocessed(images), batch_size)
    measured = _measured(ours, theirs)
    answer = _answer(model)
    best = [np.asarray(side[answer]).reshape(len(images), -1).argmax(1) for side in (ours, theirs)]
    return ParityReport(
        runtime=loaded.name,
        num_images=len(images),
        top1_agreement=float(np.mean(best[0] == best[1])),
        num_binary_operators=count,
        notes=notes,
        **measured,
    )


def _answer(model: tf.keras.Model) -> int:
    """Which output the answer is taken from."""
    names = list(model.output_names)
    return names.index(SCORES) if len(names) > 1 and SCORES in names else 0


def _are_equal(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Of each image, whether one output is the same."""
    left, right = (_rows([side]) for side in (ours, theirs))
    allowed = EQUAL * np.maximum(np.abs(left).max(axis=1), 1.0)
    return np.abs(left - right).max(axis=1) <= allowed


def _measured(ours: list[np.ndarray], theirs: list[np.ndarray]) -> dict[str, float]:
    sizes, found = ([output[0].size for output in side] for side in (ours, theirs))
    if sizes != found:
        raise UserError(
            f"the file must have the model's outputs, of {sizes} values. Received: {found}"
        )
    rows = _rows(ours), _rows(theirs)
    cosines, differences = _cosines(*rows), np.abs(rows[0] - rows[1]).max(axis=1)
    equal = np.all([_are_equal(*pair) for pair in zip(ours, theirs, strict=True)], axis=0)
    return {
        "share_equal": float(np.mean(equal)),
        "max_abs_difference": float(differences.max()),
        "median_abs_difference": float(np.median(differences)),
        "mean_cosine": float(cosines.mean()),
        "median_cosine": float(np.median(cosines)),
        "min_cosine": float(cosines.min()),
    }
