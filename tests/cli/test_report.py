"""`burn-tf report` from its words to the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from burn_tf.cli import main as cli
from tests.report.made_runs import comparison_table, record, training, write

NEAR = ("--model=raw_pixels", "--data=digits", "--image_size=8", "--images=100", "--queries=3")


def report(*words: object) -> int:
    return cli.main(["report", *map(str, words)])


@pytest.fixture
def result(tmp_path: Path) -> Path:
    return write(tmp_path / "result.json", record("knn:5", top1=90.25))


def test_runs_of_all_kinds_are_on_the_page(
    result: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "compared" / "table.json", comparison_table())
    page = tmp_path / "page.html"
    words = [result, tmp_path / "compared", f"--html={page}", training(tmp_path / "run")]
    assert report(*words) == 0
    shown = capsys.readouterr().out
    assert "Nearest neighbours\nmodel  top-1 %" in shown and "90.25" in shown
    text = page.read_text(encoding="utf-8")
    # The comparison is worded as `burn-tf compare` words it.
    for expected in ("90.25", "90.00 ± 0.50", "BYOL, seed 2 failed: diverged", "Loss terms"):
        assert expected in text
    assert shown.endswith(f"page: {page}\n") and "<script" not in text


def test_a_run_may_be_a_flag(result: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert report(f"--run={result}", training(tmp_path / "run"), f"--html={page}") == 0
    text = page.read_text(encoding="utf-8")
    assert "90.25" in text and "Training of run" in text


def test_the_page_is_named_report_and_may_have_a_title(
    result: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert report(result, "--title=Digits today") == 0
    assert "<h1>Digits today</h1>" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_images_stand_beside_their_nearest_neighbours(result: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert report(result, *NEAR, "--neighbours=2", f"--html={page}") == 0
    text = page.read_text(encoding="utf-8")
    assert text.count('<div class="card strip">') == 3 and text.count("<img ") == 3 * (1 + 2)
    assert "100 of its 1438 training images" in text


def test_neighbours_are_those_of_the_features(
    result: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from burn_tf.cli.pictures import load_pixels
    from burn_tf.report import neighbours as module

    seen: dict[str, Any] = {}
    original = module.neighbour_section

    def remember(indices: np.ndarray, similarities: np.ndarray, **options: object) -> object:
        seen.update(options, indices=indices, similarities=similarities)
        return original(indices, similarities, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "neighbour_section", remember)
    assert report(result, *NEAR, "--neighbours=2", f"--html={tmp_path / 'page.html'}") == 0
    bank, queries = load_pixels("digits", "train", 8, 100), load_pixels("digits", "test", 8, 3)
    # Raw pixels are features around zero: what `preprocess_input` makes of 0..255.
    from burn_tf.data import preprocess_input

    rows = [np.asarray(preprocess_input(p.astype(np.float32))).reshape(len(p), -1).astype(float)
            for p in (bank, queries)]  # fmt: skip
    unit = [r / np.linalg.norm(r, axis=1, keepdims=True) for r in rows]
    expected = np.sort(unit[1] @ unit[0].T, axis=1)[:, ::-1][:, :2]
    np.testing.assert_allclose(seen["similarities"], expected, atol=1e-5)
    order = np.argsort(-(unit[1] @ unit[0].T), axis=1)[:, :2]
    np.testing.assert_array_equal(np.asarray(seen["bank"])[seen["indices"]], bank[order])
    np.testing.assert_array_equal(seen["queries"], queries)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "`run` must be a JSON file of `burn-tf evaluate`"),
        (["no/such/run.json"], "which does not exist"),
        (["RESULT", "RESULT"], "must name each run once"),
        (["RESULT", "--html=no/such/page.html"], "`html` must lie in a folder that exists"),
        (["RESULT", "--model=raw_pixels"], "`model` needs --data as well"),
        (["RESULT", "--data=digits"], "`data` needs --model as well"),
        (["RESULT", "--queries=3"], "`queries` is for nearest neighbours"),
        (["RESULT", "--neighbours=0"], "--neighbours=0"),
        (["RESULT", "--model=raw_pixels", "--data=digits"], "--image_size=PIXELS"),
        (["RESULT", *NEAR, "--neighbours=101"], "`k` must be at most"),
        (["RESULT", "--hmtl=x"], "Did you mean --html?"),
    ],
)
def test_mistakes(
    words: list[str], expected: str, result: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert report(*(result if word == "RESULT" else word for word in words)) == 2
    shown = capsys.readouterr().err
    assert expected in shown and shown.count("\n") == 1
    assert not (tmp_path / "report.html").exists()


def test_the_help_says_what_a_run_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert report("--help") == 0
    shown = capsys.readouterr().out
    assert "Usage: burn-tf report RUN... [--flag=value ...]" in shown
    assert "a work directory of `burn-tf pretrain`" in shown.replace("\n", " ")
