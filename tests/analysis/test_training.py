"""Figures of each update, batches that fit, and where a teacher comes from."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.analysis.training import FigureLog, fitted, pretrained_teacher
from burn_tf.data import Source, load_source
from burn_tf.recipes import get_recipe
from burn_tf.recipes.base import Network, Teacher


def few(images: int) -> Source:
    return Source.from_array(np.zeros((images, 8, 8, 3), np.uint8))


def test_figures_are_kept_in_order_and_others_are_not() -> None:
    log = FigureLog(["loss", "absent"])
    for value in (3.0, np.float32(2.5), 1.0):
        log.on_train_batch_end(0, {"loss": value, "other": 9.0})
    np.testing.assert_array_equal(log.array("loss"), [3.0, 2.5, 1.0])
    assert log.values == {"loss": [3.0, 2.5, 1.0], "absent": []}


@pytest.mark.parametrize(("images", "batch"), [(3, 2), (40, 10), (1000, 64)])
def test_a_batch_fits_a_small_collection(images: int, batch: int) -> None:
    recipe = dataclasses.replace(get_recipe("burn_digits"), precision="mixed_bfloat16")
    found = fitted(recipe, few(images))
    assert (found.batch_size, found.precision) == (batch, "float32")


def recipe_with(teacher: Teacher | None):
    small = dataclasses.replace(get_recipe("burn_digits"), teacher=teacher)
    return dataclasses.replace(small, backbone=Network("reactnet_tiny"))


def save_teacher(path: Path) -> tf.keras.Model:
    images = tf.keras.Input((None, None, 3))
    model = tf.keras.Model(images, tf.keras.layers.GlobalAveragePooling2D()(images))
    model.save(path)
    return model


def test_a_file_is_loaded_and_sees_larger_images_where_asked(tmp_path: Path) -> None:
    path = tmp_path / "teacher.keras"
    model = save_teacher(path)
    images = tf.random.stateless_normal([2, 16, 16, 3], (1, 2))
    plain = pretrained_teacher(recipe_with(Teacher(weights=str(path))), few(4), 1)
    np.testing.assert_array_equal(plain(images), model(images))
    wide = Teacher(weights=str(path), image_size=32)
    larger = pretrained_teacher(recipe_with(wide), few(4), 1)
    np.testing.assert_allclose(larger(images), model(tf.image.resize(images, (32, 32))), atol=1e-6)


def test_no_teacher_is_named() -> None:
    with pytest.raises(UserError, match=r"burn_digits names no teacher: set teacher.weights=FILE"):
        pretrained_teacher(recipe_with(None), few(4), 1)


@pytest.mark.slow
def test_a_teacher_is_trained_for_as_many_updates_as_asked() -> None:
    stream = io.StringIO()
    recipe = recipe_with(Teacher(recipe="msbreg_digits"))
    teacher = pretrained_teacher(recipe, load_source("digits"), 2, stream)
    assert teacher.output_shape == (None, 128)
    assert "teacher stage1" in stream.getvalue() and "2/2" in stream.getvalue()
