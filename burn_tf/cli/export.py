"""Write a model as a file for phones, and report which layers became binary operators."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from absl import flags as absl_flags

from burn_tf._checks import UserError
from burn_tf.cli import models
from burn_tf.cli.flag_values import check_unused
from burn_tf.cli.pictures import load_pixels
from burn_tf.cli.targets import check_file_target

if TYPE_CHECKING:
    import tensorflow as tf

    from burn_tf.detection import Detector
    from burn_tf.export import ExportedModel

_TARGETS = ("lce", "litert", "litert-int8")


def register(flags: absl_flags.FlagValues) -> None:
    """The flags of `burn-tf export`."""
    absl_flags.DEFINE_string(
        "model",
        None,
        f"{models.MODEL_HELP}; or the detector.safetensors of evaluate --protocol=detect:voc",
        flag_values=flags,
    )
    absl_flags.DEFINE_enum(
        "target",
        "lce",
        _TARGETS,
        "the runtime: lce, the Larq Compute Engine (one bit per binary weight); litert, the stock "
        "LiteRT or TFLite (one byte); litert-int8, the same in integer arithmetic throughout "
        "(needs --calibration). Pixels go in, the normalisation is inside",
        flag_values=flags,
    )
    absl_flags.DEFINE_string(
        "output", None, "file to write, such as model.tflite", flag_values=flags
    )
    absl_flags.DEFINE_string(
        "labels",
        None,
        "text file with a label per line, stored in the file of any target",
        flag_values=flags,
    )
    absl_flags.DEFINE_string(
        "calibration",
        None,
        "digits, a folder, tfds:NAME or list:FILE: images for litert-int8",
        flag_values=flags,
    )
    absl_flags.DEFINE_string(
        "verify",
        None,
        "digits, a folder, tfds:NAME or list:FILE: run file and model on these images",
        flag_values=flags,
    )
    absl_flags.DEFINE_integer(
        "images",
        100,
        "how many images calibrate, and how many verify",
        lower_bound=1,
        flag_values=flags,
    )
    absl_flags.DEFINE_integer(
        "input_size",
        None,
        "pixels; needed where the model takes any size",
        lower_bound=1,
        flag_values=flags,
    )
    absl_flags.DEFINE_boolean(
        "strict", True, "stop where a binary layer would be computed in float", flag_values=flags
    )
    absl_flags.mark_flags_as_required(["model", "output"], flag_values=flags)


def run(flags: absl_flags.FlagValues) -> int:
    """Convert, print the report, write the file, verify where it is asked for."""
    _check(flags)
    check_file_target("output", flags.output)
    if os.path.realpath(flags.output) == os.path.realpath(flags.model):
        raise UserError(f"`output` must be another file than `model`. Received: {flags.output!r}")
    from burn_tf.export.preparation import keras_model

    labels = None if flags.labels is None else _labels(flags.labels)
    model = models.load_exportable(flags.model, flags.input_size)
    side = models.needed_side(keras_model(model), flags.input_size)
    images = None
    if flags.verify is not None:
        # Before the conversion: a mistake in it must not leave a file behind.
        images = load_pixels(flags.verify, "test", side, flags.images)
    exported = _exported(flags, model, side, labels)
    exported.save(flags.output)
    print(exported.report)
    print(f"Written: {flags.output}")
    if images is not None:
        from burn_tf.export import verify

        print(verify(exported.flatbuffer, model, images, strict=flags.strict))
    return 0


def _check(flags: absl_flags.FlagValues) -> None:
    needs = flags.target == "litert-int8"
    if needs and flags.calibration is None:
        raise UserError("`target` litert-int8 needs --calibration=SOURCE. Received: none")
    if flags.calibration is not None and not needs:
        raise UserError(
            f"`calibration` is for --target=litert-int8. Received: --target={flags.target}"
        )
    if flags.calibration is None and flags.verify is None:
        check_unused(flags, ("images",), "--calibration and --verify")


def _exported(
    flags: absl_flags.FlagValues,
    model: tf.keras.Model | Detector,
    side: int,
    labels: list[str] | None,
) -> ExportedModel:
    from burn_tf.export import to_lce, to_litert

    if flags.target == "lce":
        return to_lce(
            model, strict=flags.strict, input_size=side, input_dtype="uint8", labels=labels
        )
    settings: dict[str, Any] = {}
    if flags.target == "litert-int8":
        settings = {
            "precision": "int8",
            "calibration": load_pixels(flags.calibration, "train", side, flags.images),
        }
    return to_litert(model, labels=labels, input_size=side, strict=flags.strict, **settings)


def _labels(path: str) -> list[str]:
    from burn_tf._files import read_whole

    try:
        text = read_whole(path).decode("utf-8-sig").replace("\r\n", "\n")
        return text.removesuffix("\n").split("\n")
    except UnicodeDecodeError as error:
        raise UserError(f"`labels` must be UTF-8 text. Received: {path!r}") from error
