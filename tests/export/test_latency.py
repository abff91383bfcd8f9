"""Latencies are medians of turns; the report says what ran, where, and what cannot be told."""

from __future__ import annotations

import json
import types

import pytest

from burn_tf._checks import UserError
from burn_tf.export import latency
from burn_tf.export.latency import compare, measure, memory_of, operators_of, time_calls
from burn_tf.export.machine import describe_machine
from tests.export import stock_files


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """A clock that only the timed functions move."""
    state = {"now": 100.0}
    fake = types.SimpleNamespace(perf_counter=lambda: state["now"])
    monkeypatch.setattr(latency, "time", fake)
    return state


def test_median_and_percentile(clock):
    waits = iter([9.0, 9.0, *(0.001 * step for step in (3, 1, 2, 10, 4, 5, 7, 6, 9, 8))])

    def call() -> None:
        clock["now"] += next(waits)

    found = time_calls({"a": call}, runs=10, warmup=2, threads=3)["a"]
    # Of 1 to 10 ms; the two slow calls of the warm-up are left out.
    assert found.median_ms == pytest.approx(5.5) and found.p90_ms == pytest.approx(9.1)
    assert (found.runs, found.threads) == (10, 3)


def test_files_take_turns(clock):
    order = []
    calls = {name: lambda name=name: order.append(name) for name in "ab"}
    time_calls(calls, runs=7, warmup=1, threads=1)
    assert "".join(order) == "ab" + "aaaaabbbbb" + "aabb"


@pytest.mark.parametrize(("runs", "warmup"), [(0, 0), (1, -1), (1.5, 0)])
def test_counts_are_checked(runs, warmup):
    with pytest.raises(UserError, match="whole number"):
        time_calls({"a": lambda: None}, runs=runs, warmup=warmup, threads=1)


def test_a_stock_file_is_measured():
    report = measure(stock_files.divided_file(), threads=(2, 1), runs=6)
    assert report.runtime == "litert" and report.size_bytes == len(stock_files.divided_file())
    assert [(found.threads, found.runs) for found in report.latencies] == [(2, 6), (1, 6)]
    assert all(0 < found.median_ms <= found.p90_ms for found in report.latencies)
    assert 0 < report.peak_memory_bytes < 64 * 2**20
    assert "CUMSUM" in report.kernels and "2 threads" in report.operators_note
    assert [row.name for row in report.operators if not row.delegated] == ["CUMSUM"]
    times = [row.milliseconds for row in report.operators]
    # The runtime counts whole microseconds, which may all be 0 here.
    assert times == sorted(times, reverse=True) and min(times) >= 0
    shown = str(report)
    assert "CUMSUM (built-in kernel)" in shown and report.machine.cpu in shown


def test_an_lce_file_is_measured_and_its_silence_said(exported):
    report = measure(exported.flatbuffer, threads=[1], runs=2, warmup=0)
    assert report.runtime == "lce" and report.operators == ()
    assert "does not tell" in report.operators_note and "LCE" in report.kernels
    assert 0 < report.peak_memory_bytes < 64 * 2**20


def test_the_report_is_plain_data():
    report = measure(stock_files.float_file(), threads=[1], runs=2)
    data = json.loads(json.dumps(report.to_dict()))
    assert data["latencies"][0]["median_ms"] == report.latencies[0].median_ms
    assert data["operators"][0]["name"] == report.operators[0].name
    assert data["machine"]["versions"]["ai-edge-litert"]


def test_files_are_compared_in_one_run(monkeypatch):
    """Both files are loaded before either is timed, once per number of threads."""
    seen = []

    def timed(calls, **arguments):
        seen.append((sorted(calls), arguments["threads"]))
        return time_calls(calls, **arguments)

    monkeypatch.setattr(latency, "time_calls", timed)
    monkeypatch.setattr(latency, "memory_of", lambda *given, **named: 5)
    monkeypatch.setattr(latency, "operators_of", lambda *given, **named: ((), "left out"))
    files = {"float": stock_files.float_file(), "int8": stock_files.int8_file()}
    reports = compare(files, threads=(1, 2, 1), runs=2)
    assert seen == [(["float", "int8"], 1), (["float", "int8"], 2)]
    assert {name: report.size_bytes for name, report in reports.items()} == {
        name: len(data) for name, data in files.items()
    }


def test_work_takes_longer_than_none():
    """A file of 4 million multiplications against one of a few thousand."""
    files = {"small": stock_files.float_file(), "large": stock_files.large_file()}
    small, large = (report.latencies[0] for report in compare(files, threads=[1], runs=9).values())
    assert large.median_ms > 3 * small.median_ms


def test_memory_is_that_of_the_file():
    assert memory_of(stock_files.large_file(), "litert") > len(stock_files.large_file())


def test_a_profiler_that_fails_is_named(monkeypatch):
    def refuse(*arguments: object) -> None:
        raise UserError("no such library")

    monkeypatch.setattr(latency, "call_isolated", refuse)
    assert operators_of(b"", "litert") == ((), "LiteRT's profiler told nothing: no such library")


@pytest.mark.parametrize(("files", "threads"), [({}, [1]), ({"a": b""}, [])])
def test_nothing_to_measure(files, threads):
    with pytest.raises(UserError, match="at least one entry"):
        compare(files, threads=threads)


def test_a_file_that_cannot_be_loaded():
    with pytest.raises(UserError, match=r"bytes of a \.tflite file"):
        measure(b"nothing")


def test_operators_too_short_for_the_clock():
    """The runtime counts whole microseconds: the parts of a tiny file may all have taken 0."""
    rows = (latency.OperatorTime("Convolution", 2, 0.0, True),)
    latencies = (latency.Latency(1, 0.01, 0.01, 3),)
    report = latency.LatencyReport("litert", 9, latencies, 0, rows, "", "", describe_machine())
    assert "0.000 ms    0.0%     2 x  Convolution" in str(report)
