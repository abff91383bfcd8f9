"""Heads with layer norm collapse where nothing keeps the embeddings apart (MSBReg, Table 13).

What was seen on digits, for three seeds (tests/analysis/test_collapse.py holds one): with SGD, L_c
alone collapses within 20 updates and stays so for 100; L_s, or batch norm in the heads, prevents
it, while L_b, whose gradients shrink with all others, does not. With Adam the spread returns of
itself over hundreds of updates, and L_b of 0.5 nearly doubles that of the projections.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TextIO

import tensorflow as tf

from burn_tf._checks import UserError, check_choice, check_integer, check_range
from burn_tf.analysis.record import Analysis, Panel
from burn_tf.analysis.training import described, fitted, train
from burn_tf.data import Source, eval_dataset
from burn_tf.evaluation.embedding import COLLAPSED_BELOW
from burn_tf.methods import feature_deviation
from burn_tf.optimizers import FusedAdam
from burn_tf.recipes import Recipe
from burn_tf.recipes.options import MSBRegOptions
from burn_tf.report import Series
from burn_tf.training import build_method

# Norm in the heads, and whether L_s and L_b are on.
CASES: dict[str, tuple[str, bool, bool]] = {
    "layer norm, L_c": ("layer", False, False),
    "layer norm, L_c + L_b": ("layer", False, True),
    "layer norm, L_c + L_s": ("layer", True, False),
    "layer norm, L_c + L_s + L_b": ("layer", True, True),
    "batch norm, L_c": ("batch", False, False),
}
_OPTIMIZERS: dict[str, Callable[[], tf.keras.optimizers.Optimizer]] = {
    "sgd": lambda: tf.keras.optimizers.SGD(0.03, momentum=0.9),
    "adam": lambda: FusedAdam(0.005),
}
_WATCHED = ("features", "projections", "predictions")
_HELD_OUT = 256
_POINTS = 20
_NOTES = (
    "MSBReg, Table 13, in small. Deviation of vectors of length 1, measured on held-out images: 1 "
    f"for an even spread over the sphere, 0 for one point; predictions below {COLLAPSED_BELOW:g} "
    "count as collapsed.",
    "Features: the backbone's, whose own batch norm keeps them apart. Projections and predictions: "
    "outputs of the two heads.",
    "L_b has no mean pull: it acts as a random walk and needs many hundred updates (--optimizer "
    "adam) to show. L_s acts at once.",
)


class DeviationLog(tf.keras.callbacks.Callback):
    """Deviation of a method's features, projections and predictions on fixed images.

    Args:
        images: [N, H, W, 3], held out.
        every: measured at the first, at each n-th and at the last update; >= 1.

    Example:
        >>> DeviationLog(tf.zeros([2, 16, 16, 3]), every=10).updates
        []
    """

    def __init__(self, images: tf.Tensor, every: int) -> None:
        super().__init__()
        self.images = images
        self.every = check_integer("every", every, low=1)
        self.updates: list[int] = []
        self._update = 0
        self.values: dict[str, list[float]] = {what: [] for what in _WATCHED}

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._update = batch + 1
        if batch == 0 or self._update % self.every == 0:
            self._measure()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self.updates[-1:] != [self._update]:
            self._measure()

    def _measure(self) -> None:
        features = self.model.backbone(self.images, training=False)
        projections = self.model.projector(features, training=False)
        predictions = self.model.predictor(projections, training=False)
        self.updates.append(self._update)
        for values, vectors in zip(
            self.values.values(), (features, projections, predictions), strict=True
        ):
            values.append(float(feature_deviation(vectors)))


def collapse(
    source: Source,
    held_out: Source,
    recipe: Recipe,
    *,
    updates: int = 100,
    optimizer: str = "sgd",
    singular_value_weight: float = 0.04,
    brownian_weight: float = 0.5,
    cases: Sequence[str] = tuple(CASES),
    stream: TextIO = sys.stderr,
) -> Analysis:
    """Spread of MSBReg's embeddings over training, by norm in the heads and terms of the loss.

    All runs start from the same backbone and see the same views. Heads have layer norm or batch
    norm, and the loss is L_c alone or with L_s (eq. 6), with L_b (eq. 4) or with both.

    Args:
        source: images to train on; labels are not read.
        held_out: images whose embeddings are measured.
        recipe: an MSBReg recipe; run in float32, without schedule, with a batch that fits `source`.
        updates: of each run, at least 2.
        optimizer: "sgd" at a rate of 0.03, momentum 0.9, whose steps vanish with the gradients: a
            collapse lasts. Or "adam" at 0.005, whose steps do not: over some hundred updates the
            spread comes back, and with L_b, which acts as a random walk, more of it.
        singular_value_weight: lambda_s >= 0 where L_s is on; 0.04 (ours; the paper's is 4e-3, for
            far longer training).
        brownian_weight: lambda_b >= 0 where L_b is on; 0.5 (the paper's, ImageNet-100).
        cases: which of `CASES` are run.
        stream: where progress is printed.

    Returns:
        The deviations at the end, by run, and their curves. Predictions with a deviation below
        `COLLAPSED_BELOW` count as collapsed.

    Raises:
        UserError: another method's recipe, an unknown name, or a number out of range.

    Example:
        >>> from burn_tf.analysis import collapse
        >>> from burn_tf.data import load_source
        >>> from burn_tf.recipes import get_recipe
        >>> splits = load_source("digits"), load_source("digits", split="test")
        >>> recipe = get_recipe("msbreg_digits")
        >>> found = collapse(*splits, recipe, updates=2, cases=["batch norm, L_c"])
        >>> found.rows[0]["heads, loss"]
        'batch norm, L_c'

    Source: MSBReg (Moon et al.), Table 13.
    Departs from source: networks, images and number of updates are small; what is measured is the
        spread of the embeddings, not the accuracy behind it.
    """
    options = _checked_options(recipe)
    _check(updates, optimizer, cases)
    weights = (
        check_range("singular_value_weight", singular_value_weight, low=0.0),
        check_range("brownian_weight", brownian_weight, low=0.0),
    )
    recipe = fitted(recipe, source)
    images = _images(held_out, recipe.views.image_size)
    logs = {}
    for name in cases:
        variant = dataclasses.replace(recipe, method=_options(options, CASES[name], weights))
        tf.keras.utils.set_random_seed(recipe.seed)
        method = build_method(variant, None, updates)
        method.compile(_OPTIMIZERS[optimizer]())
        logs[name] = DeviationLog(images, every=max(1, updates // _POINTS))
        train(method, recipe, source, updates, [logs[name]], name, stream)
    return Analysis(
        kind="collapse",
        title="Layer norm in the heads: collapse and its cure",
        settings=described(
            recipe, source, updates=updates, optimizer=optimizer, λ_s=weights[0], λ_b=weights[1]
        ),
        rows=[_row(name, log) for name, log in logs.items()],
        panels=_panels(logs),
        bars=["predictions"],
        notes=_NOTES,
    )


def _checked_options(recipe: Recipe) -> MSBRegOptions:
    if not isinstance(recipe.method, MSBRegOptions):
        raise UserError(f"`recipe` must be one of MSBReg. Received: {recipe.name!r}")
    return recipe.method


def _check(updates: int, optimizer: str, cases: Sequence[str]) -> None:
    check_integer("updates", updates, low=2)
    check_choice("optimizer", optimizer, _OPTIMIZERS)
    for name in cases:
        check_choice("cases", name, CASES)


def _images(source: Source, side: int) -> tf.Tensor:
    batches = eval_dataset(source, image_size=side, batch_size=_HELD_OUT)
    return next(iter(batches))[0]


def _options(
    options: MSBRegOptions, case: tuple[str, bool, bool], weights: tuple[float, float]
) -> MSBRegOptions:
    norm, singular_value, brownian = case
    return dataclasses.replace(
        options,
        head_norm=norm,
        singular_value_weight=weights[0] if singular_value else 0.0,
        brownian_weight=weights[1] if brownian else 0.0,
    )


def _row(name: str, log: DeviationLog) -> dict[str, Any]:
    last = {what: values[-1] for what, values in log.values.items()}
    collapsed = last["predictions"] < COLLAPSED_BELOW
    return {"heads, loss": name, **last, "collapsed": "yes" if collapsed else "no"}


def _panels(logs: Mapping[str, DeviationLog]) -> list[Panel]:
    panels = []
    for what in _WATCHED:
        lines = [Series(name, log.updates, log.values[what]) for name, log in logs.items()]
        title = f"Spread of the {what} of held-out images"
        panels.append(Panel(title, lines, y_label="deviation", from_zero=True))
    return panels
