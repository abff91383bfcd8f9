"""`burn-tf zoo`: names, cards, and weights fetched ahead; a mistake is one line and code 2."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from burn_tf.cli import main as cli
from burn_tf.recipes.base import Network
from tests.cli.test_main import launch
from tests.zoo.mirror import Mirror
from tests.zoo.tiny import tiny_entry
from zoo import manifest

CONTENT = b"weights" * 1000


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A zoo of two models, in place of the package's own, and a cache of its own."""
    monkeypatch.setenv("BURN_TF_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv("BURN_TF_OFFLINE", raising=False)
    monkeypatch.setattr(manifest, "FOLDER", tmp_path)
    for name in ("weights", "cards"):
        (tmp_path / name).mkdir()
    network = Network("reactnet_tiny")
    entries = [
        tiny_entry(network, CONTENT),
        tiny_entry(network, CONTENT, name="burn_other", summary="Another one."),
    ]
    (tmp_path / "manifest.json").write_text(manifest.manifest_text(entries))
    (tmp_path / "cards" / "tiny.md").write_text("# tiny\n\nGrüße.\n\n", encoding="utf-8")
    return tmp_path


def zoo(*words: str) -> int:
    return cli.main(["zoo", *words])


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ([], ["burn_other", "tiny"]),
        (["--list=*"], ["burn_other", "tiny"]),
        (["--list=burn_*"], ["burn_other"]),
        (["--list", "t?ny"], ["tiny"]),
    ],
)
def test_list(
    words: list[str], names: list[str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert zoo(*words) == 0
    rows = capsys.readouterr().out.splitlines()
    assert [row.split()[0] for row in rows] == names
    summaries = {"burn_other": "Another one.", "tiny": "A tiny network with random weights."}
    # 7,000 bytes are 0.007 MB.
    for row, name in zip(rows, names, strict=True):
        assert row.split(maxsplit=3)[1:] == ["0.0", "MB", summaries[name]]


def test_card(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert zoo("--card=tiny") == 0
    assert capsys.readouterr().out == "# tiny\n\nGrüße.\n"


def test_fetch_what_ships(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shipped = folder / "weights" / "tiny.safetensors"
    shipped.write_bytes(CONTENT)
    assert zoo("--fetch=tiny") == 0
    assert capsys.readouterr().out == f"{shipped}\n"
    assert not (folder / "cache").exists()


def test_fetch_from_a_mirror(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mirror = Mirror(CONTENT)
    try:
        text = json.loads((folder / "manifest.json").read_text())
        for model in text["models"]:
            model["files"][0]["mirrors"] = [mirror.url("tiny.safetensors")]
        (folder / "manifest.json").write_text(json.dumps(text))
        assert zoo("--fetch=tiny") == 0
    finally:
        mirror.close()
    (kept,) = (folder / "cache" / "weights").glob("*/tiny.safetensors")
    assert capsys.readouterr().out == f"{kept}\n" and kept.read_bytes() == CONTENT
    # What was fetched is there without a network.
    monkeypatch.setenv("BURN_TF_OFFLINE", "1")
    assert zoo("--fetch=tiny") == 0
    assert len(mirror.ranges) == 1


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--card=tiney"], "Did you mean 'tiny'?"),
        (["--fetch=burn_othr"], "Did you mean 'burn_other'?"),
        (["--fetch=tiny"], "on no mirror"),
        (["--list=resnet*"], "no model has a name like that. Received: 'resnet*'"),
        (["--card=tiny", "--fetch=tiny"], "one of --list, --card and --fetch"),
        (["--crad=tiny"], "Did you mean --card?"),
        (["tiny"], "takes flags only"),
    ],
)
def test_mistakes(
    words: list[str], expected: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert zoo(*words) == 2
    shown = capsys.readouterr()
    assert expected in shown.err and shown.err.count("\n") == 1 and shown.out == ""
    assert not (folder / "cache").exists()


def test_a_lost_card(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert zoo("--card=burn_other") == 2
    shown = capsys.readouterr().err
    assert "burn_other.md" in shown and shown.count("\n") == 1


@pytest.mark.parametrize("words", [["--help"], ["--list=*"], ["--card=burn_reactnet_a"]])
def test_nothing_waits_for_tensorflow(words: list[str]) -> None:
    done = launch("zoo", *words, code="print('tensorflow' in sys.modules)")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[-1] == "False" and len(lines) > 1
