"""What is written to stderr is held back, and comes out where the work fails."""

from __future__ import annotations

import os

import pytest

from burn_tf._checks import UserError
from burn_tf.cli.quiet import quiet_stderr


def test_nothing_is_shown_when_all_goes_well(capfd: pytest.CaptureFixture[str]) -> None:
    with quiet_stderr():
        os.write(2, b"start-up talk\n")
    os.write(2, b"afterwards\n")
    assert capfd.readouterr().err == "afterwards\n"


def test_everything_is_shown_when_it_fails(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError, match="broken"), quiet_stderr():
        os.write(2, b"the reason\n")
        raise RuntimeError("broken")
    assert capfd.readouterr().err == "the reason\n"


@pytest.mark.parametrize("error", [UserError("no such file"), KeyboardInterrupt()])
def test_a_line_of_its_own_is_enough(
    error: BaseException, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(type(error)), quiet_stderr():
        os.write(2, b"start-up talk\n")
        raise error
    assert capfd.readouterr().err == ""
