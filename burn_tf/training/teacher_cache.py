"""A frozen teacher's features of fixed views, computed once and kept for every later run."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

import numpy as np
import tensorflow as tf

from burn_tf._checks import UserError, check_integer
from burn_tf._file_lock import hold_lock
from burn_tf.data import Source
from burn_tf.recipes import Recipe
from burn_tf.report.terminal import ProgressLine
from burn_tf.training.feature_table import FeatureTable
from burn_tf.training.view_features import ViewFeatures

_LOCK = ".lock"
_UNITS = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


@dataclasses.dataclass(frozen=True)
class TeacherCache:
    """Where a frozen teacher's features are kept, and for how many views of each image.

    A run with it shows each image in `views` fixed views and no others, in turns: epoch e has those
    of epoch e modulo (views / views per image of the recipe). The teacher's features of them are
    computed before the first step, unless they lie in the folder; both stages, and other runs on
    the same images with the same teacher, image size, seed and policy, read them there: float16,
    mapped, D x 2 bytes x images x `views` on the disk.

    They are kept by digests of the teacher's weights and architecture, of the images, and of all
    else that they depend on, in files of 16 MiB. Each is read once when it is opened, to compare
    its digest; what is missing or damaged is computed anew, and what is cut off goes on with the
    next file. Folders of teachers no longer of interest are yours to delete: `facts.json` in each
    says whose they are.

    Args:
        folder: the cache; it is made where there is none, and may be that of other teachers too.
        views: fixed views of each image, a multiple of the recipe's `views.num_views`.

    Raises:
        UserError: `views` is not a whole number from 1.

    Example:
        >>> from burn_tf.recipes import get_recipe
        >>> from burn_tf.training import TeacherCache
        >>> TeacherCache("features", views=4).draws(get_recipe("burn_digits"))
        4

    Source: none.
    Departs from source: the papers draw new views in every epoch.
    """

    folder: str | os.PathLike[str]
    views: int

    def __post_init__(self) -> None:
        check_integer("cached_views", self.views, low=1)

    def draws(self, recipe: Recipe) -> int:
        """Epochs after which a run of the recipe sees the same views again.

        Raises:
            UserError: a recipe without a frozen teacher, or whose views do not divide `views`.
        """
        if not recipe.method.teacher:
            raise UserError(
                "`teacher_cache` must be left out for a method that no frozen teacher teaches. "
                f"Received: recipe {recipe.name} with {recipe.method.method}"
            )
        if self.views % recipe.views.num_views:
            raise UserError(
                "`cached_views` must be a multiple of the recipe's `views.num_views`, "
                f"{recipe.views.num_views}. Received: {self.views}"
            )
        return self.views // recipe.views.num_views

    def features(
        self,
        teacher: tf.keras.Model,
        recipe: Recipe,
        source: Source,
        stream: TextIO,
        fill: bool = True,
    ) -> CachedFeatures:
        """The features of all fixed views of a recipe; those not in the folder are computed.

        Args:
            teacher: model from [B, S, S, 3] to [B, D].
            recipe: whose views, image size, batch size and seed count.
            source: the images.
            stream: where size and progress are said.
            fill: False: nothing is computed, for another process has just done it.

        Raises:
            UserError: too little space, a folder that cannot be written to, features that float16
                cannot hold, a teacher without a digest; with `fill` false, missing features.
        """
        folder = Path(self.folder).expanduser()
        draws = self.draws(recipe)
        views = [
            ViewFeatures(folder, teacher, recipe, source, number, draws)
            for number in range(recipe.views.num_views)
        ]
        tables = [view.table for view in views]
        with _named(folder):
            for view in views:
                view.open(stream)
            if fill:
                _check_space(folder, tables, stream)
                for view in views:
                    _fill(view, stream)
        if any(table.missing() for table in tables):
            raise UserError(
                "`teacher_cache` must be a folder that all workers share. "
                f"Received: {str(folder)!r}, where features are missing"
            )
        return CachedFeatures(tables)


class CachedFeatures:
    """A teacher's features of every fixed view, to go with the views of a batch.

    Args:
        tables: one for each view, without a missing piece.
    """

    def __init__(self, tables: Sequence[FeatureTable]) -> None:
        self.tables = tuple(tables)

    def attach(self, views: tf.data.Dataset) -> tf.data.Dataset:
        """Views with, behind them, the teacher's features of each.

        The rows are read in this process: a dataset with them cannot be sent to another one.

        Args:
            views: of `views_dataset(..., draws=..., places=True)`.

        Returns:
            Dataset of tuples of K float32 [B, S, S, 3] and K float16 [B, D].
        """
        types = [tf.float16] * len(self.tables)

        @tf.autograph.experimental.do_not_convert
        def add(images: tuple[tf.Tensor, ...], places: tf.Tensor) -> tuple[tf.Tensor, ...]:
            found = tf.numpy_function(self.rows, [places], types, stateful=False)
            for features, table in zip(found, self.tables, strict=True):
                features.set_shape([places.shape[0], table.dim])
            return (*images, *found)

        attached = views.map(add, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        return attached.prefetch(tf.data.AUTOTUNE)

    def rows(self, places: np.ndarray) -> list[np.ndarray]:
        """float16 [B, D] for each view at the places [B], draw * images + index."""
        return [table.rows(places) for table in self.tables]


def _fill(view: ViewFeatures, stream: TextIO) -> None:
    """Compute what is missing, unless another process does so meanwhile."""
    table = view.table
    if not table.missing():
        return
    with _alone(table.folder, stream):
        table.open_new()
        rows = sum(stop - first for _, first, stop in table.missing())
        done = 0
        with ProgressLine(rows, f"teacher features of view {view.number + 1}", stream) as line:
            for count in view.fill():
                done += count
                line.update(done)


@contextlib.contextmanager
def _alone(folder: Path, stream: TextIO) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(hold_lock(folder / _LOCK, timeout_seconds=0.0))
        except UserError:
            print(f"another process fills {folder}: waiting for it", file=stream, flush=True)
            stack.enter_context(hold_lock(folder / _LOCK, timeout_seconds=math.inf))
        yield


@contextlib.contextmanager
def _named(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(
            "`teacher_cache` must be a folder to write to with enough space: give another one. "
            f"Received: {str(folder)!r} ({error.strerror or error})"
        ) from error


def _check_space(folder: Path, tables: Sequence[FeatureTable], stream: TextIO) -> None:
    """Say what the features take, and refuse to begin what the disk cannot hold."""
    whole = sum(table.bytes for table in tables)
    left = sum(table.missing_bytes for table in tables)
    first = tables[0]
    print(
        f"teacher features in {folder}: {first.images:,} images x {first.draws * len(tables)} "
        f"views x {first.dim:,} x 2 bytes = {_size(whole)}, {_size(left)} of it to compute",
        file=stream,
        flush=True,
    )
    home = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    free = shutil.disk_usage(home).free
    if left > free:
        raise UserError(
            f"`teacher_cache` needs {_size(left)}: give a folder on a larger disk, or fewer "
            f"`cached_views`. Received: {str(folder)!r} with {_size(free)} free"
        )


def _size(count: int) -> str:
    unit, name = next(((unit, name) for unit, name in _UNITS if count >= unit), (1, "bytes"))
    return f"{count / unit:.3g} {name}"
