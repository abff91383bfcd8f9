"""Show where runs stand: stage, step, time left, figures, the newest checkpoint; also as JSON."""

from __future__ import annotations

import json

from absl import flags as absl_flags

from burn_tf._checks import UserError

POSITIONAL = ("workdir",)


def register(flags: absl_flags.FlagValues) -> None:
    """The flags of `burn-tf status`."""
    absl_flags.DEFINE_multi_string(
        "workdir", [], "work directories of burn-tf pretrain, running or not", flag_values=flags
    )
    absl_flags.DEFINE_boolean(
        "json", False, "print a JSON list, one object for each run", flag_values=flags
    )


def run(flags: absl_flags.FlagValues) -> int:
    """Print the status of each run."""
    from burn_tf.watching.status import read_status, status_text

    if not flags.workdir:
        raise UserError(
            "`workdir` must be a work directory of `burn-tf pretrain`, or several. Received: none"
        )
    statuses = [read_status(folder) for folder in flags.workdir]
    if flags.json:
        print(json.dumps([status.to_dict() for status in statuses], indent=2))
    else:
        print(status_text(statuses))
    return 0
