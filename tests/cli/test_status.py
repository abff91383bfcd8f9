"""`burn-tf status`: text, JSON, and one line for a folder without a run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from burn_tf.cli.main import main

RECIPE = {"name": "toy", "batch_size": 8, "epochs": 1, "max_steps": None, "stages": ["none"]}
LINE = '{"stage": "stage1", "step": 2, "time": 1.5, "loss": 0.25}\n'


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps({"recipe": RECIPE, "data": "f", "images": 80}))
    (folder / "metrics.jsonl").write_text(LINE)
    return folder


def test_text_of_several(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["status", "run", f"--workdir={run}"]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert sorted(rows[::3]) == sorted(["run: stopped, recipe toy", f"{run}: stopped, recipe toy"])
    assert rows[1].startswith("  stage 1 of 1, step 2 of 10, last step 0:")
    assert rows[2] == "  loss 0.25"


def test_json(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", str(run), "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["state"], found["step"], found["total_steps"]) == ("stopped", 2, 10)
    assert found["figures"] == {"loss": 0.25} and found["checkpoint"] is None


def test_no_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, said in ((["status", str(tmp_path)], "without run.json"), (["status"], "none")):
        assert main(words) == 2
        error = capsys.readouterr().err.strip()
        assert error.startswith("burn-tf: error: `workdir` must be a work directory")
        assert error.endswith(said) and "\n" not in error
