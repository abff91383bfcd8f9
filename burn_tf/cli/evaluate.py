"""Measure a backbone with a named protocol: linear probe, neighbours or fine-tuning."""

from __future__ import annotations

from absl import flags as absl_flags

from burn_tf._checks import UserError
from burn_tf.cli import models
from burn_tf.cli.targets import check_file_target


def register(flags: absl_flags.FlagValues) -> None:
    """The flags of `burn-tf evaluate`."""
    absl_flags.DEFINE_string(
        "protocol",
        None,
        "linear:burn, linear:burn-scene, linear:msbreg, linear:fast, knn:5, knn:20, knn:200, "
        "semi:1pct or semi:10pct",
        flag_values=flags,
    )
    absl_flags.DEFINE_string(
        "model", None, f"{models.MODEL_HELP}; or {models.RAW_PIXELS}", flag_values=flags
    )
    absl_flags.DEFINE_string(
        "data", None, "digits, a folder, tfds:NAME, list:FILE or synthetic:N", flag_values=flags
    )
    absl_flags.DEFINE_string("json", None, "file to write the result to", flag_values=flags)
    absl_flags.DEFINE_integer(
        "image_size",
        None,
        "pixels; needed where the model takes any size",
        lower_bound=1,
        flag_values=flags,
    )
    absl_flags.DEFINE_integer(
        "batch_size", 256, "images per forward pass", lower_bound=1, flag_values=flags
    )
    absl_flags.DEFINE_boolean(
        "strict", False, "stop at an image that cannot be read", flag_values=flags
    )
    absl_flags.mark_flags_as_required(["protocol", "model", "data"], flag_values=flags)


def run(flags: absl_flags.FlagValues) -> int:
    """Load, measure, print one row, and write the JSON file where one was asked for."""
    from burn_tf import data, evaluation
    from burn_tf._files import atomic_write

    protocol = evaluation.get_protocol(flags.protocol)
    if flags.json is not None:
        check_file_target("json", flags.json)
    model = models.load_features(flags.model, flags.image_size)
    image_size = _image_size(flags.image_size, models.input_side(model))
    train, test = (
        data.load_source(flags.data, split=split, strict=flags.strict)
        for split in ("train", "test")
    )
    splits = evaluation.EvaluationData(train, test, image_size, flags.batch_size)
    result = protocol.run(model, splits)
    print("  ".join(f"{key} {_shown(value)}" for key, value in result.to_row().items()), flush=True)
    if flags.json is not None:
        atomic_write(flags.json, result.to_json() + "\n")
    return 0


def _image_size(asked: int | None, fixed: int | None) -> int:
    if fixed is None and asked is None:
        raise UserError("`model` takes images of any size: say which with --image_size=PIXELS")
    if fixed is not None and asked is not None and fixed != asked:
        raise UserError(
            f"`image_size` must be {fixed}, which the model is built for. Received: {asked}"
        )
    return int(fixed if asked is None and fixed is not None else asked or 0)


def _shown(value: str | float) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)
