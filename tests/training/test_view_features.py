"""A view's features: of the right pixels, kept by all that they depend on, never silently wrong."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.data import Source
from burn_tf.data.fixed_views import fixed_views_dataset
from burn_tf.recipes import get_recipe, override
from burn_tf.training import view_features
from burn_tf.training.view_features import ViewFeatures, halved

IMAGES = 11
KERNEL = np.random.default_rng(1).normal(size=(3, 5)).astype(np.float32)


def mean_teacher(kernel: np.ndarray = KERNEL) -> tf.keras.Model:
    """Mean colour, times a matrix."""
    images = tf.keras.Input((8, 8, 3))
    colour = tf.keras.layers.GlobalAveragePooling2D()(images)
    model = tf.keras.Model(images, tf.keras.layers.Dense(5, use_bias=False)(colour))
    model.set_weights([kernel])
    return model


@pytest.fixture(scope="module")
def source() -> Source:
    pixels = np.random.default_rng(0).integers(0, 256, (IMAGES, 10, 9, 3), dtype=np.uint8)
    return Source.from_array(pixels)


@pytest.fixture
def view(source: Source, tmp_path: Path) -> Callable[..., ViewFeatures]:
    def make(
        *settings: str, teacher: tf.keras.Model | None = None, images: Source = source
    ) -> ViewFeatures:
        given = ["views.image_size=8", "views.policy=cifar", "batch_size=4", *settings]
        recipe = override(get_recipe("burn_digits"), given)
        return ViewFeatures(tmp_path, teacher or mean_teacher(), recipe, images, 0, 2)

    return make


def opened(view: ViewFeatures) -> str:
    """What is said when a view is opened."""
    said = io.StringIO()
    view.open(said)
    return said.getvalue()


def test_rows_are_the_teachers_of_the_same_pixels(
    view: Callable[..., ViewFeatures], source: Source
) -> None:
    made = view()
    assert list(made.fill()) == [IMAGES, IMAGES]
    for draw in range(2):
        views = fixed_views_dataset(
            source, "cifar", [(draw, 0, IMAGES)], view=0, batch_size=IMAGES, image_size=8
        )
        wanted = next(iter(views)).numpy().mean(axis=(1, 2)) @ KERNEL
        found = made.table.rows(range(draw * IMAGES, (draw + 1) * IMAGES))
        np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-3)
    again = view("batch_size=7", "backbone.width=0.125", "method.hidden_dim=9")
    assert opened(again) == "" and not again.table.missing()
    facts = json.loads((made.table.folder / "facts.json").read_text())
    assert facts["images"] == source.fingerprint and facts["policy"]["name"] == "cifar"


def test_the_key_is_all_that_features_depend_on(
    view: Callable[..., ViewFeatures], source: Source
) -> None:
    others = [
        view(),
        view("seed=1"),
        view("views.policy=digits"),
        view(teacher=mean_teacher(KERNEL + np.eye(3, 5, dtype=np.float32) * 1e-6)),
        view(images=source.subset(np.arange(IMAGES)[::-1])),
    ]
    assert len({other.table.folder for other in others}) == len(others)


def test_stale_features_are_made_anew(
    view: Callable[..., ViewFeatures], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change of this library's views or layers is in no key."""
    made = view()
    list(made.fill())
    before = made.table.rows([0, 15]).astype(np.float32)
    monkeypatch.setattr(view_features, "frozen_features", lambda network: lambda x: 2 * network(x))
    stale = view()
    assert opened(stale) == (
        f"kept features in {made.table.folder} are not what the teacher gives now: computed anew\n"
    )
    assert len(stale.table.missing()) == 2
    list(stale.fill())
    np.testing.assert_allclose(stale.table.rows([0, 15]), 2 * before, rtol=1e-3, atol=1e-3)


def test_damaged_files_alone_are_made_anew(view: Callable[..., ViewFeatures]) -> None:
    made = view()
    list(made.fill())
    path = made.table.path((1, 0, IMAGES))
    path.write_bytes(path.read_bytes()[:-1])
    again = view()
    assert opened(again) == f"kept features {path} are cut short: computed anew\n"
    assert again.table.missing() == [(1, 0, IMAGES)]
    assert list(again.fill()) == [IMAGES]
    assert opened(view()) == ""


def test_what_float16_cannot_hold(view: Callable[..., ViewFeatures]) -> None:
    for scale in (1e6, 1e-9, np.nan):
        with pytest.raises(UserError, match="`teacher_cache` keeps float16, which cannot hold"):
            list(view(teacher=mean_teacher(KERNEL * np.float32(scale))).fill())
    np.testing.assert_array_equal(halved(np.zeros((2, 3), np.float32)), np.zeros((2, 3)))


def test_a_teacher_without_a_digest(view: Callable[..., ViewFeatures]) -> None:
    images = tf.keras.Input((8, 8, 3))
    features = tf.keras.layers.Lambda(lambda x: tf.reduce_mean(x, [1, 2]))(images)
    with pytest.raises(UserError, match="`teacher_cache` needs a teacher whose config says"):
        view(teacher=tf.keras.Model(images, features))
