"""Runs of every kind are read, told apart and named; anything else is refused in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from burn_tf._checks import UserError
from burn_tf.report.runs import read_runs
from tests.report.made_runs import comparison_table, record, training, write


def test_a_file_holds_one_result_or_a_list(tmp_path: Path) -> None:
    one = write(tmp_path / "one.json", record("knn:5", top1=90.0))
    two = write(tmp_path / "two.json", [record("knn:20", top1=91.0), record("knn:200", top1=89.0)])
    records = read_runs([one, two]).records
    assert [r.protocol for r in records] == ["knn:5", "knn:20", "knn:200"]
    assert [r.metrics for r in records] == [{"top1": 90.0}, {"top1": 91.0}, {"top1": 89.0}]
    assert [(r.task, r.data, r.model, r.file) for r in records[:2]] == [
        ("knn", "digits", "tiny", one),
        ("knn", "digits", "tiny", two),
    ]


def test_results_that_could_be_mixed_up_get_their_file_s_name(tmp_path: Path) -> None:
    same = [record("knn:5", top1=90.0), record("knn:5", top1=90.0, backbone="other")]
    files = [write(tmp_path / folder / "r.json", same[0]) for folder in ("a", "b")]
    files.append(write(tmp_path / "c.json", same[0]))
    files.append(write(tmp_path / "d.json", same[1]))
    models = [r.model for r in read_runs(files).records]
    assert models == [f"tiny ({files[0]})", f"tiny ({files[1]})", "tiny (c)", "other"]


def test_a_record_without_details_is_a_record(tmp_path: Path) -> None:
    bare = {"protocol": "knn:5", "metrics": {}, "provenance": {"data": "digits"}}
    (found,) = read_runs([write(tmp_path / "bare.json", bare)]).records
    assert (found.model, found.data, found.task) == ("bare", "", "knn")


def test_a_training_is_a_folder_with_metrics(tmp_path: Path) -> None:
    folders = [training(tmp_path / name) for name in ("x/run", "y/run", "z")]
    trainings = read_runs(folders).trainings
    assert [t.label for t in trainings] == [str(folders[0]), str(folders[1]), "z"]
    assert [t.file for t in trainings] == [folder / "metrics.jsonl" for folder in folders]


@pytest.mark.parametrize("named", ["table.json", ""])
def test_a_comparison_brings_the_curves_beside_it(tmp_path: Path, named: str) -> None:
    write(tmp_path / "table.json", comparison_table())
    training(tmp_path / "burn-2")
    runs = read_runs([tmp_path / named])
    (comparison,) = runs.comparisons
    assert comparison.table["title"] == "Methods side by side" and not runs.records
    assert list(comparison.curves) == ["BURN, seed 2"]
    assert list(comparison.curves["BURN, seed 2"].stages) == ["stage1"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "which does not exist"),
        ("{", "which is not JSON"),
        ("[1]", "which lacks protocol, metrics, provenance"),
        (json.dumps({"kind": "ema", "rows": []}), "which lacks protocol"),
        (json.dumps({"protocol": "p", "metrics": 3, "provenance": {}}), "are no JSON object"),
        (json.dumps(record("knn:5", top1=float("nan"))), "whose metric 'top1' is nan"),
        (json.dumps(record("knn:5", top1="high")), "whose metric 'top1' is 'high'"),
        (json.dumps(record("knn:5", top1=10**400)), "whose metric 'top1' is 1000"),
        ("[]", "which holds no result"),
        ("[" * 100_000, "which is not JSON"),
        (json.dumps({"title": "", "rows": [3], "probes": [], "seeds": [1]}), "a damaged table"),
        (json.dumps({"title": "", "rows": 3, "probes": []}), "a damaged table"),
    ],
)
def test_files_of_something_else(tmp_path: Path, content: str | None, expected: str) -> None:
    path = tmp_path / "run.json"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match="`run` must be a JSON file of `burn-tf evaluate`") as found:
        read_runs([path])
    assert expected in str(found.value) and str(path) in str(found.value)


def test_folders_of_something_else(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a folder without metrics.jsonl or table.json"):
        read_runs([tmp_path])
    (tmp_path / "metrics.jsonl").write_text("damaged\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"whose metrics.jsonl has no readable line"):
        read_runs([tmp_path])


def test_none_and_the_same_twice(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Received: none"):
        read_runs([])
    path = write(tmp_path / "r.json", record("knn:5", top1=1.0))
    again: Any = tmp_path / "." / "r.json"
    with pytest.raises(UserError, match=r"r.json' twice"):
        read_runs([path, again])
