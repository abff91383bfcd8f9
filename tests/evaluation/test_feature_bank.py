"""Features are computed once, kept by what they depend on, and never taken from a wrong file."""

from __future__ import annotations

import dataclasses
import io
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.data import Source
from burn_tf.evaluation import EvaluationData, extract_features, feature_bank, raw_pixels
from burn_tf.evaluation.feature_bank import features


@pytest.fixture
def source(make_source: Callable[..., Source]) -> Source:
    pixels = np.random.default_rng(0).integers(0, 256, (21, 8, 8, 3)).astype(np.uint8)
    return make_source(pixels, np.arange(21) % 4)


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of the batches that networks have seen."""
    seen: list[int] = []
    whole = feature_bank.feature_batches

    def counted(backbone: object, dataset: tf.data.Dataset) -> object:
        for rows, labels in whole(backbone, dataset):  # type: ignore[arg-type]
            seen.append(len(rows))
            yield rows, labels

    monkeypatch.setattr(feature_bank, "feature_batches", counted)
    return seen


def network(seed: int = 0, scale: float = 1.0) -> tf.keras.Model:
    model = tf.keras.Sequential(
        [
            tf.keras.Input((8, 8, 3)),
            tf.keras.layers.AveragePooling2D(2),
            tf.keras.layers.Flatten(),
            tf.keras.layers.Dense(5),
        ]
    )
    kernel = np.random.default_rng(seed).normal(size=(48, 5)) * scale
    model.set_weights([kernel, np.zeros(5)])
    return model


def kept_in(folder: Path, source: Source, size: int = 8) -> EvaluationData:
    return EvaluationData(source, source, size, batch_size=8, cache=folder)


def test_equal_the_extraction_with_and_without_a_cache(source: Source, tmp_path: Path) -> None:
    model, data = network(), kept_in(tmp_path, source)
    expected, labels = extract_features(model, data.dataset(source))
    for place in (data, dataclasses.replace(data, cache=None), data):
        bank = features(model, source, place)
        assert bank.features.dtype == np.float32 and bank.labels.dtype == np.int64
        np.testing.assert_array_equal(bank.features, expected)
        np.testing.assert_array_equal(bank.labels, labels)
    assert isinstance(bank.features, np.memmap)


def test_are_computed_once(source: Source, tmp_path: Path, passes: list[int]) -> None:
    data = kept_in(tmp_path / "new" / "folder", source)
    features(network(), source, data)
    assert passes == [8, 8, 5]
    # Another object of the same weights, and another batch size, have the same features.
    features(network(), source, dataclasses.replace(data, batch_size=21))
    assert passes == [8, 8, 5]
    assert len(list((tmp_path / "new" / "folder").iterdir())) == 1


def test_what_they_depend_on_has_a_file_of_its_own(
    source: Source, tmp_path: Path, passes: list[int]
) -> None:
    data = kept_in(tmp_path, source)
    other = source.subset(np.arange(20))
    flexible = tf.keras.Sequential(
        [tf.keras.Input((None, None, 3)), tf.keras.layers.GlobalAveragePooling2D()]
    )
    features(network(), source, data)
    features(network(seed=1), source, data)
    features(network(), other, data)
    features(network(), source, dataclasses.replace(data, antialias=False))
    features(flexible, source, data)
    features(flexible, source, dataclasses.replace(data, image_size=6))
    assert sum(passes) == 5 * 21 + 20
    assert len(list(tmp_path.iterdir())) == 6


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        (lambda whole, other: whole[:-100], "cut short"),
        (lambda whole, other: other, "another network"),
        (lambda whole, other: whole[:330] + b"\x01" + whole[331:], "damaged"),
    ],
)
def test_a_wrong_file_is_made_anew(
    source: Source,
    tmp_path: Path,
    passes: list[int],
    capsys: pytest.CaptureFixture[str],
    damage: Callable[[bytes, bytes], bytes],
    line: str,
) -> None:
    data = kept_in(tmp_path, source)
    expected = np.array(features(network(), source, data).features)
    (path,) = tmp_path.iterdir()
    features(network(1), source, data)
    (other,) = set(tmp_path.iterdir()) - {path}
    path.write_bytes(damage(path.read_bytes(), other.read_bytes()))
    capsys.readouterr()
    del passes[:]
    found = features(network(), source, data).features
    shown = capsys.readouterr().err
    assert line in shown and "computed anew" in shown and shown.count("\n") == 1
    np.testing.assert_array_equal(found, expected)
    features(network(), source, data)
    assert passes == [8, 8, 5] and capsys.readouterr().err == ""


def test_a_function_stays_in_memory(source: Source, tmp_path: Path) -> None:
    bank = features(raw_pixels, source, kept_in(tmp_path, source))
    assert bank.features.shape == (21, 192) and not isinstance(bank.features, np.memmap)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("cached", [False, True])
def test_large_banks_are_halved(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cached: bool
) -> None:
    monkeypatch.setattr(feature_bank, "_FLOAT32_VALUES", 21 * 5 - 1)
    data = EvaluationData(source, source, 8, cache=tmp_path if cached else None)
    exact, _ = extract_features(network(), data.dataset(source))
    found = features(network(), source, data).features
    assert found.dtype == np.float16 and isinstance(found, np.memmap) == cached
    np.testing.assert_array_equal(found, exact.astype(np.float16))


@pytest.mark.parametrize("scale", [1e6, 1e25, 1e-7])
def test_what_float16_cannot_hold_stays_float32(
    source: Source,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    scale: float,
) -> None:
    monkeypatch.setattr(feature_bank, "_FLOAT32_VALUES", 0)
    data, model = kept_in(tmp_path, source), network(scale=scale)
    found = features(model, source, data).features
    np.testing.assert_array_equal(found, extract_features(model, data.dataset(source))[0])
    assert "do not fit into float16" in capsys.readouterr().err
    assert len(list(tmp_path.iterdir())) == 1


def test_progress_is_shown_where_it_is_wanted(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = io.StringIO()
    monkeypatch.setattr(sys, "stderr", shown)
    data = EvaluationData(source, source, 8, batch_size=8)
    features(network(), source, data)
    assert shown.getvalue() == ""
    features(network(), source, dataclasses.replace(data, progress=True))
    assert "features of made (train)" in shown.getvalue() and "21/21" in shown.getvalue()


def test_no_labels_are_minus_one(make_source: Callable[..., Source]) -> None:
    source = make_source(np.zeros((3, 8, 8, 3), np.uint8), None)
    assert (
        features(raw_pixels, source, EvaluationData(source, source, 8)).labels.tolist() == [-1] * 3
    )


def test_a_folder_that_cannot_be_one(source: Source, tmp_path: Path, passes: list[int]) -> None:
    (tmp_path / "file").write_text("here")
    with pytest.raises(UserError, match="`cache` must be a folder to write to"):
        features(network(), source, kept_in(tmp_path / "file", source))
    assert passes == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
def test_a_full_disk_is_a_mistake_with_a_cure(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        with open("/dev/full", "wb") as file:
            file.write(b"1")

    monkeypatch.setattr(feature_bank, "write_bank", full)
    with pytest.raises(UserError, match=r"or none\. Received: .*No space left"):
        features(network(), source, kept_in(tmp_path, source))


def test_a_model_without_features_is_refused(source: Source, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="must give features"):
        features(tf.keras.Sequential([tf.keras.Input((8, 8, 3)), tf.keras.layers.ReLU()]), source,
                 kept_in(tmp_path, source))  # fmt: skip
    assert list(tmp_path.iterdir()) == []
