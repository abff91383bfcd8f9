"""Two logical CPU devices for every test process, so that distribution can be tested."""

from __future__ import annotations

import burn_tf  # noqa: F401  selects Keras 2 before TensorFlow is imported

# isort: split
import pytest
import tensorflow as tf

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)


@pytest.fixture(scope="session")
def two_replicas() -> tf.distribute.Strategy:
    """A MirroredStrategy over two virtual CPU devices.

    One for all tests: strategies made in turn number their collectives alike, and these then clash.
    """
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


@pytest.fixture(autouse=True)
def float32_policy() -> object:
    """Every test starts and ends with Keras' default precision."""
    yield
    tf.keras.mixed_precision.set_global_policy("float32")
