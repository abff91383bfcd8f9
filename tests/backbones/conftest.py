"""Networks that several tests look at."""

from __future__ import annotations

import pytest
import tensorflow as tf

from burn_tf.backbones import ReActNetA


@pytest.fixture(scope="session")
def reactnet_a() -> tf.keras.Model:
    """ReActNet-A at 224 px with its top; tests must not change it."""
    return ReActNetA((224, 224, 3))
