"""Conversion of a binary Keras model into a Larq Compute Engine file."""

from __future__ import annotations

import tempfile

import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.export.binary_layers import match_layers
from burn_tf.export.exported import ExportedModel, refuse_float_layers
from burn_tf.export.flatbuffer import read_flatbuffer
from burn_tf.export.folding import fold_shifts
from burn_tf.export.preparation import (
    check_exportable,
    float32_model,
    float_weight_bytes,
    frozen_model,
    input_shape,
)
from burn_tf.export.report import ExportReport
from burn_tf.export.zero_padding import with_small_maps


class _Servable(tf.Module):
    """One image in, one prediction out; holds the variables and not the layers.

    Saving the Keras model itself would trace every layer once more, which takes longer than the
    conversion.
    """

    def __init__(self, model: tf.keras.Model, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.model_variables = [getattr(v, "latent_variable", v) for v in model.variables]
        signature = tf.TensorSpec([1, *shape], tf.float32, name="images")
        self.serve = tf.function(lambda images: model(images, training=False), [signature])


def _convert(model: tf.keras.Model, shape: tuple[int, int, int]) -> bytes:
    try:
        from larq_compute_engine.mlir.python.converter import convert_saved_model
    except ImportError as error:
        raise UserError(
            "`to_lce` needs the Larq Compute Engine: pip install larq-compute-engine (on Python "
            f"3.10 to 3.12). Received: {error}"
        ) from error
    servable = _Servable(model, shape)
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(servable, folder, signatures=servable.serve.get_concrete_function())
        try:
            return bytes(convert_saved_model(folder))
        except (RuntimeError, ValueError) as error:
            first_line = str(error).strip().partition("\n")[0]
            raise UserError(f"the LCE converter refuses the model: {first_line}") from error


def to_lce(
    model: tf.keras.Model,
    *,
    strict: bool = True,
    input_size: int | tuple[int, int] | None = None,
    fold: bool = True,
) -> ExportedModel:
    """Convert a model with binary layers into a file for the Larq Compute Engine.

    The operators are then read back from the file's bytes, and every binary layer must be found
    there as a binary convolution with exactly its signs.

    Args:
        model: A functional or sequential model with one image input [B, H, W, C], for example a
            backbone. One in mixed precision is rebuilt in float32, and the report says so.
        strict: Raise when a binary layer would be computed in float; default True (ours).
        input_size: Pixels, a side or (height, width), for a model built for any size.
        fold: Convert `fold_shifts(model)`, a smaller and faster file; default True (ours).

    Returns:
        The file, for one image at a time, and its report.

    Raises:
        UserError: not a Keras model; no binary layer; a weight that is not finite; unknown input
            size; a layer that stayed float under `strict`; no Larq Compute Engine.

    Example:
        >>> from burn_tf import backbones
        >>> from burn_tf.export import to_lce
        >>> report = to_lce(backbones.ReActNetTiny(input_shape=(16, 16, 3), classes=10)).report
        >>> report.num_binary == len(report.layers)
        True

    Source: Bannink et al., Larq Compute Engine (MLSys 2021, arXiv 2011.09398).
    Departs from source: none.
    """
    check_exportable(model)
    shape = input_shape(model, input_size)
    rebuilt, notes = float32_model(model)
    frozen = with_small_maps(frozen_model(fold_shifts(rebuilt) if fold else rebuilt))
    flatbuffer = _convert(frozen, shape)
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
