"""The manifest is read strictly; what it says is what look-ups and preprocessing give."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from burn_tf._checks import UserError
from burn_tf.data import preprocess_input as burn_preprocess
from burn_tf.data.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from burn_tf.recipes.base import Network
from tests.zoo.tiny import tiny_entry
from zoo import manifest
from zoo.manifest import Floor, Measured, Metric, ModelInput, Reported, WeightFile

MEASURED = Measured("2026-11-21", "burn-tf evaluate", "0123abc", "x86_64, 2 cores")
HASH = "0" * 64


def written(folder: Path, change: dict[str, Any]) -> None:
    document = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(document | change))


def test_goes_to_json_and_back(empty_zoo: Path, tiny_network: Network) -> None:
    entry = tiny_entry(
        tiny_network,
        b"x",
        settings=("epochs=3",),
        metrics=(
            Metric("this model", "cifar10", "linear:fast", "top1", 40.5, measured=MEASURED),
            Metric("paper", "imagenet", "linear", "top1", 62.29, reported=Reported("Table 1")),
        ),
        floor=Floor("cifar10", "linear:fast", "top1", 30.0, 5000, 1000),
        files=(
            WeightFile("a.safetensors", 5, HASH, ("https://host/a",)),
            WeightFile("b.safetensors", 4, HASH, variant="float16"),
        ),
    )
    (empty_zoo / "manifest.json").write_text(manifest.manifest_text([entry]))
    assert manifest.read_manifest() == {"tiny": entry}
    assert entry.file("float16").name == "b.safetensors" and entry.file().size == 5


def test_the_shipped_manifest_is_sound() -> None:
    for name, entry in manifest.read_manifest().items():
        assert manifest.get_entry(name) is not None
        assert entry.metrics and entry.floor is not None, name


def test_look_ups(tiny_zoo: Path, tiny_network: Network) -> None:
    entries = [
        dataclasses.replace(manifest.get_entry("tiny"), name=n) for n in ("b_2", "a_1", "a_2")
    ]
    (tiny_zoo / "manifest.json").write_text(manifest.manifest_text(entries))
    assert manifest.list_models() == ["a_1", "a_2", "b_2"]
    assert manifest.list_models("a_*") == ["a_1", "a_2"]
    assert manifest.list_models("?_2") == ["a_2", "b_2"]
    assert manifest.list_models("none") == []
    with pytest.raises(UserError, match="Did you mean 'a_1'"):
        manifest.get_entry("a_11")


@pytest.mark.parametrize("name", ["../tiny", "tiny/", "", "TINY", None, 3])
def test_no_name_but_the_names(name: Any, tiny_zoo: Path) -> None:
    with pytest.raises(UserError, match="`name` must be one of 'tiny'"):
        manifest.get_entry(name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "upgrade"),
        ({"format": None}, "must have format 1"),
        ({"models": {}}, "list of models"),
        ({"models": [{}]}, "models[0] lacks name, summary"),
        ({"models": [3]}, "models[0] must be an object"),
    ],
)
def test_another_document(change: dict[str, Any], message: str, tiny_zoo: Path) -> None:
    written(tiny_zoo, change)
    with pytest.raises(UserError) as caught:
        manifest.read_manifest()
    assert message in str(caught.value) and "Received: " in str(caught.value)


def test_a_name_twice(tiny_zoo: Path) -> None:
    document = json.loads((tiny_zoo / "manifest.json").read_text())
    written(tiny_zoo, {"models": document["models"] * 2})
    with pytest.raises(UserError, match="has a name twice"):
        manifest.read_manifest()


def test_no_object_at_all(tiny_zoo: Path) -> None:
    (tiny_zoo / "manifest.json").write_text("[]")
    with pytest.raises(UserError, match="must have format 1"):
        manifest.read_manifest()


@pytest.mark.parametrize(
    "name",
    [
        "../a.safetensors",
        "/etc/passwd",
        "a/b.bin",
        "a\\b.bin",
        "..",
        ".hidden",
        "a",
        "a..b",
        "C:a.b",
    ],
)
def test_file_names_stay_in_their_folder(name: str) -> None:
    with pytest.raises(UserError, match="file name must be plain"):
        WeightFile(name, 1, HASH)


@pytest.mark.parametrize(
    "make",
    [
        lambda: WeightFile("a.b", 0, HASH),
        lambda: WeightFile("a.b", 1, HASH[1:]),
        lambda: WeightFile("a.b", 1, "G" + HASH[1:]),
        lambda: WeightFile("a.b", 1, HASH, ("ftp://host/a",)),
        lambda: ModelInput(0, (0, 0, 0), (1, 1, 1)),
        lambda: ModelInput(8, (0, 0), (1, 1)),
        lambda: ModelInput(8, (0, 0, 0), (1, 0, 1)),
        lambda: dataclasses.replace(MEASURED, date="21.11.2026"),
        lambda: dataclasses.replace(MEASURED, commit="main"),
        lambda: Metric("this", "d", "p", "top1", 1.0),
        lambda: Metric("this", "d", "p", "top1", 1.0, MEASURED, Reported("Table 1")),
        lambda: tiny_entry(Network(), b"x", name="../tiny"),
        lambda: tiny_entry(Network(), b"x", files=()),
        lambda: tiny_entry(Network(), b"x", files=(WeightFile("a.b", 1, HASH, variant="other"),)),
        lambda: tiny_entry(Network(), b"x", files=(WeightFile("a.b", 1, HASH),) * 2),
    ],
)
def test_refuses_what_cannot_be(make: Any) -> None:
    with pytest.raises(UserError):
        make()


def test_preprocessing_is_that_of_the_entry(tiny_zoo: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, [2, 5, 4, 3], dtype=np.uint8)
    wanted = (pixels / 255.0 - [0.5, 0.4, 0.3]) / [0.2, 0.25, 0.5]
    for function in (
        manifest.get_entry("tiny").preprocess_input,
        manifest.preprocess_input("tiny"),
    ):
        given = function(pixels)
        assert given.dtype == "float32"
        np.testing.assert_allclose(given, wanted, rtol=1e-5, atol=1e-6)


def test_preprocessing_of_grey_and_of_others(tiny_zoo: Path) -> None:
    function = manifest.preprocess_input("tiny")
    grey = function(np.full([1, 2, 2, 1], 51, np.uint8))
    assert grey.shape == (1, 2, 2, 1)
    np.testing.assert_allclose(grey, (0.2 - 0.4) / (0.95 / 3), rtol=1e-5)
    with pytest.raises(UserError, match="three channels"):
        function(np.zeros([1, 2, 2, 4], np.uint8))


def test_imagenet_constants_give_what_training_used(tiny_network: Network) -> None:
    entry = tiny_entry(tiny_network, b"x", input=ModelInput(32, IMAGENET_MEAN, IMAGENET_STD))
    pixels = np.random.default_rng(0).integers(0, 256, [2, 8, 8, 3], dtype=np.uint8)
    np.testing.assert_array_equal(entry.preprocess_input(pixels), burn_preprocess(pixels))
