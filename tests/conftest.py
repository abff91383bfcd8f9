"""Two logical CPU devices for every test process, so that distribution can be tested."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import burn_tf  # noqa: F401  selects Keras 2 before TensorFlow is imported

# isort: split
import hypothesis
import pytest
import tensorflow as tf

from burn_tf._compat import custom_gradients_dropped

# Whose tests take longest: begun first, they leave no process waiting for the other at the end.
LONGEST = (
    "compare/test_comparison.py",
    "evaluation/test_end_to_end.py",
    "training/test_pretraining.py",
    "conformance/test_methods.py",
    "training/test_strategies.py",
    "export/test_shipped_models.py",
    "recipes/test_recipes.py",
    "analysis/test_collapse.py",
    "training/test_kills.py",
    "examples/test_finetune.py",
    "zoo/test_entries.py",
    "test_demo.py",
    "convert/test_reactnet.py",
    "examples/test_launch.py",
)

# A machine that stalls for a moment says nothing about the code.
hypothesis.settings.register_profile(
    "untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("untimed")

# Processes that run side by side have a core each; what they start inherits this.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files come first; `--no-loadscope-reorder` keeps xdist from undoing it."""
    folder = Path(__file__).parent
    places = {folder / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """A test draws the same weights each time, alone and among others, its fixtures included."""
    tf.keras.utils.set_random_seed(zlib.crc32(item.nodeid.encode()))


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
def graphs_dropped() -> Iterator[None]:
    """What a test has traced does not outlive it: processes grew to 6 GB."""
    with custom_gradients_dropped():
        yield


def pytest_collection_finish() -> None:
    """Modules and tests stay to the end: the garbage collector need not look at them again.

    It looks for cycles less often, too: tracing makes many objects and few of them.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)


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
