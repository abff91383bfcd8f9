"""A check of batches whose size shows only as they come: of arrays, or a last one that is short."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import tensorflow as tf

from burn_tf import distribute
from burn_tf._checks import UserError


@dataclasses.dataclass(eq=False)
class BatchSizes:
    """Calls `check` with the size of each global batch: once where a graph knows it beforehand.

    Args:
        check: raises for a size that cannot be used.
        refused: what it has raised last.
    """

    check: Callable[[int], None]
    refused: UserError | None = None

    def checked(self, views: Sequence[tf.Tensor]) -> tuple[tf.Tensor, ...]:
        """This replica's views, to be used only once their number of images is found good."""
        replicas = distribute.num_replicas()
        if views[0].shape[0] is not None:
            self._look(views[0].shape[0] * replicas)
            return tuple(views)
        images = tf.shape(views[0])[0] * replicas
        with tf.control_dependencies([tf.numpy_function(self._look, [images], tf.bool)]):
            return tuple(tf.identity(view) for view in views)

    def _look(self, images: int) -> np.bool_:
        try:
            self.check(int(images))
        except UserError as error:
            self.refused = error
            raise
        return np.bool_(True)

    @contextlib.contextmanager
    def in_plain_words(self) -> Iterator[None]:
        """What `check` raises inside a step is raised again as it was."""
        self.refused = None
        try:
            yield
        except Exception:  # TensorFlow wraps it: another kind where it traces, and where it runs.
            if self.refused is None:
                raise
            raise self.refused from None
