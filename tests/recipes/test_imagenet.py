"""Optimizers of the ImageNet recipes: peak rates and decay are the papers'."""

from __future__ import annotations

import pytest
import tensorflow as tf

from burn_tf.recipes import get_recipe
from burn_tf.recipes.base import Views
from burn_tf.recipes.imagenet import imagenet_recipe, lars, sgd
from burn_tf.recipes.options import BYOLOptions, MoCoV2Options
from burn_tf.training.building import build_optimizer

PEAK_RATES = {
    "barlow_twins_imagenet": 0.2 * 2048 / 256,
    "byol_imagenet": 0.2 * 4096 / 256,
    "byol_imagenet100": 0.2 * 512 / 256,
    "byol_multicrop_imagenet": 0.3 * 4096 / 256,
    "burn_imagenet100": 0.3 * 512 / 2048,
    "infomin_imagenet": 0.03,
    "moco_v2_imagenet": 0.03,
    "moco_v2_imagenet100": 0.03,
    "moco_v2_tuned_imagenet": 3e-4,
    "s2bnn_imagenet": 3e-4,
    "simclr_v2_imagenet": 0.1 * 4096**0.5,
    "simclr_v2_imagenet100": 0.1 * 512**0.5,
    "simsiam_imagenet": 0.05,
    "supervised_imagenet": 5e-4,
    "swav_imagenet": 4.8,
    "swav_imagenet100": 0.6,
    "vicreg_imagenet": 0.2 * 2048 / 256,
    "wmse_imagenet": 2e-3,
}


@pytest.mark.parametrize(("name", "rate"), PEAK_RATES.items())
def test_peak_rate_is_the_papers(name: str, rate: float) -> None:
    recipe = get_recipe(name)
    optimizer = build_optimizer(recipe, steps_per_epoch=10, total_steps=10 * recipe.epochs)
    schedule = optimizer._learning_rate
    assert float(schedule(round(10 * recipe.optimizer.warmup_epochs))) == pytest.approx(rate)


def test_biases_and_norms_of_barlow_twins_have_the_papers_rate() -> None:
    recipe = get_recipe("barlow_twins_imagenet")
    optimizer = build_optimizer(recipe, steps_per_epoch=1, total_steps=recipe.epochs)
    peak = float(optimizer._learning_rate(round(recipe.optimizer.warmup_epochs)))
    assert peak * optimizer.exempt_rate == pytest.approx(0.0048 * recipe.batch_size / 256)


def test_rate_follows_the_batch() -> None:
    for views in (Views(num_views=2), Views(num_views=2, local_views=6)):
        optimizer = lars(0.2, views, weight_decay=0.0)
        recipe = imagenet_recipe("any", BYOLOptions(), views, optimizer, batch_size=1024, epochs=20)
        peak = build_optimizer(recipe, steps_per_epoch=1, total_steps=20)._learning_rate(10)
        assert float(peak) == pytest.approx(0.8)


def test_decay_is_that_of_the_gradient() -> None:
    """Weights without a gradient shrink as those of PyTorch's SGD, whose buffer holds the decay."""
    rate, decay, steps = 0.03, 0.01, 300
    expected, buffer = 1.0, 0.0
    for _ in range(steps):
        buffer = 0.9 * buffer + decay * expected
        expected -= rate * buffer
    settings = sgd(rate, Views(num_views=2), weight_decay=decay)
    optimizer = tf.keras.optimizers.SGD(
        rate, momentum=settings.momentum, weight_decay=settings.weight_decay
    )
    weight = tf.Variable(1.0)
    for _ in range(steps):
        optimizer.apply_gradients([(tf.constant(0.0), weight)])
    assert float(weight) == pytest.approx(expected, rel=0.05)
    assert expected < 0.5


def test_binary_recipe_has_two_stages() -> None:
    views = Views(num_views=2)
    optimizer = sgd(0.03, views, weight_decay=0.0)
    recipe = imagenet_recipe("any", MoCoV2Options(), views, optimizer, 256, 3, binary=True)
    assert recipe.stages == ("activations", "both")
    assert recipe.backbone.name == "reactnet_a"
    recipe = imagenet_recipe("any", MoCoV2Options(), views, optimizer, 256, 3)
    assert (recipe.stages, recipe.backbone.name) == (("none",), "resnet50")
