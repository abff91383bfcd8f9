"""From unlabelled pictures to a binary backbone for phones, with probes and a report."""

from __future__ import annotations

from absl import flags as absl_flags

from burn_tf.cli.data import DATA_HELP
from burn_tf.cli.targets import check_folder_target


def register(flags: absl_flags.FlagValues) -> None:
    """The flags of `burn-tf demo`."""
    absl_flags.DEFINE_string("data", "digits", DATA_HELP, flag_values=flags)
    absl_flags.DEFINE_string(
        "workdir", "burn_demo", "folder for everything the run writes", flag_values=flags
    )
    absl_flags.DEFINE_string(
        "recipe",
        None,
        "a BURN recipe; default: burn_digits for digits, burn_pictures for all else",
        flag_values=flags,
    )
    absl_flags.DEFINE_multi_string(
        "set",
        [],
        "key=value that replaces one of the recipe's, such as epochs=3",
        flag_values=flags,
    )
    absl_flags.DEFINE_boolean(
        "strict", False, "stop at an image that cannot be read", flag_values=flags
    )


def run(flags: absl_flags.FlagValues) -> int:
    """Run the demo and print its table."""
    from burn_tf.demo import Demo

    check_folder_target("workdir", flags.workdir)
    demo = Demo(
        flags.data, flags.workdir, recipe=flags.recipe, settings=flags.set, strict=flags.strict
    )
    demo.run()
    return 0
