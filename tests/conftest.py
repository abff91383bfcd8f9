"""Two logical CPU devices for every test process, so that distribution can be tested."""

from __future__ import annotations

import ctypes
import gc
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

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


@pytest.fixture(scope="session")
def cifar10(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of images that lies packed beside the checkout."""
    archive = Path(__file__).resolve().parents[2] / "shared" / "data" / "cifar10.tar.xz"
    if not archive.is_file():
        pytest.skip(f"the images of CIFAR-10 are not at {archive}")
    folder = tmp_path_factory.mktemp("data")
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    return str(folder / "cifar10")


@pytest.fixture(autouse=True)
def float32_policy() -> object:
    """Every test starts and ends with Keras' default precision."""
    yield
    tf.keras.mixed_precision.set_global_policy("float32")


class _Memory:
    """Pages of this process after memory was last given back."""

    pages = 0

    @classmethod
    def resident(cls) -> int:
        return int(Path("/proc/self/statm").read_text().split()[1])


@pytest.fixture(autouse=True)
def memory_given_back() -> Iterator[None]:
    """What a test's models have freed goes back to the system, 400 MB at a time.

    glibc keeps it otherwise: a process grew to 8 GB over a hundred networks.
    """
    yield
    if sys.platform == "linux" and _Memory.resident() > _Memory.pages + 100_000:
        gc.collect()
        libc = ctypes.CDLL(None)
        if hasattr(libc, "malloc_trim"):
            libc.malloc_trim(0)
        _Memory.pages = _Memory.resident()
