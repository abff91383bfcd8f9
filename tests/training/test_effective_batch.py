"""The line that says what an update learns from, and the peak rate in it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from burn_tf.recipes import get_recipe, override
from burn_tf.training.building import build_optimizer
from burn_tf.training.effective_batch import describe_batch, peak_rate
from burn_tf.training.pretraining import _few_images

SETTINGS = ["batch_size=1024", "optimizer.learning_rate=0.4", "optimizer.scale_rate=true"]


@pytest.mark.parametrize(
    ("settings", "rate", "shown"),
    [
        ([], 3.2, "lars, peak learning rate 3.2 = 0.4 x 1024 / 256 x 2 views"),
        (
            ["optimizer.scale_rule=sqrt"],
            0.4 * 8**0.5,
            "lars, peak learning rate 1.13137 = 0.4 x sqrt(1024 / 256 x 2 views)",
        ),
        (["optimizer.scale_rate=false"], 0.4, "lars, peak learning rate 0.4"),
    ],
)
def test_rate(settings: list[str], rate: float, shown: str) -> None:
    recipe = override(get_recipe("msbreg_imagenet"), [*SETTINGS, "views.num_views=2", *settings])
    assert peak_rate(recipe) == pytest.approx(rate, rel=1e-6)
    optimizer = build_optimizer(recipe, steps_per_epoch=1, total_steps=20)
    peak = max(float(optimizer._learning_rate(step)) for step in range(20))
    assert peak == pytest.approx(rate, rel=1e-5)
    method = SimpleNamespace(looks_across_the_batch=True)
    assert describe_batch(recipe, method) == f"batch 1024; {shown}"


@pytest.mark.parametrize(
    ("batch", "count", "least", "expected"),
    [(64, 1, 1, 8), (4, 1, 1, 4), (64, 1, 33, 33), (96, 3, 1, 12), (96, 4, 5, 24), (10, 5, 1, 10)],
)
def test_a_dry_run_keeps_micro_batches(batch: int, count: int, least: int, expected: int) -> None:
    """Shares of the batch that 3 (4, 5) micro-batches of 2 images or more can be made of."""
    recipe = override(get_recipe("byol_digits"), [f"batch_size={batch}", f"accumulate={count}"])
    assert _few_images(recipe, SimpleNamespace(minimum_batch=lambda: least)) == expected


@pytest.mark.parametrize(
    ("across", "who"), [(True, "SimpleNamespace's loss and batch norms"), (False, "batch norms")]
)
def test_micro_batches(across: bool, who: str) -> None:
    recipe = override(get_recipe("byol_digits"), ["batch_size=96", "accumulate=4"])
    method = SimpleNamespace(looks_across_the_batch=across)
    parts = describe_batch(recipe, method, replicas=2).split("; ")
    assert parts[0] == "batch 96 = 4 micro-batches of 24 on 2 replicas"
    assert parts[2] == f"{who} see 24 images at a time"
