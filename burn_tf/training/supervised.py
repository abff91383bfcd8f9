"""The same binary backbone trained with labels, for comparison."""

from __future__ import annotations

import sys
from typing import TextIO

import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.data import Source, views_dataset
from burn_tf.data.views import steps_per_epoch
from burn_tf.recipes import Recipe
from burn_tf.report.progress import ProgressCallback
from burn_tf.training.building import build_backbone, build_optimizer
from burn_tf.training.pretraining import total_steps


def train_supervised(recipe: Recipe, source: Source, stream: TextIO = sys.stderr) -> tf.keras.Model:
    """Train the recipe's backbone by label cross entropy, for as many updates as all its stages.

    Activations and weights are binary throughout; views and optimizer are the recipe's.

    Returns:
        The backbone [B, H, W, 3] -> [B, D], without the classifier it was trained with.

    Raises:
        UserError: when the source has no labels.
    """
    if source.labels is None:
        raise UserError("training with labels needs class folders or a labelled set")
    tf.keras.utils.set_random_seed(recipe.seed)
    backbone = build_backbone(recipe.backbone, recipe.views.image_size, "both")
    classes = int(source.labels.max()) + 1
    classifier = tf.keras.layers.Dense(classes, name="classifier", dtype="float32")
    model = tf.keras.Sequential([backbone, classifier])
    stages = len(recipe.stages)
    steps = stages * total_steps(recipe, source)
    model.compile(
        build_optimizer(recipe, steps_per_epoch(source, recipe.batch_size), steps),
        tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    # With its slots made here the step is traced once, not twice.
    model.optimizer.build(model.trainable_variables)
    views = views_dataset(
        source,
        recipe.views.policy,
        num_views=1,
        batch_size=recipe.batch_size,
        image_size=recipe.views.image_size,
        seed=recipe.seed,
        epochs=stages * recipe.epochs,
        labels=True,
    )
    pairs = views.map(lambda images, labels: (images[0], labels)).take(steps)
    model.fit(pairs, verbose=0, callbacks=[ProgressCallback("with labels", steps, stream=stream)])
    return backbone
