"""Conversion into files that the stock LiteRT runtime reads: built-in operators only."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from burn_tf._checks import UserError, check_choice, check_integer
from burn_tf.export.binary_layers import match_layers
from burn_tf.export.compaction import compact
from burn_tf.export.exported import ExportedModel, refuse_float_layers
from burn_tf.export.flatbuffer import TFLiteGraph, read_flatbuffer
from burn_tf.export.folding import folded_weights
from burn_tf.export.graph import UNCHANGED, SharedLayerError, flat_graph
from burn_tf.export.integer import Integers
from burn_tf.export.lowering import lower_binary_layers, shifted_step
from burn_tf.export.metadata import model_metadata, with_metadata
from burn_tf.export.parity import preprocessed
from burn_tf.export.pixels import Forward, check_pixels, from_pixels
from burn_tf.export.preparation import (
    Exportable,
    check_exportable,
    float32_model,
    float_weight_bytes,
    frozen_model,
    input_shape,
    keras_model,
    own_labels,
)
from burn_tf.export.report import ExportReport
from burn_tf.export.servable import saved_function

PRECISIONS = ("compact", "float32", "int8")
INPUT_DTYPES = ("uint8", "float32", "int8")
INT4_FROM = 4 * 2**20
_BATCH = 8
# Of `AnchorBoxes`.
_BOX_OPERATORS = ("ADD", "CONCATENATION", "EXP", "MINIMUM", "MUL", "STRIDED_SLICE", "SUB")
_FLOAT_END = "boxes are made of the integers in float"
_SHARED = "a layer is used more than once: its signs are computed without bits, which is slower"


@dataclasses.dataclass(frozen=True)
class _Request:
    """Shape of the input, its type, and what is computed in which precision."""

    shape: tuple[int, int, int]
    precision: str
    input_dtype: str
    output_dtype: str

    def __post_init__(self) -> None:
        check_choice("precision", self.precision, PRECISIONS)
        check_choice("input_dtype", self.input_dtype, INPUT_DTYPES)
        check_choice("output_dtype", self.output_dtype, ("float32", "int8"))
        if "int8" in (self.input_dtype, self.output_dtype) and self.precision != "int8":
            raise UserError(
                "int8 inputs and outputs need precision='int8'. "
                f"Received: precision={self.precision!r}"
            )
        check_pixels(self.input_dtype, self.shape)


def _as_input(images: np.ndarray, request: _Request) -> np.ndarray:
    """Preprocessed float32 images of uint8 pictures, or of images that are preprocessed."""
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[1:] != request.shape:
        raise UserError(
            f"`calibration` must be images [N, {', '.join(map(str, request.shape))}]. "
            f"Received: shape {images.shape}"
        )
    return preprocessed(images)


def _batches(images: np.ndarray) -> Iterator[np.ndarray]:
    return (images[start : start + _BATCH] for start in range(0, len(images), _BATCH))


class _Lowered(NamedTuple):
    """From images of the file's type to the model's outputs; `ends_in_float`: to boxes, of int8."""

    forward: Forward
    notes: tuple[str, ...] = ()
    ends_in_float: bool = False


def _lowered(model: tf.keras.Model, request: _Request, calibration: np.ndarray | None) -> _Lowered:
    plain = from_pixels(lambda x: model(x, training=False), request.input_dtype)
    integer = request.precision == "int8"
    try:
        nodes, _ = flat_graph(model, UNCHANGED)
        integers = Integers(nodes) if integer else None
    except SharedLayerError as error:
        if integer:
            raise UserError(
                "`model` must use each layer once for precision='int8', plain convolutions "
                f"excepted: take 'compact'. Received: {model.name!r}, which uses others again"
            ) from error
        return _Lowered(plain, (_SHARED,))
    if integers is None:
        lower_binary_layers(nodes, shifted_step)
        return _Lowered(plain)
    if calibration is None:
        raise UserError("precision='int8' needs `calibration`: about 100 images, uint8 or float32")
    if integers.ends_in_float and request.output_dtype == "int8":
        raise UserError(
            "`output_dtype` must be 'float32' for a detector, whose boxes eight bits do not hold. "
            "Received: 'int8'"
        )
    integers.calibrate(model, _batches(_as_input(calibration, request)))
    rounded = from_pixels(
        lambda x: model(integers.mark(x), training=False), request.input_dtype, integers.pixels
    )
    notes = (_FLOAT_END,) if integers.ends_in_float else ()
    return _Lowered(rounded, notes, integers.ends_in_float)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    # The converter asks for statistics, which the fake quantisations hold.
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def _convert(forward: Forward, variables: Sequence[Any], request: _Request) -> bytes:
    integer = request.precision == "int8"
    dtype = "float32" if integer else request.input_dtype
    with saved_function(forward, variables, request.shape, dtype) as folder:
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        if integer:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.inference_input_type = getattr(tf, request.input_dtype)
            converter.inference_output_type = getattr(tf, request.output_dtype)
        try:
            with _quiet():
                return bytes(converter.convert())
        except Exception as error:
            # The converter raises its own exceptions and those of MLIR, of several kinds.
            first_line = str(error).strip().partition("\n")[0]
            raise UserError(f"the LiteRT converter refuses the model: {first_line}") from error


def _refuse_float_operators(graph: TFLiteGraph, ends_in_float: bool) -> None:
    ends = ("QUANTIZE", "DEQUANTIZE", "CAST")
    # What integers are made of again.
    needed: set[int] = set()
    for operator in reversed(graph.operators):
        types = {t.dtype for t in (*operator.inputs, *operator.outputs) if t is not None}
        feeds = operator.name == "QUANTIZE" or any(id(t) in needed for t in operator.outputs)
        if feeds:
            needed.update(id(t) for t in operator.inputs if t is not None and not t.data)
        if operator.name in ends or "float32" not in types:
            continue
        if not ends_in_float or feeds or operator.name not in _BOX_OPERATORS:
            raise UserError(
                f"operator {operator.name} would be computed in float; change the layer that it "
                "comes from, or pass strict=False"
            )


def to_litert(
    model: tf.keras.Model | Exportable,
    *,
    precision: str = "compact",
    input_dtype: str = "uint8",
    output_dtype: str = "float32",
    calibration: np.ndarray | None = None,
    labels: Sequence[str] | None = None,
    input_size: int | tuple[int, int] | None = None,
    strict: bool = True,
    int4_from: int | None = INT4_FROM,
) -> ExportedModel:
    """Convert a model with binary layers into a file for the stock LiteRT (TFLite) runtime.

    Signs are computed as bits, s = 1 - 2e, which the runtime's int8 kernels convolve exactly:

        W * s = sum(W) - 2 W * e        e in {0, 1}; e is padded with zeros where s is with ones

    The operators are then read back from the file's bytes, and every binary layer must be found
    there with exactly its signs.

    Args:
        model: A functional or sequential model with one image input [B, H, W, C], or a
            `burn_tf.detection.Detector`, whose file gives `exported_model`'s boxes and scores.
        precision: "compact" (default): binary kernels in one byte per weight or half of one, all
            values as in float32; "float32"; or "int8": integer arithmetic throughout, which rounds
            all values but the signs. Of a detector the boxes are made of the integers in float.
        input_dtype: "uint8" (default): RGB pixels 0..255, normalised inside the file as
            `preprocess_input` does; "float32": preprocessed images; "int8" (for "int8"):
            preprocessed images as the file's scale and zero point say.
        output_dtype: "float32" (default), or "int8" for precision "int8".
        calibration: images [N, H, W, C] for precision "int8", about 100, uint8 pictures or
            preprocessed float32; the ranges of all values are measured on them.
        labels: names of a classifier's outputs, stored in the file; a detector has its own.
        input_size: pixels, a side or (height, width), for a model built for any size.
        strict: raise when a binary layer has other weights in the file than its signs, or, with
            "int8", when an operator would be computed in float; default True.
        int4_from: of "compact": binary kernels of at least so many weights have half a byte for
            each. Default 4 Mi (ours), which the largest of a full ReActNet-A alone has, 14 % of
            that file; more of them in int4 cost time (see `burn_tf.export.nibbles`). None: none,
            for runtimes older than those that know int4 in FULLY_CONNECTED.

    Returns:
        The file, for one image at a time, and its report.

    Raises:
        UserError: not a Keras model; no binary layer; a weight that is not finite; unknown input
            size; no or wrong `calibration`; as many `labels` as outputs are missing; an operator
            that the runtime lacks.

    Example:
        >>> from burn_tf import backbones
        >>> from burn_tf.export import to_litert
        >>> exported = to_litert(backbones.ReActNetTiny((16, 16, 3), classes=10))
        >>> exported.report.num_binary == len(exported.report.layers)
        True

    Source: ours.
    Departs from source: none.
    """
    if int4_from is not None:
        check_integer("int4_from", int4_from, low=1)
    labels = own_labels(model) if labels is None else labels
    model = keras_model(model)
    check_exportable(model)
    request = _Request(input_shape(model, input_size), precision, input_dtype, output_dtype)
    rebuilt, notes = float32_model(model)
    kind = f"{precision} for LiteRT"
    metadata = model_metadata(model, kind, request.shape, input_dtype, labels)
    frozen = frozen_model(rebuilt, folded_weights(rebuilt))
    lowered = _lowered(frozen, request, calibration)
    flatbuffer = _convert(lowered.forward, frozen.variables, request)
    if precision == "compact":
        flatbuffer = compact(flatbuffer, int4_from)
    flatbuffer = with_metadata(flatbuffer, metadata)
    graph = read_flatbuffer(flatbuffer)
    report = ExportReport(
        runtime="litert",
        layers=match_layers(rebuilt, graph, "litert"),
        operators=graph.counts(),
        size_bytes=len(flatbuffer),
        float_weight_bytes=float_weight_bytes(rebuilt),
        notes=notes + lowered.notes,
    )
    if strict:
        refuse_float_layers(report)
        if precision == "int8":
            _refuse_float_operators(graph, lowered.ends_in_float)
    return ExportedModel(flatbuffer, report)
