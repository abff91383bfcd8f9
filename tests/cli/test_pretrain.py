"""`burn-tf pretrain`: mistakes are one line with exit code 2 and leave nothing behind."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from burn_tf.cli.main import main
from burn_tf.training.checkpoints import read_checkpoint


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["pretrain", *words]) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("burn-tf: error: ")
    assert "\n" not in error
    return error


def test_typos(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    work = f"--workdir={tmp_path / 'run'}"
    assert "Did you mean 'burn_digits'" in refused(
        capsys, "--recipe=burn_digit", "--data=digits", work
    )
    words = ("--recipe=burn_digits", "--data=digits", work)
    assert "Did you mean 'epochs'" in refused(capsys, *words, "--set=epoch=3")
    assert "Did you mean --workdir" in refused(capsys, "--recipe=burn_digits", "--workdr=x")
    assert "needs --recipe" in refused(capsys, "--data=digits", work)
    assert "`tpu` is for --strategy=tpu" in refused(capsys, *words, "--tpu=here")
    assert "needs --workdir" in refused(capsys, "--recipe=burn_digits", "--data=digits")
    assert not (tmp_path / "run").exists()


def test_bad_data(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    work = f"--workdir={tmp_path / 'run'}"
    empty = tmp_path / "empty"
    empty.mkdir()
    refused(capsys, "--recipe=burn_digits", f"--data={empty}", work)
    refused(capsys, "--recipe=burn_digits", f"--data={tmp_path / 'missing'}", work)
    assert not (tmp_path / "run").exists()


def test_batch_larger_than_the_data(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    work = f"--workdir={tmp_path / 'run'}"
    error = refused(capsys, "--recipe=msbreg_digits", "--data=synthetic:10", work)
    assert "batch" in error and "64" in error


def test_teacher_is_missing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    work = f"--workdir={tmp_path / 'run'}"
    words = ("--recipe=burn_paper", "--data=synthetic:8", work, "--set=batch_size=2")
    assert "teacher.weights" in refused(capsys, *words)


def test_workdir_is_a_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    work = f"--workdir={tmp_path / 'file'}"
    refused(capsys, "--recipe=msbreg_digits", "--data=synthetic:100", work)


@pytest.mark.parametrize(
    ("recipe", "setting", "message"),
    [
        ("wmse_digits", "batch_size=8", "batch"),
        ("moco_v2_digits", "method.queue_size=100", "`queue_size` must be a multiple"),
        ("vicreg_digits", "views.num_views=1", "`num_views`"),
        ("swav_digits", "method.num_prototypes=1", "`num_prototypes`"),
        ("simclr_v2_digits", "method.temperature=0", "`temperature`"),
        ("s2bnn_digits", "teacher.recipe=none", "teacher"),
        ("byol_digits", "views.policy=cifar,cifar,cifar", "`views.policy`"),
    ],
)
def test_refused_before_any_image_is_read(
    recipe: str, setting: str, message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = (f"--recipe={recipe}", f"--data={tmp_path / 'missing'}", f"--workdir={tmp_path / 'w'}")
    error = refused(capsys, *words, f"--set={setting}", "--set=backbone.name=reactnet_tiny")
    assert message in error and "missing" not in error


def test_micro_batches(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ("--recipe=byol_digits", "--data=digits", f"--workdir={tmp_path / 'run'}")
    error = refused(capsys, *words, "--accumulate=5")
    assert "`batch_size` must be a multiple of `accumulate` = 5" in error and "64" in error
    assert "accumulate" in refused(capsys, *words, "--accumulate=0")
    assert "leaves 1 images" in refused(capsys, *words, "--accumulate=64")
    assert not (tmp_path / "run").exists()


def small_file_systems() -> bool:
    """Whether this user may mount one, seen by the processes it starts alone."""
    if shutil.which("unshare") is None:
        return False
    mount = "mount -t tmpfs -o size=64k tmpfs /mnt"
    tried = subprocess.run(["unshare", "-rm", "sh", "-c", mount], capture_output=True)
    return tried.returncode == 0


@pytest.mark.slow
def test_a_disk_that_is_full(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file system with room for two checkpoints and a half; what it holds goes on elsewhere."""
    if not small_file_systems():
        pytest.skip("no file system can be mounted here")
    words = ["pretrain", "--recipe=supervised_digits", "--data=synthetic:40", "--set=batch_size=8"]
    words += ["--set=backbone.name=reactnet_tiny", "--set=backbone.width=1", "--set=stages=both"]
    words += ["--checkpoint_seconds=0.001", "--set=max_steps=4"]
    whole, disk, saved = (tmp_path / name for name in ("whole", "disk", "saved"))
    disk.mkdir()
    assert main([*words, f"--workdir={whole}"]) == 0
    newest = whole / "checkpoints" / "stage1" / "checkpoint-0000000004.burn"
    room = int(2.5 * newest.stat().st_size) + 2**15
    script = 'mount -t tmpfs -o size="$0" tmpfs "$1" && "${@:3}"; end=$?; '
    script += 'cp -r "$1" "$2"; exit $end'
    command = [sys.executable, "-m", "burn_tf", *words, f"--workdir={disk}/run"]
    ended = subprocess.run(
        ["unshare", "-rm", "bash", "-c", script, str(room), disk, saved, *command],
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 2, ended.stderr
    line = ended.stderr.splitlines()[-1]
    assert "checkpoint-0000000003.burn: No space left on device (free some space there" in line
    left = sorted(path.name for path in saved.rglob("*.burn"))
    assert left == ["checkpoint-0000000001.burn", "checkpoint-0000000002.burn"]
    assert main([*words, f"--workdir={saved}/run"]) == 0
    resumed = saved / "run" / newest.relative_to(whole)
    states = [read_checkpoint(path)[1] for path in (newest, resumed)]
    for value, wanted in zip(*states, strict=True):
        assert value.tobytes() == wanted.tobytes()
