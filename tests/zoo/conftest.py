"""Servers that misbehave, a cache of its own for every test, and a zoo with one tiny model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from burn_tf import backbones
from burn_tf.convert import save_packed
from burn_tf.recipes.base import Network
from tests.zoo.mirror import Mirror
from tests.zoo.tiny import shaken, tiny_entry
from zoo import manifest, model_cards


@pytest.fixture
def mirrors() -> Iterator[Callable[..., Mirror]]:
    """Makes servers that are closed after the test."""
    made: list[Mirror] = []

    def make(content: bytes = bytes(range(256)) * 400, behaviour: str = "good") -> Mirror:
        made.append(Mirror(content))
        made[-1].behaviour = behaviour
        return made[-1]

    yield make
    for mirror in made:
        mirror.close()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of its own, no proxy, no leave from the machine's environment."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("BURN_TF_HOME", str(folder))
    for name in ("BURN_TF_OFFLINE", "BURN_TF_ACCEPT_LICENSE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "*")
    return folder


@pytest.fixture
def empty_zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a zoo without models, in place of the package's own."""
    folder = tmp_path / "zoo"
    (folder / "weights").mkdir(parents=True)
    (folder / "cards").mkdir()
    (folder / "manifest.json").write_text(manifest.manifest_text([]))
    monkeypatch.setattr(manifest, "FOLDER", folder)
    return folder


@pytest.fixture(scope="session")
def tiny_network() -> Network:
    """Settings that none of the builder's defaults has."""
    return Network("reactnet_tiny", width=2.0, stem_strides=2, pad_values=0.0, estimator="ste")


@pytest.fixture(scope="session")
def tiny_reference(tiny_network: Network) -> tf.keras.Model:
    """What the model "tiny" of `tiny_zoo` is: 24 px, features [B, 128]."""
    return shaken(
        backbones.ReActNetTiny(
            (24, 24, 3),
            include_top=False,
            pooling="avg",
            width=2.0,
            stem_strides=2,
            pad_values=0.0,
            estimator="ste",
        )
    )


@pytest.fixture(scope="session")
def tiny_file(tiny_reference: tf.keras.Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packed weights of `tiny_reference`."""
    path = tmp_path_factory.mktemp("packed") / "tiny.safetensors"
    save_packed(tiny_reference, path)
    return path


@pytest.fixture
def tiny_zoo(empty_zoo: Path, tiny_file: Path, tiny_network: Network) -> Path:
    """The folder of a zoo that has the model "tiny", shipped."""
    content = tiny_file.read_bytes()
    (empty_zoo / "weights" / "tiny.safetensors").write_bytes(content)
    entry = tiny_entry(tiny_network, content)
    (empty_zoo / "manifest.json").write_text(manifest.manifest_text([entry]))
    (empty_zoo / "cards" / "tiny.md").write_text(model_cards.new_card(entry))
    return empty_zoo


@pytest.fixture
def tiny_images() -> np.ndarray:
    """float32 [4, 24, 24, 3], normalised."""
    return np.random.default_rng(1).normal(size=(4, 24, 24, 3)).astype(np.float32)
