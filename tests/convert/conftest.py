"""Checkpoints on disk, and double precision."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from burn_tf.convert import safetensors_bytes


@pytest.fixture
def float64() -> Iterator[None]:
    """Rounding flips the sign of activations near zero: only in float64 are networks comparable."""
    tf.keras.backend.set_floatx("float64")
    tf.keras.mixed_precision.set_global_policy("float64")
    yield
    tf.keras.backend.set_floatx("float32")
    tf.keras.mixed_precision.set_global_policy("float32")


@pytest.fixture
def checkpoint(tmp_path: Path) -> Callable[..., Path]:
    """Writes tensors to a file and gives its path."""

    def write(tensors: dict[str, np.ndarray], name: str = "weights.safetensors") -> Path:
        path = tmp_path / name
        path.write_bytes(safetensors_bytes(tensors))
        return path

    return write
