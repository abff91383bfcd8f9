"""The page in headless Chromium: its pixels and scores are Python's, and what it says of bad files.

The README's Python lines are the reference: they run as they stand, on the same files.
"""

from __future__ import annotations

import functools
import http.server
import json
import os
import re
import shutil
import subprocess
import threading
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from sklearn.datasets import load_sample_images

from burn_tf import data, export
from burn_tf.backbones import ReActNetTiny
from burn_tf.data.preprocessing import IMAGENET_MEAN, IMAGENET_STD

WEB = Path(__file__).resolve().parents[2] / "examples" / "web"
CHROMIUM = os.environ.get("CHROME") or shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
LABELS = ["Tempel", "Blüte", "a very long label" + "-" * 90, *(f"thing {i}" for i in range(3, 10))]
_EXIF_ORIENTATION = 0x0112
# Name -> model, picture, how it is handed over, width of the window.
VISITS: dict[str, dict[str, Any]] = {
    "small": {"model": "small.tflite", "picture": "photo.png", "width": 1200},
    "integers": {"model": "int8.tflite", "picture": "photo.png"},
    "half bytes": {"model": "int4.tflite", "picture": "photo.png"},
    "jpeg": {"model": "small.tflite", "picture": "photo.jpg", "how": "drop", "width": 320},
    "turned": {"model": "photo.tflite", "picture": "turned.jpg", "how": "camera"},
    "cropped": {"model": "photo.tflite", "picture": "photo.png"},
    "enlarged": {"model": "photo.tflite", "picture": "tiny.png"},
    "panorama": {"model": "photo.tflite", "picture": "panorama.png"},
    "large": {"model": "small.tflite", "picture": "large.png"},
    "oblong": {"model": "oblong.tflite", "picture": "photo.png"},
    "no picture": {"model": "small.tflite", "picture": "text.png"},
    "other model": {"model": "missing.tflite", "picture": "small.tflite", "how": "model"},
    "missing": {"model": "missing.tflite", "picture": "photo.png"},
    "lce": {"model": "lce.tflite"},
    "text": {"model": "text.tflite"},
    "cut": {"model": "cut.tflite"},
    "float": {"model": "float.tflite"},
    "labels": {"model": "labels.tflite"},
}
EXACT = [name for name, visit in VISITS.items() if str(visit.get("picture")).endswith(".png")]
EXACT = [name for name in EXACT if name not in ("no picture", "missing")]


def binary_network() -> tf.keras.Model:
    """Ten classes, 32 px, with shifts and statistics as after training: zeros would vanish."""
    model = ReActNetTiny(input_shape=(32, 32, 3), classes=10)
    random = np.random.default_rng(0)
    for variable in (variable for variable in model.variables if "kernel" not in variable.name):
        change = random.normal(0.0, 0.3, variable.shape)
        variable.assign(
            variable * np.exp(change) if "variance" in variable.name else variable + change
        )
    return model


def any_network(path: Path, shape: tuple[int, int], labels: list[str] | None = None) -> None:
    """A file of another converter: uint8 input, ten classes, no metadata, ZIP trailer."""
    images = tf.keras.Input((*shape, 3), batch_size=1, dtype="uint8")
    x = data.preprocess_input(images)
    x = tf.keras.layers.Conv2D(8, 3, 4, activation="relu")(x)
    x = tf.keras.layers.GlobalAveragePooling2D()(tf.keras.layers.Conv2D(8, 3, 2)(x))
    model = tf.keras.Model(images, tf.keras.layers.Dense(10)(x))
    path.write_bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert())
    if labels is not None:
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("labels.txt", "".join(f"{label}\n" for label in labels))


