"""The example learns, writes what it says, and needs nothing but installed packages."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from burn_tf.convert import save_packed
from burn_tf.layers import BatchNorm, BinaryConv2D, RPReLU, RSign
from tests.packaging.wheel import ROOT, build_wheel

SCRIPT = ROOT / "examples" / "finetune.py"
NO_NETWORK = """
import socket

def refuse(*args, **kwargs):
    raise OSError("the network is off")

socket.getaddrinfo = socket.create_connection = socket.socket.connect = refuse
"""


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("finetune", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["finetune"] = module
    spec.loader.exec_module(module)
    return module


def small_backbone() -> tf.keras.Model:
    """Two binary layers on a float one: 16 px, features [B, 64]."""
    images = x = tf.keras.Input((16, 16, 3))
    x = BatchNorm()(tf.keras.layers.Conv2D(32, 3, 2, padding="same", use_bias=False)(x))
    for filters, strides in ((64, 2), (64, 1)):
        x = BinaryConv2D(filters, 3, strides)(RSign()(x))
        x = RPReLU()(BatchNorm()(x))
    return tf.keras.Model(images, tf.keras.layers.GlobalAveragePooling2D()(x))


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A packed file of a small backbone that has learned nothing yet."""
    tf.keras.utils.set_random_seed(0)
    path = tmp_path_factory.mktemp("backbone") / "small.safetensors"
    save_packed(small_backbone(), path)
    return path


def accuracy_in(text: str) -> float:
    (found,) = re.findall(r"^accuracy ([0-9.]+) on 359 test images of 10 classes$", text, re.M)
    return float(found)


def test_learns_and_both_files_agree(
    example: ModuleType,
    backbone: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    words = [f"--backbone={backbone}", f"--output={tmp_path}", "--freeze=0", "--epochs=8"]
    assert example.main(words) == 0
    shown = capfd.readouterr().out
    assert accuracy_in(shown) > 0.5
    assert "model.keras: in a fresh process the outputs differ by 0" in shown
    assert "2 binary layers, LCE agrees on 100.0 % of 64 images" in shown
    assert (tmp_path / "model.tflite").stat().st_size > 1000
    assert tf.keras.models.load_model(tmp_path / "model.keras").output_shape == (None, 10)


def test_the_head_alone_on_folders_of_pictures(
    example: ModuleType, backbone: Path, tmp_path: Path
) -> None:
    """Frozen, the backbone keeps its weights, and its statistics are those of these images."""
    random = np.random.default_rng(0)
    for label, level in (("dark", 40), ("light", 200)):
        (tmp_path / label).mkdir()
        for number in range(10):
            pixels = random.integers(level - 40, level + 40, (20, 24, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / label / f"{number}.png")
    words = [f"--data={tmp_path}", f"--backbone={backbone}", "--freeze=1", "--epochs=0"]
    model, images = example.finetune(example.parser().parse_args(words))
    assert images.shape == (4, 16, 16, 3) and model.output_shape == (None, 2)
    before = {v.name: v.numpy() for v in example.open_backbone(str(backbone), None).weights}
    inner = model.layers[0]
    changed = {v.name for v in inner.weights if not np.array_equal(v.numpy(), before[v.name])}
    assert changed == {name for name in before if "moving_" in name}


def test_answers_that_differ_are_an_error(
    example: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = small_backbone()
    images = np.random.default_rng(0).normal(size=(2, 16, 16, 3)).astype(np.float32)
    answers = model.predict(images, verbose=0)
    for shift, same in ((0.0, True), (0.1, False)):
        given = answers + shift
        monkeypatch.setattr(example, "predictions_of_a_fresh_process", lambda *_, g=given: g)
        assert example.save(model, images, tmp_path) is same


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--backbone=burn_reactnet_b"], "burn_reactnet_b"),
        (["--backbone=missing.keras"], "there is no model at missing.keras"),
        (["--backbone=missing.safetensors"], "cannot read 'missing.safetensors'"),
        (["--backbone={small}", "--image_size=32"], "--image_size must be 16"),
        (["--backbone={small}", "--policy=digit"], "Did you mean 'digits'?"),
        (["--backbone={small}", "--epochs=-1", "--freeze=0"], "--epochs must be 0 or more"),
        (["--backbone={small}", "--epochs=0", "--freeze=0"], "must not both be 0"),
        (["--backbone={small}", "--freeze=-1"], "--freeze must be 0 or more. Received: -1"),
        (["--backbone={small}", "--output={file}"], "--output must be a folder"),
        (["--data=no/such/folder"], "no/such/folder"),
        (["--data={unlabelled}"], "a folder for each of its classes"),
        (["--epoch=many"], "invalid int value: 'many'"),
        (["--bakbone=x"], "unrecognized arguments: --bakbone=x"),
    ],
)
def test_mistakes_are_one_line(
    words: list[str],
    expected: str,
    example: ModuleType,
    backbone: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("a.png", "b.png", "c.png"):
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    output = tmp_path / "output"
    places = {"small": backbone, "unlabelled": tmp_path, "file": tmp_path / "a.png"}
    try:
        code = example.main([f"--output={output}", *(word.format(**places) for word in words)])
    except SystemExit as error:
        code = error.code
    shown = capsys.readouterr().err
    assert code == 2 and expected in shown
    assert shown.count("\n") == 1 and not output.exists()


@pytest.mark.slow
def test_from_the_wheel_with_the_network_off(tmp_path: Path) -> None:
    """The weights that ship in the package, a copy of the script, no checkout."""
    site, folder = tmp_path / "site", tmp_path / "elsewhere"
    folder.mkdir()
    wheel = build_wheel(tmp_path / "build")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--target", str(site), str(wheel)], check=True)
    (site / "sitecustomize.py").write_text(NO_NETWORK)
    shutil.copy(SCRIPT, folder)
    environment = {
        **os.environ,
        "PYTHONPATH": str(site),
        "BURN_TF_HOME": str(tmp_path / "home"),
    }

    def python(*words: str) -> str:
        run: Any = subprocess.run
        done = run(
            [sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return str(done.stdout)

    where = python("-c", "import burn_tf, zoo; print(burn_tf.__file__); print(zoo.__file__)")
    assert all(Path(line).is_relative_to(site) for line in where.split())
    shown = python("finetune.py", "--freeze=2", "--epochs=0")
    assert accuracy_in(shown) > 0.6
    assert "31 binary layers" in shown and shown.count("written ") == 2
    assert {path.name for path in (folder / "finetuned").iterdir()} == {
        "model.keras",
        "model.tflite",
    }
    assert not (tmp_path / "home").exists()
