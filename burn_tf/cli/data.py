"""Check a set of images before hours are spent on it: burn-tf data check SOURCE.

Every image of the train and the test split is read once. Exit code 2 when the set is not usable:
it cannot be loaded, or its splits have different classes. Other findings are told and cost nothing.
"""

from __future__ import annotations

import dataclasses
import json

from absl import flags as absl_flags

from burn_tf._checks import UserError, check_choice
from burn_tf.cli.targets import check_file_target

POSITIONAL = ("action", "source")
_ACTIONS = ("check",)
DATA_HELP = (
    "digits, a folder, tfds:NAME, list:FILE, synthetic:N, voc:FOLDER, coco:FOLDER, cub:FOLDER, or "
    "the classes or images that a file names: classes:FILE:DATA, images:FILE:DATA"
)


def register(flags: absl_flags.FlagValues) -> None:
    """The flags of `burn-tf data`."""
    absl_flags.DEFINE_string("action", None, "check", flag_values=flags)
    absl_flags.DEFINE_string("source", None, DATA_HELP, flag_values=flags)
    absl_flags.DEFINE_integer(
        "few",
        10,
        "name the classes with fewer images to train on",
        lower_bound=0,
        flag_values=flags,
    )
    absl_flags.DEFINE_integer(
        "tiny", 32, "name the images with a shorter side, pixels", lower_bound=0, flag_values=flags
    )
    absl_flags.DEFINE_string(
        "json", None, "file to write all findings to, every image named", flag_values=flags
    )


def run(flags: absl_flags.FlagValues) -> int:
    """Check, print, and write the file that was asked for; 2 where the set is not usable."""
    from burn_tf import data
    from burn_tf._files import atomic_write

    if flags.action is None or flags.source is None:
        raise UserError("`burn-tf data` needs an action and a source: burn-tf data check SOURCE")
    check_choice("action", flags.action, _ACTIONS)
    if flags.json is not None:
        check_file_target("json", flags.json)
    found = data.check_source(flags.source, few=flags.few, tiny=flags.tiny)
    print(found.text())
    if flags.json is not None:
        record = {**dataclasses.asdict(found), "usable": found.usable}
        atomic_write(flags.json, json.dumps(record, indent=2) + "\n")
    return 0 if found.usable else 2
