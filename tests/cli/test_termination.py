"""SIGTERM ends a command in order: exit code 143, one line, no temporary file left."""

from __future__ import annotations

import os
import signal
import sys
import types
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from absl import flags as absl_flags

from burn_tf._files import atomic_path
from burn_tf.cli import main as cli
from burn_tf.cli.termination import Terminated, termination_raised


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_nothing_half_written_stays(
    number: signal.Signals,
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = types.ModuleType("burn_tf.cli.write", "Write a file.\n")

    def run(flags: absl_flags.FlagValues) -> int:
        with atomic_path(tmp_path / "result.json") as temporary:
            temporary.write_text("half")
            os.kill(os.getpid(), number)
        raise AssertionError("still here")

    command.register = lambda flags: None  # type: ignore[attr-defined]
    command.run = run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "burn_tf.cli.write", command)
    monkeypatch.setitem(cli.COMMANDS, "write", "write a file")
    before = {n: signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        assert cli.main(["write"]) == code
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        for known, handler in before.items():
            signal.signal(known, handler)
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_handler_that_is_there_stays() -> None:
    seen: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
    try:
        with termination_raised():
            os.kill(os.getpid(), signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert seen == [signal.SIGTERM]


def test_other_threads_set_none() -> None:
    def handler_inside() -> object:
        with termination_raised():
            return signal.getsignal(signal.SIGTERM)

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(handler_inside).result() == signal.getsignal(signal.SIGTERM)
    assert issubclass(Terminated, KeyboardInterrupt)
