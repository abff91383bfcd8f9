"""Write a model as a file for phones, and report which layers became binary operators."""

from __future__ import annotations

from absl import flags as absl_flags

from burn_tf.cli import models
from burn_tf.cli.targets import check_file_target


def register(flags: absl_flags.FlagValues) -> None:
    """The flags of `burn-tf export`."""
    absl_flags.DEFINE_string("model", None, models.MODEL_HELP, flag_values=flags)
    absl_flags.DEFINE_enum(
        "target",
        "lce",
        ["lce"],
        "the runtime: lce, the Larq Compute Engine (stock TFLite lacks its operators)",
        flag_values=flags,
    )
    absl_flags.DEFINE_string(
        "output", None, "file to write, such as model.tflite", flag_values=flags
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
    """Convert, print the report, write the file."""
    from burn_tf.export import to_lce

    check_file_target("output", flags.output)
    model = models.load_model(flags.model, flags.input_size)
    exported = to_lce(model, strict=flags.strict, input_size=flags.input_size)
    exported.save(flags.output)
    print(exported.report)
    print(f"Written: {flags.output}")
    return 0
