"""Signals are noted, given back, and turned into exit codes."""

from __future__ import annotations

import io
import os
import signal
import threading

import pytest

from burn_tf.training.signals import StoppedBySignal, StopSignals


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_noted_and_said(number: signal.Signals, code: int) -> None:
    before = signal.getsignal(number)
    stream = io.StringIO()
    with pytest.raises(SystemExit) as left, StopSignals(stream) as stop:
        assert stop.number is None
        os.kill(os.getpid(), number)
        assert stop.number == number
        raise StoppedBySignal(number, "stage1 is saved at step 7")
    assert left.value.code == code
    assert signal.getsignal(number) == before
    expected = f"burn-tf: {number.name}: stage1 is saved at step 7; the same command goes on"
    assert stream.getvalue() == f"{expected} from there\n"


def test_a_second_interrupt_does_not_wait() -> None:
    with StopSignals() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.number == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_other_threads_set_no_handlers() -> None:
    found = []

    def look() -> None:
        with StopSignals():
            found.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert found == [before]
