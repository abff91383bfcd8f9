"""A function and the variables that it reads, as a SavedModel for a converter."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

import tensorflow as tf

from burn_tf.export.pixels import Forward


class _Servable(tf.Module):
    """One image in, predictions out; holds the variables and not the layers.

    Saving the Keras model itself would trace every layer once more, which takes longer than the
    conversion.
    """

    def __init__(
        self, forward: Forward, variables: Sequence[Any], shape: Sequence[int], input_dtype: str
    ) -> None:
        super().__init__()
        self.model_variables = [getattr(v, "latent_variable", v) for v in variables]
        signature = tf.TensorSpec([1, *shape], input_dtype, name="images")
        # Without autograph: a layer's call may be plain Python that was put in its place.
        self.serve = tf.function(forward, [signature], autograph=False)


@contextlib.contextmanager
def saved_function(
    forward: Forward, variables: Sequence[Any], shape: Sequence[int], input_dtype: str
) -> Iterator[str]:
    """A folder with a SavedModel, for as long as the block runs.

    Args:
        forward: from images [1, H, W, C] to the outputs.
        variables: all that it reads.
        shape: height, width and channels.
        input_dtype: of the images.
    """
    servable = _Servable(forward, variables, shape, input_dtype)
    concrete = servable.serve.get_concrete_function()
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(servable, folder, signatures=concrete)
        yield folder
