"""`--tensorboard` and `--ignore_memory`: what pretrain does beside training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from absl import flags as absl_flags

if TYPE_CHECKING:
    from burn_tf.training.watch import Watch


def register(flags: absl_flags.FlagValues) -> None:
    """The two flags."""
    absl_flags.DEFINE_boolean(
        "tensorboard",
        False,
        "write the figures of metrics.jsonl as event files for TensorBoard too, into the folder "
        "tensorboard of --workdir",
        flag_values=flags,
    )
    absl_flags.DEFINE_boolean(
        "ignore_memory",
        False,
        "train even where a step is predicted to take more memory than is free",
        flag_values=flags,
    )


def read(flags: absl_flags.FlagValues) -> Watch:
    """What the flags ask for."""
    from burn_tf.training.watch import Watch

    return Watch(tensorboard=flags.tensorboard, ignore_memory=flags.ignore_memory)
