"""BURN's first updates under four losses: the same start, the right terms, the right norms."""

from __future__ import annotations

import dataclasses
import io

import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.analysis import Analysis, gradients
from burn_tf.data import load_source, views_dataset
from burn_tf.recipes import Recipe, get_recipe
from burn_tf.recipes.base import Network, Views
from burn_tf.recipes.options import BURNOptions
from burn_tf.training import build_method
from burn_tf.training.run import total_steps

UPDATES = 2
# What TensorFlow says of functions that run eagerly while data sets do not.
pytestmark = pytest.mark.filterwarnings("ignore:Even though:UserWarning")


def small() -> Recipe:
    recipe = get_recipe("burn_digits")
    return dataclasses.replace(
        recipe,
        backbone=Network("reactnet_tiny", stem_strides=1),
        views=Views("digits", num_views=1, image_size=8),
        method=BURNOptions(num_outputs=16, hidden_dim=16),
        batch_size=16,
    )


@pytest.fixture(scope="module")
def teacher() -> tf.keras.Model:
    tf.keras.utils.set_random_seed(1)
    images = tf.keras.Input((8, 8, 3))
    return tf.keras.Model(images, tf.keras.layers.Dense(6)(tf.keras.layers.Flatten()(images)))


@pytest.fixture(scope="module")
def found(teacher: tf.keras.Model) -> Analysis:
    options = {"updates": UPDATES, "teacher": teacher, "stream": io.StringIO()}
    losses = ["KL alone", "KL and L2"]
    # Two updates do not pay for the graph of a step.
    tf.config.run_functions_eagerly(True)
    try:
        return gradients(load_source("digits"), small(), losses=losses, **options)
    finally:
        tf.config.run_functions_eagerly(False)


def curves(analysis: Analysis) -> dict[str, dict[str, np.ndarray]]:
    names = ("extractor", "classifier", "teacher classifier")
    return {
        name: {series.name: np.asarray(series.y) for series in panel.series}
        for name, panel in zip(names, analysis.panels, strict=True)
    }


def first_norms(teacher: tf.keras.Model, weight: float) -> tuple[float, float]:
    """Norms of extractor and classifier at update 0, from a tape over the two losses alone."""
    recipe, source = small(), load_source("digits")
    tf.keras.utils.set_random_seed(recipe.seed)
    model = build_method(recipe, teacher, total_steps(recipe, source))
    (view,) = next(
        iter(views_dataset(source, "digits", num_views=1, batch_size=16, image_size=8, seed=0))
    )
    with tf.GradientTape(persistent=True) as tape:
        target = teacher(view, training=False)
        feature = model.backbone(view, training=True)
        p = tf.nn.softmax(model.teacher_classifier(target, training=True) / 0.2)
        q = tf.nn.softmax(model.classifier(feature, training=True) / 0.2)
        kl = tf.reduce_mean(tf.reduce_sum(p * tf.math.log(p / q), axis=-1))
        distance = tf.square(model.projection(feature) - target)
        loss = (1.0 - weight) * kl + weight * tf.reduce_mean(distance)
    extractor = model.backbone.trainable_variables
    norms = []
    for variables in (extractor, model.classifier.trainable_variables):
        each = [g for g in tape.gradient(loss, variables) if g is not None]
        norms.append(float(tf.linalg.global_norm(each)))
    return norms[0], norms[1]


@pytest.mark.parametrize(("name", "weight"), [("KL alone", 0.0), ("KL and L2", 0.9)])
def test_first_norms_are_those_of_the_losses(
    found: Analysis, teacher: tf.keras.Model, name: str, weight: float
) -> None:
    extractor, classifier = first_norms(teacher, weight)
    np.testing.assert_allclose(curves(found)["extractor"][name][0], extractor, rtol=2e-3)
    np.testing.assert_allclose(curves(found)["classifier"][name][0], classifier, rtol=2e-3)


def test_classifiers_see_the_kl_term_alone(found: Analysis) -> None:
    # All runs start alike, and lambda(0) = 0.9: a tenth of the KL term's gradient is left.
    for group in ("classifier", "teacher classifier"):
        norms = {name: y[0] for name, y in curves(found)[group].items()}
        assert norms["KL and L2"] == pytest.approx(0.1 * norms["KL alone"], rel=1e-3)


def test_rows_hold_the_means(found: Analysis) -> None:
    for row in found.rows:
        for group, lines in curves(found).items():
            assert len(lines[row["loss"]]) == UPDATES
            assert row[group] == pytest.approx(lines[row["loss"]].mean())
        extractor = curves(found)["extractor"][row["loss"]]
        assert row["extractor: deviation / mean"] == pytest.approx(
            extractor.std() / extractor.mean()
        )


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"updates": 1}, "updates"),
        ({"teacher_updates": 0}, "teacher_updates"),
        ({"losses": ["KL and L3"]}, "losses"),
    ],
)
def test_mistakes_name_the_argument(change: dict, name: str) -> None:
    with pytest.raises(UserError, match=f"`{name}` must .* Received"):
        gradients(load_source("digits"), small(), **change)


def test_another_methods_recipe() -> None:
    with pytest.raises(UserError, match=r"`recipe` must be one of BURN. Received: 'msbreg_digits'"):
        gradients(load_source("digits"), get_recipe("msbreg_digits"))


def test_a_recipe_without_teacher() -> None:
    alone = dataclasses.replace(small(), teacher=None)
    with pytest.raises(UserError, match=r"needs a pretrained teacher: give --set teacher"):
        gradients(load_source("digits"), alone)
