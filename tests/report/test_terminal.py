"""Tables align on terminal cells; the progress line's arithmetic follows a clock of ours."""

from __future__ import annotations

import io
import math
import os
import re
import shutil
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burn_tf._checks import UserError
from burn_tf.report.terminal import ProgressLine, display_width, format_table, one_line


def test_table_literal():
    rows: list[dict[str, Any]] = [
        {"model": "raw pixels", "bits": 32, "top-1": 94.4},
        {"model": "BURN", "bits": 1, "top-1": 96.39, "note": "ours"},
        {"model": "none"},
    ]
    assert format_table(rows).split("\n") == [
        "model       bits  top-1  note",
        "----------  ----  -----  ----",
        "raw pixels    32  94.40",
        "BURN           1  96.39  ours",
        "none",
    ]


def test_columns_choose_and_order():
    rows = [{"a": 1, "b": 2}]
    assert format_table(rows, ["b", "c"]).split("\n") == ["b  c", "-  -", "2"]


def test_a_table_of_nothing():
    assert format_table([]) == ""
    assert format_table([], ["a"]) == "a\n-"


def _cells(text: str) -> int:
    """Terminal cells by Unicode's own classes, for texts without format characters."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


_NAMES = ["a", "漢字", "e\u0301te\u0301", "ＢＵＲＮ", "", "🦙", "x\ny"]


@given(st.lists(st.sampled_from(_NAMES), min_size=1))
def test_columns_begin_at_one_cell_whatever_the_script(names: list[str]):
    lines = format_table([{"name": name, "value": 7} for name in names]).split("\n")
    assert len(lines) == len(names) + 2
    assert len({_cells(line) for line in lines}) == 1
    assert all(line.endswith("7") for line in lines[2:])


def test_control_characters_cannot_reach_the_terminal():
    table = format_table([{"name": "a\x1b[2Jb\nc\td\r", "v": 1}])
    assert "\x1b" not in table and "\r" not in table and table.count("\n") == 2
    assert one_line("a\x1b[31m\n") == "a [31m"


def test_display_width():
    assert [display_width(t) for t in ("abc", "漢", "e\u0301", "\u200b", "")] == [3, 2, 1, 0, 0]


class _Stream(io.StringIO):
    """Text stream that may claim to be a terminal."""

    def __init__(self, tty: bool) -> None:
        super().__init__()
        self._is_tty = tty

    def isatty(self) -> bool:
        return self._is_tty


class _Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def _line(total: int, tty: bool = False, start: int = 0) -> tuple[ProgressLine, _Clock, _Stream]:
    clock, stream = _Clock(), _Stream(tty)
    return ProgressLine(total, "stage 1", stream, start=start, clock=clock), clock, stream


def test_time_left_of_an_even_job():
    line, clock, _ = _line(200)
    for step in range(1, 51):
        clock.now += 2.0
        line.update(step)
    assert line.rate(clock.now) == pytest.approx(0.5)
    assert line.seconds_left(clock.now) == pytest.approx(300.0)
    assert "50/200  0.5/s  1:40 gone  5:00 left" in line.text(clock.now)


def test_a_slow_first_step_does_not_spoil_the_rate():
    line, clock, _ = _line(1000)
    clock.now += 60.0
    line.update(1)
    assert line.seconds_left(clock.now) == pytest.approx(999 * 60.0)
    for step in range(2, 12):
        clock.now += 1.0
        line.update(step)
    assert line.rate(clock.now) == pytest.approx(1.0)
    assert line.seconds_left(clock.now) == pytest.approx(1000 - 11)


def test_the_rate_follows_a_change_of_pace():
    line, clock, _ = _line(10_000)
    step = 0
    for seconds, steps in ((1.0, 100), (4.0, 100)):
        for _ in range(steps):
            clock.now, step = clock.now + seconds, step + 1
            line.update(step)
    assert line.rate(clock.now) == pytest.approx(0.25)


def test_steps_of_an_earlier_run_do_not_count_for_the_rate():
    line, clock, _ = _line(100, start=60)
    clock.now += 1.0
    line.update(61)
    assert line.rate(clock.now) == pytest.approx(1.0)
    for step in range(62, 71):
        clock.now += 1.0
        line.update(step)
    assert line.rate(clock.now) == pytest.approx(1.0)
    assert line.seconds_left(clock.now) == pytest.approx(30.0)
    assert " 70 %  70/100" in line.text(clock.now)


def test_before_the_first_step_nothing_is_known():
    line, clock, _ = _line(10)
    clock.now += 3.0
    assert math.isnan(line.rate(clock.now)) and math.isnan(line.seconds_left(clock.now))
    assert "0/10  ?/s  0:03 gone  ? left" in line.text(clock.now)


def test_a_clock_that_stands_still_is_no_division_by_zero():
    line, clock, _ = _line(10)
    line.update(5)
    assert "5/10  ?/s  0:00 gone  ? left" in line.text(clock.now)


@pytest.mark.parametrize(
    ("total", "done", "shown"),
    [(0, 0, "[####################] 100 %"), (10, 12, "[####################] 100 %"),
     (1000, 999, "[###################.]  99 %"), (3, 0, "[....................]   0 %")],
)  # fmt: skip
def test_share(total: int, done: int, shown: str):
    line, clock, _ = _line(total)
    clock.now += 1.0
    line.update(done)
    assert f"stage 1 {shown}" in line.text(clock.now)


def test_without_a_terminal_a_line_comes_every_ten_seconds_and_at_the_end():
    line, clock, stream = _line(100)
    for step in range(1, 101):
        clock.now += 0.25
        line.update(step, loss=1.0 / step)
    assert len(stream.getvalue().splitlines()) == 2
    line.close()
    line.close()
    lines = stream.getvalue().splitlines()
    assert re.findall(r"(\d+)/100", "".join(lines)) == ["40", "80", "100"]
    assert lines[-1].endswith("0:00 left  loss 0.01")
    assert "\r" not in stream.getvalue()


def test_on_a_terminal_one_line_is_rewritten(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shutil, "get_terminal_size", lambda *_, **__: os.terminal_size((60, 20)))
    line, clock, stream = _line(10, tty=True)
    with line:
        line.update(1, name="a long text that the terminal has no room for at all")
        clock.now += 0.01
        line.update(2)
        clock.now += 5.0
        line.update(10)
    text = stream.getvalue()
    assert text.count("\n") == 1 and text.endswith("\n")
    shown = text.rstrip("\n").split("\r")[1:]
    assert len(shown) == 3, "step 2 came too soon to be drawn; the end is drawn again"
    assert all(len(part) <= 59 for part in shown)
    assert len(shown[1]) >= len(shown[0].rstrip())


def test_a_label_the_stream_cannot_encode_is_replaced():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    with ProgressLine(1, "λ(t)", stream) as line:
        line.update(1)
    assert raw.getvalue().startswith(b"?(t) [")


def test_the_line_ends_when_the_job_fails():
    line, _, stream = _line(10, tty=True)
    with pytest.raises(RuntimeError), line:
        line.update(1)
        raise RuntimeError
    assert stream.getvalue().endswith("\n")


def test_a_negative_total_is_refused():
    with pytest.raises(UserError, match="`total`"):
        ProgressLine(-1, "x")
