"""The figures of the table, from made-up runs whose means are known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from burn_tf.compare import Comparison
from burn_tf.compare.table import Outcome, shown

Make = Callable[..., Comparison]


def test_means_deviations_and_costs(compared: Make, fake: Any) -> None:
    runs = fake({"byol": 60.0})
    comparison = compared(runs, methods=("byol", "raw_pixels"), seeds=(1, 2, 6))
    byol, pixels = comparison.run()["rows"]
    # Top-1 61, 62, 66: mean 63, sample variance (4 + 1 + 9) / 2.
    assert byol["probes"]["knn:5"]["mean"] == pytest.approx(63.0)
    assert byol["probes"]["knn:5"]["deviation"] == pytest.approx(7**0.5)
    assert byol["seconds"] == pytest.approx(30.0) and byol["peak_bytes"] == 6 << 20
    # 16 images in half a second, whatever the interruption.
    assert byol["images_per_second"] == pytest.approx(32.0)
    assert byol["feature_std"] == pytest.approx(0.5) and byol["collapsed"] == 0
    assert pixels["probes"]["knn:5"] == {"mean": 51.0, "deviation": None, "values": [51.0]}
    assert pixels["seconds"] is pixels["collapsed"] is pixels["images_per_second"] is None


@pytest.mark.parametrize(("deviation", "collapsed"), [(0.049, 1), (0.051, 0)])
def test_collapse(compared: Make, fake: Any, deviation: float, collapsed: int) -> None:
    comparison = compared(fake(deviation=deviation), methods=("byol", "untrained"))
    byol, untrained = comparison.run()["rows"]
    assert byol["collapsed"] == collapsed
    # Nothing was trained: a narrow spread there is no collapse.
    assert untrained["collapsed"] is None


def test_a_run_that_stopped_early_can_have_collapsed(compared: Make, fake: Any) -> None:
    runs = fake(deviation=0.001)
    comparison = compared(runs, methods=("byol",))
    (run,) = comparison.plan.runs
    run.folder.mkdir(parents=True)
    runs.write_metrics(run.folder)
    outcome = Outcome.read(run)
    assert outcome.collapsed() is True and outcome.describe() == "not finished"


def test_a_run_cut_off_before_its_first_update_has_no_figures(compared: Make, fake: Any) -> None:
    comparison = compared(fake(), methods=("byol",))
    (run,) = comparison.plan.runs
    run.folder.mkdir(parents=True)
    (run.folder / "metrics.jsonl").write_text("")
    outcome = Outcome.read(run)
    assert outcome.feature_std() is None and outcome.collapsed() is None
    (run.folder / "failure.json").write_text("{}")
    assert Outcome.read(run).describe() == "failed: for a reason that was not written down"


def test_runs_that_did_not_finish_have_no_part_in_the_means(compared: Make, fake: Any) -> None:
    runs = fake()
    comparison = compared(lambda job: runs.write_metrics(job.run.folder) or -9, methods=("byol",))
    comparison.plan.runs[0].folder.mkdir(parents=True)
    (row,) = comparison.run()["rows"]
    assert row["feature_std"] is row["images_per_second"] is row["collapsed"] is None


def test_reported_figures_are_marked(compared: Make, fake: Any) -> None:
    comparison = compared(fake(), methods=(), preset="burn_table6")
    table = comparison.run()
    cells = {row["method"]: row["reported"] for row in shown(table)}
    assert cells["BURN, cosine"] == "62.29 (authors)" and cells["BURN, l1"] == "51.46 (authors)"
    text = comparison.text(table)
    assert "reported by the authors, ImageNet, ReActNet-A; all other figures are ours" in text


def test_two_forms_of_one_method_have_two_names(compared: Make, fake: Any) -> None:
    rows = compared(fake(), methods=("burn", "burn_authors", "swav")).run()["rows"]
    titles = ["float teacher (MSBReg)", "BURN", "BURN, authors' code", "SwAV"]
    assert [row["title"] for row in rows] == titles


def test_an_optimizer_of_its_own_is_said(compared: Make, fake: Any) -> None:
    notes = compared(fake(), methods=("moco_v2", "moco_v2_tuned")).run()["notes"]
    said = [note for note in notes if "optimizer of its own" in note]
    assert said == [
        "moco_v2_tuned has an optimizer of its own, which nothing is set for: adam, rate 0.0003, "
        "without warm-up."
    ]


def test_what_was_set_for_all_rows_is_said(compared: Make, fake: Any) -> None:
    given = ("regularizer.brownian=0.5", "optimizer.weight_decay=0.1")
    table = compared(fake(), methods=("msbreg", "simsiam"), overrides=given).run()
    assert table["settings"] == list(given)
    notes = "\n".join(table["notes"])
    assert "Set for all rows: regularizer.brownian=0.5, optimizer.weight_decay=0.1." in notes
    assert "added to a method's own" in notes


def test_unknown_figures_are_not_invented(compared: Make, fake: Any) -> None:
    preset = "msbreg_table8"
    comparison = compared(fake(), methods=(), preset=preset, stages="float")
    table = comparison.run()
    assert {row["reported"] for row in shown(table)} == {"not known here"}
    assert "reported: not known here" in comparison.text(table)


def test_an_ablation_of_ours_has_no_column_for_papers(compared: Make, fake: Any) -> None:
    rows = shown(compared(fake(), methods=(), preset="burn_forms").run())
    assert len(rows) == 7 and all("reported" not in row for row in rows)
