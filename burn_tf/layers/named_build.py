"""Names of weights that do not depend on how a layer came into being."""

from __future__ import annotations

from typing import Any

import tensorflow as tf


class NamedBuild(tf.keras.layers.Layer):
    """A layer whose weights have its name in front, when it is read from a file too.

    Keras builds a layer of its own at the first call, in a scope of the layer's name, but one of
    ours while it reads a .keras file, in none: every shift would then be called `shift:0`. HDF5
    files of weights refuse two of one name, and the guard could not say which layer diverged.
    """

    def build_from_config(self, config: dict[str, Any]) -> None:
        with tf.name_scope(self.name):
            super().build_from_config(config)
