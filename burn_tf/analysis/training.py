"""Short training runs in memory, of which an analysis keeps a few figures per update."""

from __future__ import annotations

import dataclasses
import sys
import tempfile
from collections.abc import Sequence
from typing import Any, TextIO

import numpy as np
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.data import Source, steps_per_epoch, views_dataset
from burn_tf.methods import SSLMethod
from burn_tf.recipes import Recipe, get_recipe
from burn_tf.report.progress import ProgressCallback
from burn_tf.training import TrainingGuard, pretrain
from burn_tf.training.building import enlarge_images
from burn_tf.training.model_files import load_backbone

_MIN_BATCHES = 4
_SHOWN = ("loss", "feature_std", "grad_norm")


class FigureLog(tf.keras.callbacks.Callback):
    """Keeps chosen figures of every update of `fit`.

    Args:
        names: of the figures; one that a method does not log is left out.

    Example:
        >>> FigureLog(["loss"]).values
        {'loss': []}
    """

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self.values: dict[str, list[float]] = {name: [] for name in names}

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        for name, values in self.values.items():
            if name in (logs or {}):
                values.append(float((logs or {})[name]))

    def array(self, name: str) -> np.ndarray:
        """float64 [updates] of one figure."""
        return np.array(self.values[name], np.float64)


def fitted(recipe: Recipe, source: Source) -> Recipe:
    """The recipe in float32, with a batch that a small collection fills a few times."""
    most = max(2, source.num_images // _MIN_BATCHES)
    batch = min(recipe.batch_size, most)
    return dataclasses.replace(recipe, batch_size=batch, precision="float32")


def described(recipe: Recipe, source: Source, **settings: Any) -> dict[str, Any]:
    """What a run depends on, by name, `settings` included, for the record."""
    return {
        "data": source.name,
        "images": source.num_images,
        "recipe": recipe.name,
        "batch size": recipe.batch_size,
        **settings,
        "seed": recipe.seed,
    }


def train(
    method: SSLMethod,
    recipe: Recipe,
    source: Source,
    updates: int,
    callbacks: Sequence[tf.keras.callbacks.Callback],
    label: str,
    stream: TextIO = sys.stderr,
) -> None:
    """Fit a compiled method for a number of updates on the recipe's views; collapse is allowed.

    Raises:
        TrainingStopped: the loss is not finite.
    """
    steps = steps_per_epoch(source, recipe.batch_size)
    views = views_dataset(
        source,
        recipe.views.policies(),
        num_views=recipe.views.num_views,
        batch_size=recipe.batch_size,
        image_size=recipe.views.image_size,
        seed=recipe.seed,
        epochs=-(-updates // steps),
    )
    guard = TrainingGuard(min_feature_std=0.0)
    progress = ProgressCallback(label, updates, metrics=_SHOWN, stream=stream)
    method.fit(views.take(updates), verbose=0, callbacks=[guard, *callbacks, progress])


def pretrained_teacher(
    recipe: Recipe, source: Source, updates: int, stream: TextIO = sys.stderr
) -> tf.keras.Model:
    """The teacher that a BURN recipe names: its file, or its recipe cut at a number of updates.

    Raises:
        UserError: the recipe names none, or the file cannot be read.
    """
    wanted = recipe.teacher
    if wanted is not None and wanted.weights is not None:
        teacher = load_backbone(wanted.weights)
    elif wanted is not None and wanted.recipe is not None:
        base = fitted(get_recipe(wanted.recipe), source)
        short = dataclasses.replace(base, max_steps=updates, seed=recipe.seed)
        with tempfile.TemporaryDirectory() as folder:
            teacher = pretrain(short, source, folder, stream=stream, label="teacher ")
    else:
        raise UserError(f"recipe {recipe.name} names no teacher: set teacher.weights=FILE")
    if wanted.image_size is None:
        return teacher
    return enlarge_images(teacher, recipe.views.image_size, wanted.image_size)
