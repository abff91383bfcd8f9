"""What an update learns from and how fast: batch, micro-batches, peak rate, in words."""

from __future__ import annotations

from burn_tf.methods import SSLMethod
from burn_tf.recipes import Recipe
from burn_tf.schedules import REFERENCE_BATCH, scaled_learning_rate


def peak_rate(recipe: Recipe) -> float:
    """The recipe's highest learning rate, scaled by its batch and views where it says so."""
    config = recipe.optimizer
    if not config.scale_rate:
        return config.learning_rate
    return scaled_learning_rate(
        config.learning_rate, recipe.batch_size, _view_count(recipe), config.scale_rule
    )


def describe_batch(recipe: Recipe, method: SSLMethod, replicas: int = 1) -> str:
    """One line for the start of a run: effective batch and rate, and what micro-batches change."""
    parts = [f"batch {recipe.batch_size}{_shares(recipe, replicas)}", _rate(recipe)]
    if recipe.accumulate > 1:
        size = recipe.batch_size // recipe.accumulate
        who = f"{type(method).__name__}'s loss and batch" if method.looks_across_the_batch else ""
        parts.append(f"{who or 'batch'} norms see {size} images at a time")
    return "; ".join(parts)


def _shares(recipe: Recipe, replicas: int) -> str:
    count = recipe.accumulate
    parts = f" = {count} micro-batches of {recipe.batch_size // count}" if count > 1 else ""
    return parts + (f" on {replicas} replicas" if replicas > 1 else "")


def _rate(recipe: Recipe) -> str:
    config, views = recipe.optimizer, _view_count(recipe)
    text = f"{config.name}, peak learning rate {peak_rate(recipe):.6g}"
    if not config.scale_rate:
        return text
    share = f"{recipe.batch_size} / {REFERENCE_BATCH} x {views} views"
    factor = share if config.scale_rule == "linear" else f"sqrt({share})"
    return f"{text} = {config.learning_rate:.6g} x {factor}"


def _view_count(recipe: Recipe) -> int:
    return recipe.views.num_views + recipe.views.local_views
