"""One model as every kind of file: size, latency and agreement with Keras, side by side."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf

from burn_tf._checks import UserError, check_choice, check_integer
from burn_tf.export.latency import Latency, time_calls
from burn_tf.export.parity import fitted, preprocessed
from burn_tf.export.preparation import check_exportable, input_shape
from burn_tf.export.runtime import load_runtime

# Model, pictures that calibrate, (height, width) -> bytes of a file.
_Target = Callable[[tf.keras.Model, np.ndarray, tuple[int, int]], bytes]

KERAS = "Keras"
_SEED = 0
_SMALLEST_CROP = 0.4
_SAMPLES = 16


@dataclasses.dataclass(frozen=True)
class TargetRow:
    """One line of the table.

    Args:
        name: Keras, or the kind of file.
        size_bytes: Size of the file; of the float32 weights for Keras; 0 where there is no file.
        latency: Time of one picture; None where there is no file.
        top1_agreement: Share of pictures, 0 to 1, whose greatest output is the one of Keras.
        median_abs_difference: The middle picture's greatest difference of any output from Keras.
        max_abs_difference: Greatest difference of any picture. A value at a sign's threshold that
            rounding flips makes it large on single pictures.
        note: Why there is no file, or what runs it.
    """

    name: str
    size_bytes: int
    latency: Latency | None
    top1_agreement: float
    median_abs_difference: float
    max_abs_difference: float
    note: str


def _lce(model: tf.keras.Model, pictures: np.ndarray, size: tuple[int, int]) -> bytes:
    from burn_tf.export.lce import to_lce

    return to_lce(model, input_size=size).flatbuffer


def _litert(precision: str) -> _Target:
    def convert(model: tf.keras.Model, pictures: np.ndarray, size: tuple[int, int]) -> bytes:
        from burn_tf.export.litert import to_litert

        calibration = pictures if precision == "int8" else None
        return to_litert(
            model, precision=precision, calibration=calibration, input_size=size
        ).flatbuffer

    return convert


TARGETS: Mapping[str, _Target] = {
    "LCE": _lce,
    "LiteRT float": _litert("float32"),
    "LiteRT compact": _litert("compact"),
    "LiteRT int8": _litert("int8"),
}


def sample_pictures(count: int, height: int, width: int) -> np.ndarray:
    """Crops of the two photographs that scikit-learn ships, the same ones every time.

    Args:
        count: How many, at least 1.
        height: Pixels.
        width: Pixels.

    Returns:
        uint8 [count, height, width, 3].
    """
    from sklearn.datasets import load_sample_images

    check_integer("count", count, low=1)
    photos, rng = load_sample_images().images, np.random.default_rng(_SEED)
    crops = []
    for index in range(count):
        photo = photos[index % len(photos)]
        side = int(min(photo.shape[:2]) * rng.uniform(_SMALLEST_CROP, 1.0))
        top, left = (int(rng.integers(0, edge - side + 1)) for edge in photo.shape[:2])
        crop = photo[top : top + side, left : left + side]
        crops.append(tf.image.resize(crop, [height, width], antialias=True))
    return np.asarray(tf.cast(tf.round(tf.stack(crops)), tf.uint8))


def _files(
    model: tf.keras.Model, pictures: np.ndarray, names: Sequence[str]
) -> tuple[dict[str, bytes], dict[str, str]]:
    """Bytes of every file that could be made, and why the others could not."""
    height, width = pictures.shape[1:3]
    files, refused = {}, {}
    for name in names:
        try:
            files[name] = TARGETS[name](model, pictures, (height, width))
        except UserError as error:
            refused[name] = str(error)
    return files, refused


def _agreement(ours: np.ndarray, theirs: np.ndarray) -> tuple[float, float, float]:
    ours, theirs = (array.reshape(len(array), -1) for array in (ours, theirs))
    same = np.mean(ours.argmax(axis=1) == theirs.argmax(axis=1))
    differences = np.abs(ours - theirs).max(axis=1)
    return float(same), float(np.median(differences)), float(differences.max())


def compare_targets(
    model: tf.keras.Model,
    *,
    targets: Sequence[str] = tuple(TARGETS),
    input_size: int | tuple[int, int] | None = None,
    pictures: np.ndarray | None = None,
    calibration: np.ndarray | None = None,
    threads: int = 1,
    runs: int = 30,
    warmup: int = 3,
) -> tuple[TargetRow, ...]:
    """Export a model as every kind of file, and measure all of them in one run beside Keras.

    Args:
        model: A Keras model with one image input [B, H, W, 3] and one output.
        targets: Names of `TARGETS`; default all.
        input_size: Pixels, a side or (height, width), for a model built for any size.
        pictures: uint8 [N, H, W, 3] that are compared; default 16 crops of two photographs.
        calibration: uint8 pictures that int8 is calibrated with; default `pictures`.
        threads: Threads of the interpreters; Keras has TensorFlow's own.
        runs: Timed runs of each, which take turns; default 30 (ours).
        warmup: Runs before these; default 3 (ours).

    Returns:
        A row for Keras and one per target; a target that refuses the model has its reason as note.

    Raises:
        UserError: the model has no such input or output, or an argument is out of range.

    Example:
        >>> from burn_tf import backbones
        >>> from burn_tf.export.comparison import compare_targets
        >>> model = backbones.ReActNetTiny(input_shape=(16, 16, 3), classes=10)
        >>> [row.name for row in compare_targets(model, targets=["LCE"], runs=5)]
        ['Keras', 'LCE']

    Source: ours.
    Departs from source: none.
    """
    check_exportable(model)
    for name in targets:
        check_choice("targets", name, TARGETS)
    pictures = _checked(model, input_size, pictures)
    files, refused = _files(model, pictures if calibration is None else calibration, targets)
    loaded = {name: load_runtime(data, num_threads=threads) for name, data in files.items()}
    forward = _keras_forward(model)
    expected = np.concatenate([forward(image[np.newaxis]) for image in preprocessed(pictures)])
    # The files keep the last picture: zeros could be faster than what they meet in use.
    outputs = {name: file.run(fitted(file, pictures)) for name, file in loaded.items()}
    last = preprocessed(pictures[-1:])
    calls: dict[str, Callable[[], object]] = {KERAS: lambda: forward(last)}
    calls |= {name: file.invoke for name, file in loaded.items()}
    timed = time_calls(calls, runs=runs, warmup=warmup, threads=threads)

    def row(name: str) -> TargetRow:
        if name in refused:
            return TargetRow(name, 0, None, 0.0, 0.0, 0.0, refused[name])
        agreement = _agreement(expected, outputs[name])
        note = loaded[name].kernels().description
        return TargetRow(name, len(files[name]), timed[name], *agreement, note)

    return (_keras_row(model, timed[KERAS]), *map(row, targets))


def _keras_forward(model: tf.keras.Model) -> Callable[[np.ndarray], np.ndarray]:
    graph = tf.function(lambda batch: model(batch, training=False), reduce_retracing=True)
    return lambda batch: np.asarray(graph(tf.constant(batch)), np.float32)


def _keras_row(model: tf.keras.Model, latency: Latency) -> TargetRow:
    weights = 4 * int(model.count_params())
    latency = dataclasses.replace(latency, threads=0)
    note = "float32 weights; TensorFlow's own threads"
    return TargetRow(KERAS, weights, latency, 1.0, 0.0, 0.0, note)


def _checked(
    model: tf.keras.Model, input_size: int | tuple[int, int] | None, pictures: np.ndarray | None
) -> np.ndarray:
    """Pictures of the model's size."""
    height, width, channels = input_shape(model, input_size)
    if channels != 3 or len(model.outputs) != 1:
        raise UserError(
            "`model` must take colour pictures [B, H, W, 3] and give one output. "
            f"Received: {channels} channels and {len(model.outputs)} outputs"
        )
    if pictures is None:
        return sample_pictures(_SAMPLES, height, width)
    if pictures.dtype != np.uint8 or pictures.shape[1:] != (height, width, 3) or not len(pictures):
        raise UserError(
            f"`pictures` must be uint8 [N, {height}, {width}, 3]. "
            f"Received: {pictures.dtype} {list(pictures.shape)}"
        )
    return pictures
