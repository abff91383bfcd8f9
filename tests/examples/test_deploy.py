"""The deployment guides: every snippet that can run here runs, and the answers are compared.

Blocks run in the order of the guides in one folder. Those for other machines say so right above
them, and are held to the others: file names, versions, constants, functions that they call.
"""

from __future__ import annotations

import ast
import contextlib
import importlib.metadata
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images

from burn_tf import data
from burn_tf.cli import main as cli
from burn_tf.export.runtime import load_runtime
from tests.examples.guide_blocks import DEPLOY, FENCE, GUIDES, blocks
from tests.examples.test_web import LABELS, binary_network

# The name that pip installs by, where it is not the one that is imported.
PACKAGES = {"PIL": "pillow", "ai_edge_litert": "ai-edge-litert"}
PACKAGES |= {"larq_compute_engine": "larq-compute-engine"}
# Pictures and sides for the Java code: reduced, cut to seven eighths, enlarged, odd.
PICTURES = [("photo.png", 32), ("photo.png", 160), ("upright.png", 129), ("tiny.png", 47)]
_ORIENTATION = 0x0112
CHECK = Path(__file__).with_name("Check.java")


def run_python(words: list[str], folder: Path) -> str:
    """A process that can import neither TensorFlow nor burn_tf, but for LCE, which needs it."""
    paths = [os.environ.get("PYTHONPATH", "")]
    if "lce" not in words[0]:
        paths.insert(0, str(folder / "hidden"))
    changes = {
        "TF_NUM_INTRAOP_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(paths).strip(os.pathsep),
    }
    environment = os.environ | changes
    command = [sys.executable, *words]
    run = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout


def run_burn_tf(words: list[str], folder: Path) -> str:
    said = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(said):
        patch.chdir(folder)
        assert cli.main(words) == 0
    return said.getvalue()


RUNNERS = {"python": run_python, "burn-tf": run_burn_tf}


def picture_files(folder: Path) -> None:
    china, flower = (Image.fromarray(pixels) for pixels in load_sample_images().images)
    china.save(folder / "photo.jpg", quality=95)
    china.save(folder / "photo.png")
    flower.crop((100, 0, 401, 427)).save(folder / "upright.png")
    china.crop((200, 100, 223, 117)).save(folder / "tiny.png")
    exif = Image.Exif()
    exif[_ORIENTATION] = 6  # to be turned to the right
    china.save(folder / "lying.png", exif=exif)
    china.transpose(Image.Transpose.ROTATE_270).save(folder / "standing.png")
    (folder / "photos").mkdir()
    for number in range(6):
        corner = (60 * number, 30 * number, 60 * number + 240, 30 * number + 240)
        for name, picture in (("china", china), ("flower", flower)):
            picture.crop(corner).save(folder / "photos" / f"{name}{number}.png")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the guides take as given: a classifier, its labels, pictures."""
    for package in ("ai_edge_litert", "larq_compute_engine"):
        pytest.importorskip(package, reason=f"{package} is not installed")
    folder = tmp_path_factory.mktemp("deploy")
    binary_network().save(folder / "model.keras")
    (folder / "labels.txt").write_text("\n".join(LABELS) + "\n", encoding="utf-8")
    picture_files(folder)
    (folder / "hidden").mkdir()
    for name in ("tensorflow", "burn_tf"):
        (folder / "hidden" / f"{name}.py").write_text(f"raise ImportError('no {name} here')")
    return folder


@pytest.fixture(scope="module")
def said(folder: Path) -> dict[str, str]:
    """What every command and every snippet without a name printed."""
    answers: dict[str, str] = {}
    for block in blocks():
        if block.marked or block.language not in ("python", "bash"):
            continue
        if block.file:
            (folder / block.file).write_text(block.text, encoding="utf-8")
        elif block.language == "python":
            answers[block.text] = run_python(["-c", block.text], folder)
        for program, *words in block.commands if block.language == "bash" else ():
            answers[shlex.join([program, *words])] = RUNNERS[program](words, folder)
    return answers


@pytest.fixture(scope="module")
def java(folder: Path) -> set[str]:
    """The Java files of the guides, compiled and run on the exported files and the pictures."""
    if shutil.which("javac") is None:
        pytest.skip("no `javac` on this machine")
    files = {block.file: block.text for block in blocks() if block.language == "java"}
    sources = folder / "sources"
    sources.mkdir()
    shutil.copy(CHECK, sources)
    for name, text in files.items():
        (sources / str(name)).write_text(text, encoding="utf-8")
    given = ["model.tflite", "tiny.png", *(str(word) for pair in PICTURES for word in pair)]
    compiler = ["javac", "-Xlint:all", "-Werror", "--release", "11", "-d", "classes"]
    paths = [f"sources/{name}" for name in (*files, CHECK.name)]
    subprocess.run([*compiler, *paths], cwd=folder, check=True)
    program = ["java", "-cp", "classes", "com.example.classifier.Check", *given]
    subprocess.run(program, cwd=folder, check=True)
    return set(files)


def in_guide(folder: Path, call: str) -> np.ndarray:
    """What a function of the Python guide's file gives."""
    run_python(["-c", f"import classify, numpy; numpy.save('value', classify.{call})"], folder)
    return np.load(folder / "value.npy")


