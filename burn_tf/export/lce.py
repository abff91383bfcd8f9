"""Conversion of a binary Keras model into a Larq Compute Engine file."""

from __future__ import annotations

import dataclasses
import os
import tempfile

import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf._files import atomic_write
from burn_tf.export.binary_layers import match_layers
from burn_tf.export.flatbuffer import read_flatbuffer
from burn_tf.export.folding import fold_shifts
from burn_tf.export.preparation import check_exportable, float32_model, frozen_model, input_shape
from burn_tf.export.report import ExportReport
from burn_tf.export.zero_padding import with_small_maps


@dataclasses.dataclass(frozen=True)
class LCEExport:
    """A converted model.

    Args:
        flatbuffer: The bytes of the .tflite file. It has LCE's own operators, so it runs in the
            Larq Compute Engine and not in the stock TFLite or LiteRT runtime.
        report: What became of every binary layer.
    """

    flatbuffer: bytes
    report: ExportReport

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file whole or not at all.

        Raises:
            UserError: the path cannot be written.
        """
        try:
            atomic_write(path, self.flatbuffer)
        except OSError as error:
            raise UserError(
                f"cannot write {os.fspath(path)!r}: {error.strerror}; choose another `path`"
            ) from error


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


def _float_weight_bytes(model: tf.keras.Model) -> int:
    return 4 * sum(int(variable.shape.num_elements()) for variable in model.variables)


def to_lce(
    model: tf.keras.Model,
    *,
    strict: bool = True,
    input_size: int | tuple[int, int] | None = None,
    fold: bool = True,
) -> LCEExport:
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
        layers=match_layers(rebuilt, graph),
        operators=graph.counts(),
        size_bytes=len(flatbuffer),
        float_weight_bytes=_float_weight_bytes(rebuilt),
        notes=notes,
    )
    if strict:
        _refuse_float_layers(report)
    return LCEExport(flatbuffer, report)


def _refuse_float_layers(report: ExportReport) -> None:
    floating = report.stayed_float()
    if floating:
        others = f" and {len(floating) - 1} more" if len(floating) > 1 else ""
        raise UserError(
            f"layer {floating[0].name!r}{others} would be computed in float: {floating[0].reason}. "
            "Repair it or pass strict=False"
        )
