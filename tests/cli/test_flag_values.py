"""Values that absl takes and no command can use are refused, naming the flag."""

from __future__ import annotations

import types

import pytest
from absl import flags as absl_flags

from burn_tf._checks import UserError
from burn_tf.cli import main as cli

COMMAND = types.ModuleType("made")


def register(flags: absl_flags.FlagValues) -> None:
    absl_flags.DEFINE_string("folder", None, "a folder", flag_values=flags)
    absl_flags.DEFINE_string("title", "", "may be empty", flag_values=flags)
    absl_flags.DEFINE_multi_string("run", [], "several", flag_values=flags)
    absl_flags.DEFINE_integer("count", 1, "a number", flag_values=flags)
    absl_flags.DEFINE_float("seconds", 1.0, "a time", lower_bound=0.5, flag_values=flags)


COMMAND.register = register  # type: ignore[attr-defined]
COMMAND.POSITIONAL = ("run",)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("--folder=", "folder"),
        ("--folder= ", "folder"),
        ("", "run"),
        ("--run=", "run"),
        ("--count=99999999999999999999999", "count"),
        ("--count=-2147483648", "count"),
        ("--seconds=nan", "seconds"),
        ("--seconds=1e400", "seconds"),
    ],
)
def test_refused(word: str, name: str) -> None:
    with pytest.raises(UserError, match=f"^`{name}` must .* Received: "):
        cli.parse(COMMAND, "made", [word])


def test_taken() -> None:
    flags = cli.parse(
        COMMAND, "made", ["--title=", "--folder=-", "--count=2147483647", "a", "--seconds=0.5"]
    )
    assert (flags.title, flags.folder, flags.count, flags.run) == ("", "-", 2147483647, ["a"])
    assert cli.parse(COMMAND, "made", []).folder is None
