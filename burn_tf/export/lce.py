"""Conversion of a binary Keras model into a Larq Compute Engine file."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from burn_tf._checks import UserError, check_choice
from burn_tf.export.binary_layers import match_layers
from burn_tf.export.exported import ExportedModel, refuse_float_layers
from burn_tf.export.flatbuffer import read_flatbuffer
from burn_tf.export.folding import folded_weights
from burn_tf.export.metadata import model_metadata, with_metadata
from burn_tf.export.pixels import check_pixels, from_pixels
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
from burn_tf.export.zero_padding import with_small_maps


def _convert(model: tf.keras.Model, shape: tuple[int, int, int], input_dtype: str) -> bytes:
    try:
        from larq_compute_engine.mlir.python.converter import convert_saved_model
    except ImportError as error:
        raise UserError(
            "`to_lce` needs the Larq Compute Engine: pip install larq-compute-engine (on Python "
            f"3.10 to 3.12). Received: {error}"
        ) from error
    forward = from_pixels(lambda x: model(x, training=False), input_dtype)
    with saved_function(forward, model.variables, shape, input_dtype) as folder:
        try:
            return bytes(convert_saved_model(folder))
        except (RuntimeError, ValueError) as error:
            first_line = str(error).strip().partition("\n")[0]
            raise UserError(f"the LCE converter refuses the model: {first_line}") from error


def to_lce(
    model: tf.keras.Model | Exportable,
    *,
    strict: bool = True,
    input_size: int | tuple[int, int] | None = None,
    fold: bool = True,
    input_dtype: str = "float32",
    labels: Sequence[str] | None = None,
) -> ExportedModel:
    """Convert a model with binary layers into a file for the Larq Compute Engine.

    The operators are then read back from the file's bytes, and every binary layer must be found
    there as a binary convolution with exactly its signs.

    Args:
        model: A functional or sequential model with one image input [B, H, W, C], for example a
            backbone, or a `burn_tf.detection.Detector`, whose file gives `exported_model`'s boxes
            and scores. One in mixed precision is rebuilt in float32, and the report says so.
        strict: Raise when a binary layer would be computed in float; default True (ours).
        input_size: Pixels, a side or (height, width), for a model built for any size.
        fold: Convert `fold_shifts(model)`, a smaller and faster file; default True (ours).
        input_dtype: "float32" (default): preprocessed images; "uint8": RGB pixels 0..255,
            normalised inside the file as `preprocess_input` does.
        labels: Names of a classifier's outputs, stored in the file; a detector has its own.

    Returns:
        The file, for one image at a time, and its report.

    Raises:
        UserError: not a Keras model; no binary layer; a weight that is not finite; unknown input
            size; a layer that stayed float under `strict`; no Larq Compute Engine; not as many
            `labels` as outputs; pixels for a model without three channels.

    Example:
        >>> from burn_tf import backbones
        >>> from burn_tf.export import to_lce
        >>> report = to_lce(backbones.ReActNetTiny(input_shape=(16, 16, 3), classes=10)).report
        >>> report.num_binary == len(report.layers)
        True

    Source: Bannink et al., Larq Compute Engine (MLSys 2021, arXiv 2011.09398).
    Departs from source: none.
    """
    labels = own_labels(model) if labels is None else labels
    model = keras_model(model)
    check_exportable(model)
    shape = input_shape(model, input_size)
    check_pixels(check_choice("input_dtype", input_dtype, ("float32", "uint8")), shape)
    metadata = model_metadata(model, "lce", shape, input_dtype, labels)
    rebuilt, notes = float32_model(model)
    frozen = with_small_maps(frozen_model(rebuilt, folded_weights(rebuilt) if fold else None))
    flatbuffer = with_metadata(_convert(frozen, shape, input_dtype), metadata)
    graph = read_flatbuffer(flatbuffer)
    report = ExportReport(
        runtime="lce",
        layers=match_layers(rebuilt, graph),
        operators=graph.counts(),
        size_bytes=len(flatbuffer),
        float_weight_bytes=float_weight_bytes(rebuilt),
        notes=notes,
    )
    if strict:
        refuse_float_layers(report)
    return ExportedModel(flatbuffer, report)
