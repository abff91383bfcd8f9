"""How BURN's feature term changes the gradients of extractor and classifiers."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

import numpy as np
import tensorflow as tf

from burn_tf._checks import UserError, check_choice, check_integer
from burn_tf.analysis.record import Analysis, Panel
from burn_tf.analysis.training import FigureLog, described, fitted, pretrained_teacher, train
from burn_tf.data import Source, steps_per_epoch
from burn_tf.recipes import Recipe
from burn_tf.recipes.options import BURNOptions
from burn_tf.report import Series
from burn_tf.training.building import build_method, build_optimizer
from burn_tf.training.pretraining import check_recipe
from burn_tf.training.run import total_steps

# The loss of each run: what differs from the recipe.
LOSSES: dict[str, dict[str, Any]] = {
    "KL alone": {"feature_weight_start": 0.0, "feature_weight_end": 0.0},
    "KL and cosine": {"feature_loss": "cosine"},
    "KL and L1": {"feature_loss": "l1"},
    "KL and L2": {"feature_loss": "l2"},
}
_GROUPS = {
    "extractor": "grad_norm_extractor",
    "classifier": "grad_norm_classifier",
    "teacher classifier": "grad_norm_teacher_classifier",
}


def gradients(
    source: Source,
    recipe: Recipe,
    *,
    updates: int = 40,
    teacher_updates: int = 200,
    teacher: tf.keras.Model | None = None,
    losses: Sequence[str] = tuple(LOSSES),
    stream: TextIO = sys.stderr,
) -> Analysis:
    """Gradient norms of BURN's networks over its first updates, for four losses.

    Each run starts from the same weights and sees the same views:

        KL alone         L = L_KL                                      (lambda = 0)
        KL and cosine    L = (1 - lambda(t)) L_KL + lambda(t) L_FS     (eq. 4)
        KL and L1, L2    the same with the distances of Table 6

    Args:
        source: images; labels are not read.
        recipe: a BURN recipe; its first stage is run, in float32, with a batch that fits `source`.
        updates: of each run, at least 2; lambda(t) and the rate are those of the whole stage.
        teacher_updates: of the teacher that the recipe's `teacher.recipe` trains, at least 1.
        teacher: the frozen extractor; None: as the recipe says.
        losses: which of the losses above are run.
        stream: where progress is printed.

    Returns:
        Mean norms by group of networks, and the curves.

    Raises:
        UserError: another method's recipe, an unknown loss, a number out of range, no teacher.

    Example:
        >>> from burn_tf.analysis import gradients
        >>> from burn_tf.data import load_source
        >>> from burn_tf.recipes import get_recipe
        >>> digits, recipe = load_source("digits"), get_recipe("burn_digits")
        >>> found = gradients(digits, recipe, updates=2, teacher_updates=1)
        >>> [row["loss"] for row in found.rows]
        ['KL alone', 'KL and cosine', 'KL and L1', 'KL and L2']

    Source: Kim & Choi, CVPR 2022, Figs. 3 and 6, arXiv 2110.08851.
    Departs from source: networks, images and number of updates are small; norms are those of all
        weights of a group together.
    """
    check_integer("updates", updates, low=2)
    check_integer("teacher_updates", teacher_updates, low=1)
    for name in losses:
        check_choice("losses", name, LOSSES)
    options = recipe.method
    if not isinstance(options, BURNOptions):
        raise UserError(f"`recipe` must be one of BURN. Received: {recipe.name!r}")
    recipe = fitted(recipe, source)
    variants = {
        name: dataclasses.replace(recipe, method=dataclasses.replace(options, **LOSSES[name]))
        for name in losses
    }
    if teacher is None:
        for variant in variants.values():
            check_recipe(variant)
        teacher = pretrained_teacher(recipe, source, teacher_updates, stream)
    logs = {
        name: _run(name, variant, source, teacher, updates, stream)
        for name, variant in variants.items()
    }
    return Analysis(
        kind="gradients",
        title=f"Gradients of BURN's first {updates} updates",
        settings=described(recipe, source, updates=updates, stage=recipe.stages[0]),
        rows=[_row(name, log) for name, log in logs.items()],
        panels=_panels(logs),
        bars=["extractor", "extractor / classifier"],
        notes=[
            "BURN, Figs. 3 (with and without the feature term) and 6 (cosine, L1, L2), in small. "
            "Means over the updates shown; norms of all weights of a group together.",
            "Deviation / mean says how unsteady the extractor's gradient is from update to update.",
            "With the feature term the KL term weighs 1 - λ, so its own gradients shrink: compare "
            "the extractor's with the classifier's.",
        ],
    )


def _run(
    name: str,
    recipe: Recipe,
    source: Source,
    teacher: tf.keras.Model,
    updates: int,
    stream: TextIO,
) -> FigureLog:
    tf.keras.utils.set_random_seed(recipe.seed)
    whole = max(total_steps(recipe, source), updates)
    method = build_method(recipe, teacher, whole)
    method.compile(build_optimizer(recipe, steps_per_epoch(source, recipe.batch_size), whole))
    log = FigureLog([*_GROUPS.values(), "kl", "feature"])
    train(method, recipe, source, updates, [log], name, stream)
    return log


def _row(name: str, log: FigureLog) -> dict[str, Any]:
    norms = {group: log.array(key) for group, key in _GROUPS.items()}
    means = {group: float(values.mean()) for group, values in norms.items()}
    extractor = norms["extractor"]
    return {
        "loss": name,
        **means,
        "extractor / classifier": means["extractor"] / max(means["classifier"], 1e-30),
        "extractor: deviation / mean": float(extractor.std() / max(extractor.mean(), 1e-30)),
    }


def _panels(logs: Mapping[str, FigureLog]) -> list[Panel]:
    panels = []
    for group, key in _GROUPS.items():
        lines = []
        for name, log in logs.items():
            values = log.array(key)
            lines.append(Series(name, np.arange(1, len(values) + 1), values))
        panels.append(Panel(f"Gradient norm of the {group}", lines, y_label="norm", log_y=True))
    return panels