def shown(scores: np.ndarray) -> list[str]:
    """The lines that say these scores."""
    shares = np.exp(scores) / np.exp(scores).sum()
    best = np.argsort(-shares)[:5]
    return [f"{shares[index]:7.2%}  {LABELS[index]}" for index in best]


def test_every_block_is_found() -> None:
    fences = sum(len(FENCE.findall(guide.read_text(encoding="utf-8"))) for guide in GUIDES)
    assert len(blocks()) == fences
    assert set(GUIDES) == set(DEPLOY.glob("*.md"))


def test_every_block_is_run_or_says_that_it_is_not() -> None:
    """A named file is run where an unmarked command calls it; Java is compiled by `java`."""
    unmarked = [block for block in blocks() if not block.marked]
    assert {block.language for block in unmarked} == {"python", "bash", "java"}
    commands = [words for block in unmarked if block.language == "bash" for words in block.commands]
    assert {words[0] for words in commands} == set(RUNNERS)
    called = {words[1] for words in commands if words[0] == "python"}
    assert called == {block.file for block in unmarked if block.language == "python"} - {None}
    assert all(block.file for block in unmarked if block.language == "java")
    for block in blocks():
        assert not (block.marked and block.language in ("python", "java")), block.text


def test_pip_lines_name_what_the_snippets_import() -> None:
    wanted: dict[str, set[str]] = {"python": set(), "raspberry_pi": set()}
    for block in blocks():
        if block.language != "python":
            continue
        for node in ast.walk(ast.parse(block.text)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            tops = {name.partition(".")[0] for name in names} - {"classify"}
            wanted[block.guide] |= {PACKAGES.get(n, n) for n in tops - sys.stdlib_module_names}
    installed = {
        guide: [
            {re.split("[<>=]", word)[0] for word in words[words.index("install") + 1 :]}
            for block in blocks()
            if block.guide == guide and block.language == "bash"
            for words in block.commands
            if words and words[0].endswith("pip")
        ]
        for guide in wanted
    }
    assert installed["python"][0] == {"numpy", "pillow", "ai-edge-litert"}
    # TensorFlow is imported by LCE's package, which brings NumPy's limit as well.
    assert installed["python"][1] | {"numpy"} == wanted["python"] | {"tensorflow"}
    assert installed["raspberry_pi"] == [installed["python"][0]]
    assert wanted["raspberry_pi"] <= installed["raspberry_pi"][0]
    for package in set().union(*installed["python"]):
        assert importlib.metadata.version(package)


def test_names_and_versions_agree_between_guides() -> None:
    texts = {guide.stem: guide.read_text(encoding="utf-8") for guide in GUIDES}
    everything = "\n".join(texts.values())
    exported = set(re.findall(r"--output (\S+\.tflite)", texts["README"]))
    assert exported == {
        "model.tflite", "model_int8.tflite", "model_lce.tflite", "detector.tflite",
    }  # fmt: skip
    assert set(re.findall(r"\w+\.tflite\b(?!\.)", everything)) == exported
    lce = importlib.metadata.version("larq-compute-engine")
    assert set(re.findall(r"v(\d+\.\d+\.\d+)", everything)) == {lce}
    assert set(re.findall(r"(?:LCE |\()(\d+\.\d+\.\d+)", everything)) == {lce}
    for guide, text in texts.items():
        for link in re.findall(r"\]\(([^)]+\.md)\)", text):
            assert (DEPLOY / link).is_file(), f"{guide}: {link}"
    for block in blocks():
        for coordinates in re.findall(r'implementation\("([^"]+)"\)', block.text):
            assert re.fullmatch(r"com\.google\.[\w.]+:[\w-]+:\d+(\.\d+){2}", coordinates)


def test_every_language_cuts_the_same_centre() -> None:
    files = {block.file: block.text for block in blocks() if block.file}
    for name in ("classify.py", "Pixels.java", "Pixels.swift"):
        assert re.search(r"side >= 128 \? 0\.875 : 1|0\.875 if side >= 128 else 1", files[name])


@pytest.mark.parametrize("guide", ["android", "ios"])
def test_what_the_classifier_calls_is_in_the_other_files(guide: str) -> None:
    """With as many arguments; and brackets close in the languages that nothing here parses."""
    own = [block for block in blocks() if block.guide == guide]
    files = {block.file: block.text for block in own if block.file}
    caller = files["Classifier.kt" if guide == "android" else "Classifier.swift"]
    suffix = "java" if guide == "android" else "swift"
    calls = re.findall(r"(Labels|Pixels)\.(\w+)\((.*?)\)(?=\n|,|\s)", caller)
    assert {name for _, name, _ in calls} == {"read", "centre"}
    for owner, name, arguments in calls:
        found = re.search(rf"static [\w<>\[\] ]*{name}\((.*?)\)", files[f"{owner}.{suffix}"])
        assert found and found[1].count(",") == arguments.count(","), (owner, name)
    for block in own:
        code = re.sub(r'"(?:\\.|[^"\\])*"|//.*|#.*', "", block.text)
        for opened, closed in ("()", "[]", "{}"):
            assert code.count(opened) == code.count(closed), (block.file, opened)


@pytest.mark.slow
def test_exports_equal_the_model(said: dict[str, str]) -> None:
    exports = {command: text for command, text in said.items() if command.startswith("burn-tf")}
    assert len(exports) == 3
    for command, text in exports.items():
        assert "Written: model" in text
        assert ("top-1 agreement 100.00%" in text) or "int8" in command, text
        assert float(re.search(r"top-1 agreement ([\d.]+)%", text)[1]) >= 75


@pytest.mark.slow
@pytest.mark.parametrize("name", ["model.tflite", "model_int8.tflite"])
def test_scores_are_those_of_the_library(name: str, said: dict[str, str], folder: Path) -> None:
    pixels = in_guide(folder, "read_pixels('photo.jpg', 32)")
    (wanted,) = load_runtime((folder / name).read_bytes()).run(pixels)
    scores = in_guide(folder, f"scores({name!r}, 'photo.jpg')")
    np.testing.assert_array_equal(scores, wanted)
    assert np.ptp(scores) > 0.05  # else equal scores say little
    assert said[f"python classify.py {name} photo.jpg"].splitlines() == shown(scores)
    if name == "model.tflite":
        (snippet,) = (text for command, text in said.items() if command.startswith("from classify"))
        assert snippet.strip() == LABELS[scores.argmax()]


@pytest.mark.slow
def test_lce_scores_are_those_of_the_library(said: dict[str, str], folder: Path) -> None:
    """And those of the stock file, as far as float rounding allows."""
    pixels = in_guide(folder, "read_pixels('photo.jpg', 32)")
    (scores,) = load_runtime((folder / "model_lce.tflite").read_bytes()).run(pixels)
    assert said["python classify_lce.py model_lce.tflite photo.jpg"].splitlines() == shown(scores)
    stock = in_guide(folder, "scores('model.tflite', 'photo.jpg')")
    np.testing.assert_allclose(stock, scores, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("side", [32, 160])
def test_pixels_are_those_of_evaluations(
    side: int, said: dict[str, str], folder: Path, tmp_path: Path
) -> None:
    """Within the level that rounding twice costs."""
    for number in range(2):
        shutil.copy(folder / "photo.png", tmp_path / f"{number}.png")
    source = data.load_source(str(tmp_path), split="all")
    batches = data.eval_dataset(source, image_size=side, batch_size=1, normalise=False)
    images, _ = next(iter(batches))
    pixels = in_guide(folder, f"read_pixels('photo.png', {side})")
    difference = np.abs(pixels.astype(float) - np.asarray(images, float))
    assert difference.max() <= 1.01 and difference.mean() < 0.4


@pytest.mark.slow
def test_pictures_are_turned_as_exif_says(said: dict[str, str], folder: Path) -> None:
    lying, standing = (
        in_guide(folder, f"read_pixels('{n}.png', 32)") for n in ("lying", "standing")
    )
    np.testing.assert_array_equal(lying, standing)


@pytest.mark.slow
def test_latency_is_printed_for_every_file_and_number_of_threads(said: dict[str, str]) -> None:
    lines = said["python latency.py model.tflite model_int8.tflite"].splitlines()
    assert len(lines) == 6
    assert all(re.fullmatch(r" *\d+\.\d\d ms  [124] threads  model\w*\.tflite", x) for x in lines)


@pytest.mark.slow
@pytest.mark.parametrize(("picture", "side"), PICTURES)
def test_java_pixels_are_pythons(
    picture: str, side: int, said: dict[str, str], java: set[str], folder: Path
) -> None:
    assert java == {"Labels.java", "Pixels.java"}
    pixels = in_guide(folder, f"read_pixels({picture!r}, {side})")
    ours = np.fromfile(folder / f"{picture}{side}", np.uint8)
    np.testing.assert_array_equal(ours.reshape(pixels.shape), pixels)


@pytest.mark.slow
def test_java_reads_the_names(said: dict[str, str], java: set[str], folder: Path) -> None:
    names = [(folder / f"names{n}").read_text(encoding="utf-8").splitlines() for n in range(2)]
    assert names == [LABELS, []]  # the second file is no model, and has no archive
