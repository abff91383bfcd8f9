"""Signals are noted, given back, and turned into exit codes."""

from __future__ import annotations

import contextlib
import io
import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from burn_tf.training.signals import StoppedBySignal, StopSignals

EITHER = pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])


@EITHER
def test_noted_and_said(number: signal.Signals, code: int) -> None:
    before = signal.getsignal(number)
    stream = io.StringIO()
    with pytest.raises(SystemExit) as left, StopSignals(stream) as stop, stop.noted():
        assert stop.number is None
        os.kill(os.getpid(), number)
        assert stop.number == number
        raise StoppedBySignal(number, "stage1 is saved at step 7")
    assert left.value.code == code
    assert signal.getsignal(number) == before
    expected = f"burn-tf: {number.name}: stage1 is saved at step 7; the same command goes on"
    assert stream.getvalue() == f"{expected} from there\n"


@EITHER
def test_nothing_under_way_leaves_at_once(number: signal.Signals, code: int) -> None:
    stream = io.StringIO()
    with pytest.raises(StoppedBySignal) as left, StopSignals(stream) as stop:
        with stop.noted():
            pass
        os.kill(os.getpid(), number)
        raise AssertionError("still here")
    assert left.value.code == code
    expected = f"burn-tf: {number.name}: what is saved stays; the same command goes on from there\n"
    assert stream.getvalue() == expected


@pytest.mark.parametrize("work_follows", [True, False])
def test_what_a_finalizer_swallows_is_found_later(work_follows: bool) -> None:
    class Dying:
        def __del__(self) -> None:
            with contextlib.suppress(SystemExit):  # As Python does, without its warning.
                os.kill(os.getpid(), signal.SIGTERM)

    stream = io.StringIO()
    reached = False
    with pytest.raises(StoppedBySignal) as left, StopSignals(stream) as stop:
        Dying()
        reached = True
        if work_follows:
            with stop.noted():
                raise AssertionError("work began")
    assert reached and left.value.code == 143
    assert stream.getvalue().count("SIGTERM: what is saved stays;") == 1


def test_a_second_interrupt_does_not_wait() -> None:
    with pytest.raises(KeyboardInterrupt), StopSignals() as stop, stop.noted():
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.number == signal.SIGINT
        os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("still here")


def test_other_threads_set_no_handlers() -> None:
    def handler_inside() -> object:
        with StopSignals():
            return signal.getsignal(signal.SIGTERM)

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(handler_inside).result() == signal.getsignal(signal.SIGTERM)
