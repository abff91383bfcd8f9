"""A float backbone in a file, as users bring one to a comparison."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf


def saved_teacher(folder: Path, side: int = 16, seed: int = 0) -> str:
    """The file of a float backbone."""
    tf.keras.utils.set_random_seed(seed)
    images = tf.keras.Input((side, side, 3))
    features = tf.keras.layers.Dense(4)(tf.keras.layers.GlobalAveragePooling2D()(images))
    tf.keras.Model(images, features).save(folder / "teacher.keras")
    return str(folder / "teacher.keras")
