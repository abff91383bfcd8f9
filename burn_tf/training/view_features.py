"""One of a recipe's views: how it is made, and the table of a teacher's features of it."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import tensorflow as tf

from burn_tf._bank_file import DamagedBank, fits_half
from burn_tf._checks import UserError
from burn_tf._files import atomic_write
from burn_tf.backbones.identity import feature_key
from burn_tf.data import Source, get_policy
from burn_tf.data.fixed_views import Piece, fixed_views_dataset
from burn_tf.methods.base import feature_dim
from burn_tf.methods.teacher import frozen_features
from burn_tf.recipes import Recipe
from burn_tf.training.feature_table import HALF, FeatureTable

FACTS_FILE = "facts.json"
# Kept features of so many images are compared with what the teacher gives now; they may differ by
# this share of their length (another machine or batch size: 1e-3 in bfloat16 and less).
_SAMPLE, _SAMPLE_ERROR = 8, 0.02
# Of a digest of 64 digits, enough for the name of a folder; files hold it whole.
_NAME_DIGITS = 32


class ViewFeatures:
    """A teacher's features of one view of every image, for each draw.

    Args:
        folder: the cache.
        teacher: model from [B, S, S, 3] to [B, D].
        recipe: whose view it is.
        source: the images.
        number: of the view, from 0.
        draws: how many different draws of the view each image has.

    Raises:
        UserError: a teacher without a digest.
    """

    def __init__(
        self,
        folder: Path,
        teacher: tf.keras.Model,
        recipe: Recipe,
        source: Source,
        number: int,
        draws: int,
    ) -> None:
        self.teacher, self.source, self.number = teacher, source, number
        self.image_size, self.seed = recipe.views.image_size, recipe.seed
        self.batch_size = min(recipe.batch_size, source.num_images)
        self.policy = get_policy(recipe.views.policies()[number])
        dim = feature_dim(teacher, "teacher")
        key = feature_key(teacher, self.facts())
        if key is None:
            raise UserError(
                "`teacher_cache` needs a teacher whose config says what it computes, without "
                f"Lambda layers or classes of its own. Received: {teacher.name!r}"
            )
        self.table = FeatureTable(folder / key[:_NAME_DIGITS], key, draws, source.num_images, dim)

    def facts(self) -> dict[str, Any]:
        """What the features depend on beside the teacher."""
        return {
            "images": self.source.fingerprint,
            "image_size": self.image_size,
            "policy": dataclasses.asdict(self.policy),
            "seed": self.seed,
            "view": self.number,
        }

    def open(self, stream: TextIO) -> None:
        """Open what is kept and right; say what is not."""
        table = self.table
        for piece in table.missing():
            try:
                with contextlib.suppress(FileNotFoundError):
                    table.open(piece)
            except DamagedBank as error:
                print(f"kept features {table.path(piece)} are {error}: computed anew", file=stream)
        if not self._agrees():
            table.discard()
            print(
                f"kept features in {table.folder} are not what the teacher gives now: computed "
                "anew",
                file=stream,
            )

    def _agrees(self) -> bool:
        """Whether the first rows that are kept are what view and teacher give today."""
        kept = self.table.opened()
        if not kept:
            return True
        draw, first, stop = kept[0]
        stop = min(stop, first + _SAMPLE)
        now = next(self.computed([(draw, first, stop)])).astype(np.float32)
        places = np.arange(first, stop) + draw * self.table.images
        error = np.linalg.norm(now - self.table.rows(places), axis=1)
        return bool((error <= _SAMPLE_ERROR * np.linalg.norm(now, axis=1)).all())

    def fill(self) -> Iterator[int]:
        """Compute and write what is missing; gives the number of rows of each file."""
        facts = {"teacher": self.teacher.name, **self.facts()}
        atomic_write(self.table.folder / FACTS_FILE, json.dumps(facts, indent=2) + "\n")
        pieces = self.table.missing()
        for piece, rows in zip(pieces, self.computed(pieces), strict=True):
            self.table.write(piece, rows)
            yield len(rows)

    def computed(self, pieces: Sequence[Piece]) -> Iterator[np.ndarray]:
        """The teacher's features float16 [stop - first, D] for each piece.

        Raises:
            UserError: float16 cannot hold them.
        """
        views = fixed_views_dataset(
            self.source,
            self.policy,
            pieces,
            view=self.number,
            batch_size=self.batch_size,
            image_size=self.image_size,
            seed=self.seed,
        )
        batches = iter(views)
        for _, first, stop in pieces:
            count = math.ceil((stop - first) / self.batch_size)
            rows = [halved(np.asarray(self._forward(next(batches)))) for _ in range(count)]
            yield np.concatenate(rows)

    @functools.cached_property
    def _forward(self) -> Callable[[tf.Tensor], tf.Tensor]:
        outputs = frozen_features(self.teacher)
        images = tf.TensorSpec([None, self.image_size, self.image_size, 3], tf.float32)
        return tf.function(
            lambda views: tf.cast(outputs(views), tf.float32), input_signature=[images]
        )


def halved(rows: np.ndarray) -> np.ndarray:
    """float16 of features float32 [B, D].

    Raises:
        UserError: they are not finite, or float16 is too narrow for them.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        kept = rows.astype(HALF)
        if not fits_half(kept, rows):
            raise UserError(
                "`teacher_cache` keeps float16, which cannot hold this teacher's features: leave "
                f"it out. Received: values up to {np.abs(rows).max():.3g}"
            )
    return kept
