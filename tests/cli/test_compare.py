"""`burn-tf compare`: the table on the terminal, exit codes, and mistakes that leave nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from burn_tf.cli.main import main
from burn_tf.compare import comparison
from burn_tf.compare.worker import Job

WORDS = ("--data=digits", "--budget=2", "--backbone=reactnet_tiny", "--width=1", "--images=64")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--methods=byl",), "Did you mean 'byol'"),
        (("--methods=byol,byol",), "twice"),
        (("--methods=byol", "--seeds=1,x"), "`seeds` must be whole numbers"),
        (("--methods=byol", "--seeds=2147483648"), "from 0 to 2147483647"),
        (("--methods=byol", "--budget=1"), "`budget`"),
        (("--preset=burn_table9",), "Did you mean 'burn_table"),
        ((), "one of `methods` and `preset`"),
        (("--methods=byol", "--json=no/such/folder.json"), "`json`"),
    ],
)
def test_mistakes(
    words: tuple[str, ...], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    work = tmp_path / "work"
    assert main(["compare", *WORDS, *words, f"--workdir={work}"]) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("burn-tf: error: ") and message in error and "\n" not in error
    assert not work.exists()


@pytest.mark.parametrize("name", ["json", "html"])
def test_a_file_in_the_comparisons_own_folder(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*WORDS, "--methods=byol", f"--workdir={tmp_path}", f"--{name}={tmp_path}/table.json"]
    assert main(["compare", *words]) == 2
    assert f"`{name}` must not be inside --workdir" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("fails", [False, True])
def test_table_files_and_exit_code(
    fails: bool,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    jobs: list[Job] = []

    def fake(job: Job) -> int:
        jobs.append(job)
        job.run.folder.mkdir(parents=True, exist_ok=True)
        result = {"probes": {"knn:5": {"top1": 43.25}}, "test_feature_std": 0.5}
        if not fails:
            cost = {"seconds": 75.0, "peak_bytes": 3 << 20}
            (job.run.folder / "result.json").write_text(json.dumps(result | cost))
        return int(fails)

    monkeypatch.setattr(comparison, "run_in_process", fake)
    files = (f"--json={tmp_path / 'a.json'}", f"--html={tmp_path / 'a.html'}")
    words = ("--methods=byol", "--probes=knn:5", "--set=batch_size=8", "--strict", *files)
    assert main(["compare", *WORDS, *words, f"--workdir={tmp_path / 'work'}"]) == int(fails)
    shown = capsys.readouterr()
    assert ("43.25" in shown.out) != fails and "[1/1] byol, seed 1" in shown.err
    assert ("exit code 1" in shown.out) == fails and ("1:15" in shown.out) != fails
    (job,) = jobs
    assert job.run.recipe is not None and job.run.recipe.batch_size == 8 and job.strict
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "work" / "table.json").read_bytes()
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "work" / "report.html").read_bytes()
