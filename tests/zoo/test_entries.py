"""Every model that ships: it loads offline, is the network in its file, and keeps what it promises.

Where the images are that floors were measured on, the probe is run too (slow).
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import zoo
from burn_tf import data
from burn_tf.convert import binary_weights, load_packed
from burn_tf.evaluation import get_protocol
from burn_tf.recipes import get_recipe
from zoo import manifest
from zoo.download import fetch
from zoo.floors import measure_floor
from zoo.manifest import Entry, Floor, read_manifest
from zoo.model_cards import card_path, facts

ENTRIES = list(read_manifest().values())


@pytest.fixture(autouse=True)
def offline(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BURN_TF_OFFLINE", "1")


@pytest.fixture(params=ENTRIES, ids=lambda entry: entry.name)
def entry(request: pytest.FixtureRequest) -> Entry:
    found: Entry = request.param
    return found


@pytest.fixture(scope="module", params=ENTRIES, ids=lambda entry: entry.name)
def loaded(request: pytest.FixtureRequest) -> tuple[Entry, tf.keras.Model]:
    """An entry and its model up to the features."""
    return request.param, zoo.load(request.param.name, pooling="avg")


def images_for(entry: Entry, count: int = 6) -> np.ndarray:
    """Smooth random pictures, normalised: noise alone looks the same to a network."""
    coarse = np.random.default_rng(0).uniform(0, 255, (count, 4, 4, 3))
    pixels = tf.image.resize(coarse, (entry.input.size, entry.input.size), "bicubic")
    return np.asarray(entry.preprocess_input(pixels))


def features_of(model: tf.keras.Model, images: np.ndarray) -> np.ndarray:
    return np.asarray(model(images))


def close(a: np.ndarray, b: np.ndarray) -> None:
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5 * np.abs(b).max())


def test_there_are_weights() -> None:
    assert "burn_reactnet_a" in zoo.list_models()


def test_loads_offline_and_tells_images_apart(
    loaded: tuple[Entry, tf.keras.Model], cache: Path
) -> None:
    entry, model = loaded
    size = entry.input.size
    assert model.input_shape == (None, size, size, 3)
    assert model.output_shape == (None, entry.feature_dim)
    features = features_of(model, images_for(entry))
    assert np.isfinite(features).all() and not cache.exists()
    centred = features - features.mean(axis=0)
    assert np.linalg.norm(centred, axis=1).min() > 0.05 * np.linalg.norm(features, axis=1).max()


def test_is_the_network_in_every_one_of_its_files(loaded: tuple[Entry, tf.keras.Model]) -> None:
    """Widths, strides, padding and sign functions: what was trained is what is built."""
    entry, model = loaded
    images = images_for(entry)
    for file in entry.files:
        stored = load_packed(fetch(file))
        variant = zoo.load(entry.name, weights=file.variant, pooling="avg")
        close(features_of(variant, images), features_of(stored, images))
        built = binary_weights(variant)
        assert built.keys() == binary_weights(stored).keys()
        assert len(built) == len(binary_weights(model)) > 0


def test_features_with_a_top_and_without_are_equal(loaded: tuple[Entry, tf.keras.Model]) -> None:
    entry, model = loaded
    images = images_for(entry)
    features = features_of(model, images)
    topped = zoo.load(entry.name, include_top=True, classes=7)
    assert topped.output_shape == (None, 7)
    logits = topped.get_layer("logits")
    inner = tf.keras.Model(topped.input, logits.input)
    close(features_of(inner, images), features)
    close(features_of(topped, images), features @ logits.kernel.numpy() + logits.bias.numpy())
    if entry.network.embedding_units is None:
        close(features_of(zoo.load(entry.name), images).mean(axis=(1, 2)), features)


def test_a_trained_top_ships_or_is_not_promised(entry: Entry) -> None:
    if entry.classes is None:
        with pytest.raises(ValueError, match="has no trained classifier"):
            zoo.load(entry.name, include_top=True)
    else:
        assert zoo.load(entry.name, include_top=True).output_shape == (None, entry.classes)


@pytest.mark.parametrize("shape", [(48, 40, 3), (None, None, 3)])
def test_other_sizes(shape: tuple[int | None, ...], loaded: tuple[Entry, tf.keras.Model]) -> None:
    entry, model = loaded
    other = zoo.load(entry.name, input_shape=shape, pooling="avg")
    assert other.input_shape == (None, *shape)
    larger = np.random.default_rng(1).normal(size=(2, 48, 40, 3)).astype(np.float32)
    assert np.isfinite(features_of(other, larger)).all()
    for layer in model.layers:
        for own, adapted in zip(layer.weights, other.get_layer(layer.name).weights, strict=True):
            np.testing.assert_array_equal(own, adapted)
    if shape[0] is None:
        images = images_for(entry)
        close(features_of(other, images), features_of(model, images))


@pytest.mark.parametrize("channels", [1, 4])
def test_other_channels_answer_grey_images_alike(
    channels: int, loaded: tuple[Entry, tf.keras.Model]
) -> None:
    entry, model = loaded
    size = entry.input.size
    grey = images_for(entry)[..., :1]
    other = zoo.load(entry.name, input_shape=(size, size, channels), pooling="avg")
    given = features_of(other, np.repeat(grey, channels, axis=3))
    wanted = features_of(model, np.repeat(grey, 3, axis=3))
    # Sums in another order turn the sign of an activation at its threshold now and then.
    cosines = np.sum(given * wanted, axis=1) / (
        np.linalg.norm(given, axis=1) * np.linalg.norm(wanted, axis=1)
    )
    assert np.median(cosines) > 0.999 and cosines.min() > 0.99


def test_input_is_normalised_as_in_pretraining(entry: Entry) -> None:
    pixels = np.random.default_rng(2).integers(0, 256, (2, 5, 7, 3), np.uint8)
    values = entry.input
    wanted = (pixels / values.scale - np.array(values.mean)) / np.array(values.std)
    given = zoo.preprocess_input(entry.name)(pixels)
    np.testing.assert_allclose(given, wanted, rtol=1e-5, atol=1e-5)
    # Views in training and images in evaluation end in the library's own one.
    np.testing.assert_allclose(given, data.preprocess_input(pixels), rtol=1e-5, atol=1e-5)


def test_card_has_the_facts(entry: Entry) -> None:
    text = zoo.card(entry.name)
    assert text.startswith(f"# {entry.name}\n") and facts(entry) in text
    for word in (entry.summary, entry.licence, entry.teacher, entry.paper.url, entry.file().sha256):
        assert word and word in text
    for name in re.findall(r"\]\((?!https?:)([^)]+)\)", text):
        assert (card_path(entry.name).parent / name).is_file()
    assert get_recipe(entry.recipe).name == entry.recipe


def test_figures_say_who_measured_them(entry: Entry) -> None:
    """The model beside the same network untrained, by the same protocol on the same data."""
    subjects: dict[tuple[str, str, str], set[str]] = {}
    for metric in entry.metrics:
        get_protocol(metric.protocol)
        key = (metric.data, metric.protocol, metric.metric)
        subjects.setdefault(key, set()).add(metric.subject)
    assert any({"this model", "untrained"} <= found for found in subjects.values())


def floor_of(entry: Entry) -> Floor:
    assert entry.floor is not None, "python -m zoo.publish --floor PROTOCOL DATA measures it"
    return entry.floor


def test_card_has_a_floor(entry: Entry) -> None:
    floor = floor_of(entry)
    assert f"at least {floor.value:g} %" in zoo.card(entry.name)
    measured = [
        metric.value
        for metric in entry.metrics
        if (metric.subject, metric.protocol, metric.metric)
        == ("this model", floor.protocol, floor.metric)
    ]
    assert floor.value > 0 and all(floor.value < value for value in measured)


@pytest.mark.slow
def test_probe_is_above_the_floor(entry: Entry, request: pytest.FixtureRequest) -> None:
    floor = floor_of(entry)
    is_cifar10 = floor.data.lower().replace("-", "") == "cifar10"
    images = request.getfixturevalue("cifar10") if is_cifar10 else floor.data
    model = zoo.load(entry.name, pooling="avg")
    assert measure_floor(model, floor, images) >= floor.value


def test_nothing_lies_there_unlisted() -> None:
    """No weights without a hash, no card without a model."""
    names = {file.name for entry in ENTRIES for file in entry.files}
    assert {path.name for path in (manifest.FOLDER / "weights").glob("*")} <= names
    cards = {path.stem for path in (manifest.FOLDER / "cards").glob("*.md")}
    assert cards == {entry.name for entry in ENTRIES}