def write_models(folder: Path) -> None:
    tf.keras.utils.set_random_seed(0)
    model = binary_network()
    china, flower = (tf.image.resize(photo, (32, 32)) for photo in load_sample_images().images)
    calibration = np.array([china, flower]).astype(np.uint8)
    small = export.to_litert(model, labels=LABELS).flatbuffer
    (folder / "small.tflite").write_bytes(small)
    integer = export.to_litert(model, precision="int8", calibration=calibration)
    (folder / "int8.tflite").write_bytes(integer.flatbuffer)
    (folder / "int4.tflite").write_bytes(export.to_litert(model, int4_from=1).flatbuffer)
    (folder / "lce.tflite").write_bytes(export.to_lce(model).flatbuffer)
    any_network(folder / "photo.tflite", (160, 160), LABELS)
    any_network(folder / "oblong.tflite", (64, 96))
    any_network(folder / "labels.tflite", (32, 32), LABELS[:3])
    dense = tf.keras.Sequential([tf.keras.Input((4,)), tf.keras.layers.Dense(2)])
    converter = tf.lite.TFLiteConverter.from_keras_model(dense)
    (folder / "float.tflite").write_bytes(converter.convert())
    (folder / "cut.tflite").write_bytes(small[: len(small) // 3])
    (folder / "text.tflite").write_text("not a model, but long enough for a header")


def write_pictures(folder: Path) -> None:
    china, flower = (Image.fromarray(pixels) for pixels in load_sample_images().images)
    china.save(folder / "photo.png")
    china.save(folder / "photo.jpg", quality=90)
    exif = Image.Exif()
    exif[_EXIF_ORIENTATION] = 6
    flower.save(folder / "turned.jpg", quality=90, exif=exif)
    china.crop((200, 100, 217, 123)).save(folder / "tiny.png")
    china.crop((0, 200, 640, 230)).save(folder / "panorama.png")
    flower.resize((3000, 1999), Image.Resampling.NEAREST).save(folder / "large.png")
    (folder / "text.png").write_text("no picture")


class Handler(http.server.SimpleHTTPRequestHandler):
    """The page's folder, the test's files under /files/, and the visitor that drives the page."""

    def __init__(self, files: Path, results: list[Any], done: threading.Event, *given: Any) -> None:
        self.files, self.results, self.done = files, results, done
        super().__init__(*given, directory=str(WEB))

    def translate_path(self, path: str) -> str:
        name = Path(path.partition("?")[0]).name
        if path.startswith("/files/") or name.endswith(".tflite"):
            return str(self.files / name)
        return super().translate_path(path)

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        self.results.append(json.loads(self.rfile.read(length)))
        self.send_response(204)
        self.end_headers()
        self.done.set()

    def log_message(self, *_: Any) -> None:
        """Silent."""


def visited(files: Path) -> dict[str, dict[str, Any]]:
    """What the page shows on every visit."""
    driver = Path(__file__).with_name("web_driver.js")
    shutil.copy(driver, files)
    (files / "visits.json").write_text(json.dumps(VISITS))
    script = '<script type="module" src="web_driver.js"></script>'
    (files / "driver.html").write_text(f'<iframe id="page" height="900"></iframe>{script}')
    results: list[Any] = []
    done = threading.Event()
    handler = functools.partial(Handler, files, results, done)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/files/driver.html"
        command = [str(CHROMIUM), *FLAGS, f"--user-data-dir={files / 'profile'}", address]
        browser = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            assert done.wait(120), "the browser did not finish in two minutes"
        finally:
            browser.terminate()
            browser.wait(20)
            server.shutdown()
    return dict(results[0])


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models and pictures, good and bad."""
    if CHROMIUM is None:
        pytest.skip("no `chromium` on this machine, and CHROME names none")
    if not (WEB / "node_modules").is_dir():
        pytest.skip("no examples/web/node_modules: run `make web`")
    folder = tmp_path_factory.mktemp("web")
    write_models(folder)
    write_pictures(folder)
    return folder


@pytest.fixture(scope="module")
def shown(files: Path) -> dict[str, dict[str, Any]]:
    return visited(files)


def in_python(files: Path, visit: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """The README's lines with this visit's files: uint8 [H, W, 3] and float32 [classes]."""
    pytest.importorskip("ai_edge_litert", reason="ai-edge-litert is not installed")
    (program,) = re.findall(r"```python\n(.*?)```", (WEB / "README.md").read_text(), re.DOTALL)
    for name, used in (("model.tflite", "model"), ("photo.jpg", "picture")):
        assert name in program
        program = program.replace(name, str(files / visit[used]))
    names: dict[str, Any] = {}
    exec(program, names)
    answer = names["interpreter"].get_tensor(names["answer"]["index"])[0]
    return np.asarray(names["image"]), answer


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in EXACT if name != "oblong"])
def test_pixels_are_pillows_and_scores_are_pythons(
    name: str, shown: dict[str, dict[str, Any]], files: Path
) -> None:
    pixels, scores = in_python(files, VISITS[name])
    assert shown[name]["kind"] == "answer", shown[name]["status"]
    np.testing.assert_array_equal(np.reshape(shown[name]["pixels"], pixels.shape), pixels)
    assert np.argmax(shown[name]["scores"]) == np.argmax(scores)
    np.testing.assert_allclose(shown[name]["scores"], scores, rtol=0, atol=1e-3)
    assert np.ptp(scores) > 0.05  # else equal scores say little


@pytest.mark.slow
@pytest.mark.parametrize("name", ["jpeg", "turned"])
def test_a_jpeg_is_decoded_as_in_python(
    name: str, shown: dict[str, dict[str, Any]], files: Path
) -> None:
    """JPEG leaves decoders a choice of rounding; turned by EXIF all the same."""
    pixels, scores = in_python(files, VISITS[name])
    difference = np.abs(np.reshape(shown[name]["pixels"], pixels.shape).astype(int) - pixels)
    print(name, difference.max(), difference.mean(), np.abs(shown[name]["scores"] - scores).max())
    assert difference.max() <= 2 and difference.mean() < 0.2
    assert np.argmax(shown[name]["scores"]) == np.argmax(scores)
    np.testing.assert_allclose(shown[name]["scores"], scores, rtol=0, atol=1e-3)


@pytest.mark.slow
def test_pixels_are_those_of_evaluations(
    shown: dict[str, dict[str, Any]], files: Path, tmp_path: Path
) -> None:
    """Within the level that rounding twice costs."""
    for number in range(2):
        shutil.copy(files / "photo.png", tmp_path / f"{number}.png")
    source = data.load_source(str(tmp_path), split="all")
    images, _ = next(iter(data.eval_dataset(source, image_size=160, batch_size=1)))
    levels = 255 * (images[0] * np.array(IMAGENET_STD) + np.array(IMAGENET_MEAN))
    difference = np.abs(np.reshape(shown["cropped"]["pixels"], levels.shape) - levels)
    assert difference.max() <= 1.01 and difference.mean() < 0.4


@pytest.mark.slow
def test_an_input_that_is_not_square(shown: dict[str, dict[str, Any]], files: Path) -> None:
    image = Image.open(files / "photo.png")  # 640 x 427 to 96 x 64 columns x rows
    resized = image.resize((96, 96 * 427 // 640), Image.Resampling.BILINEAR)
    assert resized.size == (96, 64)
    pixels = np.reshape(shown["oblong"]["pixels"], (64, 96, 3))
    np.testing.assert_array_equal(pixels, np.asarray(resized))


@pytest.mark.slow
def test_the_answer_is_shown(shown: dict[str, dict[str, Any]]) -> None:
    page = shown["small"]
    scores = np.array(page["scores"])
    shares = np.exp(scores) / np.exp(scores).sum()
    best = np.argsort(-shares)[:5]
    assert page["classes"] == [[LABELS[i], f"{100 * shares[i]:.1f} %"] for i in best]
    assert page["status"] == f"{LABELS[best[0]]}, {100 * shares[best[0]]:.1f} %"
    assert page["model"] == binary_network().name
    assert page["facts"].endswith("32 × 32 px, 10 classes, LiteRT.js on the CPU")
    assert re.fullmatch(r"[0-9.]+ ms for the network", page["timing"])
    assert shown["cropped"]["model"] == "photo.tflite"
    assert shown["cropped"]["classes"][0][0] == LABELS[np.argmax(shown["cropped"]["scores"])]
    assert "10 classes without names" in shown["oblong"]["facts"]
    assert shown["oblong"]["classes"][0][0] == f"class {np.argmax(shown['oblong']['scores'])}"


@pytest.mark.slow
def test_another_model_from_disk_replaces_the_missing_one(
    shown: dict[str, dict[str, Any]],
) -> None:
    page = shown["other model"]
    assert page["status"] == "Ready." and "32 × 32 px" in page["facts"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("missing", "There is no missing.tflite beside this page. Write one with `burn-tf export"),
        ("lce", "it is a Larq Compute Engine file (LceQuantize, LceBconv2d)"),
        ("lce", "`burn-tf export --target litert`."),
        ("text", "text.tflite cannot be used: it is not a .tflite file, or it is damaged."),
        ("cut", "cut.tflite cannot be used: "),
        ("float", "its input must be one uint8 [1, H, W, 3] (`--target litert` writes it)."),
        ("labels", "it has 3 labels for 10 classes."),
        ("no picture", "This browser cannot read text.png as a picture."),
    ],
)
def test_what_is_wrong_is_said(name: str, said: str, shown: dict[str, dict[str, Any]]) -> None:
    assert shown[name]["kind"] == "error"
    assert said in shown[name]["status"]
    assert shown[name]["classes"] == []


@pytest.mark.slow
def test_it_fits_every_window_and_the_keyboard_reaches_everything(
    shown: dict[str, dict[str, Any]],
) -> None:
    for name, page in shown.items():
        sums = (page["overflow"], page["unlabelled"], page["unreachable"])
        assert sums == (0, 0, 0), name


def test_files_come_from_the_folder_alone() -> None:
    """No other host in the page, and none in the list of packages."""
    for path in (*WEB.glob("*.js"), *WEB.glob("*.css"), *WEB.glob("*.html"), *WEB.glob("*.json")):
        text = path.read_text(encoding="utf-8")
        assert "resolved" not in text, path
        assert set(re.findall(r"https?://([\w.]+)", text)) <= {"github.com"}, path
    assert "connect-src 'self'" in (WEB / "index.html").read_text(encoding="utf-8")
