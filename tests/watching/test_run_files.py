"""Plans, rates and times from files written by hand."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from burn_tf._checks import UserError
from burn_tf.watching import run_files
from burn_tf.watching.run_files import (
    figures_of,
    last_lines,
    mean_share_of_waiting,
    mean_steps_per_second,
    parsed,
    parts_of,
    read_plan,
    share_of_waiting,
    steps_per_second,
)
from tests.watching.conftest import line


def test_names_in_a_work_directory_stay() -> None:
    """Users' scripts, and work directories of earlier versions, have these."""
    names = (run_files.RUN_FILE, run_files.METRICS_FILE, run_files.BACKBONE_FILE)
    assert names == ("run.json", "metrics.jsonl", "backbone.keras")
    assert run_files.TEACHER_FOLDER == "teacher"
    heads = {"projector": "projector.keras", "classifier": "classifier.keras"}
    assert heads == run_files.HEAD_FILES


def test_plan(make_run: Callable[..., Path], tmp_path: Path) -> None:
    plan = read_plan(make_run())
    assert (plan.recipe, plan.stages, plan.steps, plan.batch_size) == ("toy", 2, 9, 8)
    cut = read_plan(make_run(folder=tmp_path / "cut", max_steps=4, stages=["none"]))
    assert (cut.stages, cut.steps) == (1, 4)
    with pytest.raises(UserError, match=r"check the path\. Received: .*nowhere.*without run\.json"):
        read_plan(tmp_path / "nowhere")
    for damage in ("{", json.dumps({"recipe": {}}), "[]"):
        (tmp_path / "cut" / "run.json").write_text(damage)
        with pytest.raises(ValueError) as raised:
            read_plan(tmp_path / "cut")
        assert not isinstance(raised.value, UserError)


def test_lines_and_figures(make_run: Callable[..., Path], tmp_path: Path) -> None:
    assert last_lines(tmp_path) == []
    folder = make_run([line(1, step, float(step), loss=0.5) for step in range(3000)])
    with open(folder / "metrics.jsonl", "a") as file:
        file.write('{"stage": "stage1", "st')
    found = last_lines(folder)
    assert found[-1] == line(1, 2999, 2999.0, loss=0.5)
    assert 500 < len(found) < 3000
    assert [row["step"] for row in found] == list(range(found[0]["step"], 3000))
    assert parsed(["[]", '{"step": 1}', "", json.dumps(line(1, 1, 0.0))]) == [line(1, 1, 0.0)]
    for damage in ({"step": "x"}, {"time": "a"}, {"time": math.nan}, {"stage": 1}, {"step": None}):
        assert parsed([json.dumps({**line(1, 1, 0.0), **damage})]) == []
    row = line(1, 2, 3.0, loss=0.5, grad_norm=math.nan)
    assert figures_of({**row, "note": "text"}) == {"loss": 0.5}


def test_rate_is_of_this_process_and_stage() -> None:
    # Ten steps at 2 a second after a slow first one, behind another part's lines.
    earlier = [line(1, step, 10.0 * step) for step in range(1, 5)]
    again = [line(1, 3 + k, 30.0 + 0.5 * k) for k in range(11)]
    assert steps_per_second(earlier) == pytest.approx(0.1)
    assert steps_per_second([*earlier, *again]) == pytest.approx(2.0)
    stage2 = [line(2, 1, 60.0), line(2, 2, 64.0)]
    assert steps_per_second([*again, *stage2]) == pytest.approx(0.25)
    assert math.isnan(steps_per_second([*again, stage2[0]]))
    assert math.isnan(steps_per_second([]))
    # Only the last 40 lines count.
    slow_then_fast = [line(1, k, float(k)) for k in range(100)]
    slow_then_fast += [line(1, 100 + k, 100 + 0.1 * k) for k in range(40)]
    assert steps_per_second(slow_then_fast) == pytest.approx(10.0)


def test_parts() -> None:
    assert parts_of([]) == [] and math.isnan(mean_steps_per_second([]))
    parts = [
        [line(1, 1, 4.0), line(1, 2, 5.0)],
        # Started again: time counts from 0.
        [line(1, 3, 2.0), line(1, 4, 3.0)],
        # The next stage, later than the last line by its own clock.
        [line(2, 1, 7.0), line(2, 2, 8.0)],
    ]
    lines = [row for part in parts for row in part]
    assert parts_of(lines) == parts
    # One update a second, the first of each part left out.
    assert mean_steps_per_second(lines) == 1.0


def test_share_of_waiting() -> None:
    assert math.isnan(share_of_waiting([])) and math.isnan(mean_share_of_waiting([]))
    # Twice a second after a first update that waited long, half a second of each four for images.
    first = [line(1, 1, 60.0, wait_seconds=50.0)]
    first += [line(1, 1 + k, 60 + 0.5 * k, wait_seconds=0.0625) for k in range(1, 9)]
    # Every second one is logged, of a process that was started again: a tenth of a second each.
    again = [line(1, 9 + 2 * k, 5.0 + k, wait_seconds=0.1) for k in range(5)]
    assert share_of_waiting(first) == 0.125
    assert share_of_waiting([*first, *again]) == pytest.approx(0.2)
    # 8 updates in 4 seconds twice; 8 waits of a 16th second and 4 of a tenth.
    assert mean_share_of_waiting([*first, *again]) == pytest.approx(2 * (0.5 + 0.4) / 12)
    assert math.isnan(share_of_waiting([line(1, k, float(k)) for k in range(1, 4)]))
