"""Check this installation (versions, Keras 2, Larq, a conversion) and say how to repair it."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.metadata
import os
import platform
import re
import struct
import sys
from collections.abc import Callable, Iterator

from absl import flags as absl_flags

from burn_tf.cli.quiet import quiet_stderr

_PACKAGES = (
    "tensorflow",
    "tf-keras",
    "larq",
    "larq-compute-engine",
    "ai-edge-litert",
    "keras-cv",
    "tensorflow-datasets",
    "scikit-learn",
    "pillow",
    "absl-py",
    "numpy",
)
_LEGACY_CURE = "unset TF_USE_LEGACY_KERAS, or set it to 1, and import burn_tf before tensorflow"


@dataclasses.dataclass(frozen=True)
class Finding:
    """What one check found; an empty `cure` means that all is well."""

    name: str
    detail: str
    cure: str = ""


def register(flags: absl_flags.FlagValues) -> None:
    """doctor has no flags."""


def run(flags: absl_flags.FlagValues) -> int:
    """Print every finding as it is made. Returns 0, or 2 where something has to be repaired."""
    failed = 0
    for finding in findings():
        failed += bool(finding.cure)
        print(
            f"{'FAIL' if finding.cure else 'ok':<5}{finding.name:<21}{finding.detail}", flush=True
        )
        if finding.cure:
            print(f"{'':<5}{'':<21}cure: {finding.cure}", flush=True)
    print("\nAll is well." if not failed else f"\n{failed} to repair, from the top.")
    return 2 if failed else 0


def findings() -> Iterator[Finding]:
    """All checks in the order in which a failure explains the later ones."""
    yield check_python()
    for package in _PACKAGES:
        yield check_package(package)
    for check in (check_legacy_keras, check_library, check_larq, check_conversion):
        yield _guarded(check)
    yield _machine()


def check_python() -> Finding:
    """The interpreter is one that every dependency publishes wheels for."""
    detail = f"{platform.python_version()}, {struct.calcsize('P') * 8} bit, {platform.platform()}"
    supported = (3, 10) <= sys.version_info[:2] <= (3, 12) and struct.calcsize("P") == 8
    return Finding("python", detail, "" if supported else "use 64-bit Python 3.10, 3.11 or 3.12")


def check_package(package: str) -> Finding:
    """The package is installed, in a version that setup.py allows."""
    try:
        version = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return Finding(package, "not installed", _missing_cure(package))
    wanted = _wanted(package)
    if wanted and not _satisfies(version, wanted):
        return Finding(package, version, f"pip install '{package}{wanted}'")
    return Finding(package, version)


def check_legacy_keras() -> Finding:
    """`tf.keras` is Keras 2, which Larq is written for."""
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    with quiet_stderr():
        import tensorflow as tf
        import tf_keras

        tf.config.list_physical_devices()
    origin = str(tf.keras.Model.__module__).split(".")[0]
    return Finding(
        "Keras 2",
        f"tf.keras is {origin}, tf_keras is {tf_keras.__version__}",
        "" if origin == "tf_keras" else _LEGACY_CURE,
    )


def check_library() -> Finding:
    """burn_tf and all its public packages import."""
    from burn_tf.cli.main import import_library

    import_library()
    for package in ("data", "evaluation", "export", "methods", "recipes", "training"):
        importlib.import_module(f"burn_tf.{package}")
    return Finding("burn_tf", f"{sys.modules['burn_tf'].__version__} from {_location('burn_tf')}")


def check_larq() -> Finding:
    """A Larq layer binarises its weights."""
    import larq
    import tensorflow as tf

    layer = larq.layers.QuantDense(
        2, kernel_quantizer="ste_sign", kernel_constraint="weight_clip", use_bias=False
    )
    layer.build([1, 3])
    with larq.context.quantized_scope(True):
        signs = sorted({abs(float(value)) for value in tf.reshape(layer.kernel, [-1])})
    cure = "" if signs == [1.0] else "pip install --force-reinstall 'larq>=0.14,<0.15'"
    return Finding("larq quantizer", f"absolute values of a binary kernel: {signs}", cure)


def check_conversion() -> Finding:
    """The tiny backbone becomes a file of binary operators that computes what Keras does.

    Weights and images are the same each time. The middle image decides: float rounding may flip a
    value at a sign's threshold in single images, a wrong operator is wrong in all of them.
    """
    import numpy as np
    import tensorflow as tf

    from burn_tf import backbones, export

    rng = np.random.default_rng(0)
    tf.keras.utils.set_random_seed(0)
    model = backbones.ReActNetTiny(input_shape=(16, 16, 3), classes=4)
    for weight in model.weights:  # shifts and statistics other than 0 and 1, which vanish
        weight.assign_add(rng.normal(scale=0.1, size=weight.shape))
    exported = export.to_lce(model)
    images = rng.normal(size=(16, 16, 16, 3)).astype(np.float32)
    parity = export.verify(exported.flatbuffer, model, images)
    detail = (
        f"{exported.report.num_binary} binary layers, {len(exported.flatbuffer):,} bytes, "
        f"difference of the middle image from Keras {parity.median_abs_difference:.1e}"
    )
    agrees = parity.median_abs_difference < 1e-3
    cure = "" if agrees else "pip install --force-reinstall 'larq-compute-engine>=0.16,<0.17'"
    return Finding("conversion to LCE", detail, cure)


def _machine() -> Finding:
    tensorflow = sys.modules.get("tensorflow")
    gpus = tensorflow.config.list_physical_devices("GPU") if tensorflow is not None else []
    return Finding(
        "machine", f"{os.cpu_count()} CPU cores, {len(gpus)} GPUs that TensorFlow can use"
    )


def _guarded(check: Callable[[], Finding]) -> Finding:
    """Make a finding of a failure of any kind, so that the later checks still run."""
    name = check.__name__.removeprefix("check_").replace("_", " ")
    try:
        return check()
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        detail = f"{type(error).__name__}: {reason}"
        return Finding(
            name, detail, "repair what failed above, then: pip install --force-reinstall burn_tf"
        )


def _location(package: str) -> str:
    return os.path.dirname(str(sys.modules[package].__file__))


def _missing_cure(package: str) -> str:
    if package == "larq-compute-engine" and not _wanted(package):
        return "it has no wheel for this machine: export on Linux x86-64, macOS or Windows"
    return f"pip install '{package}{_wanted(package)}'"


def _wanted(package: str) -> str:
    """The versions that the installed burn_tf asks for on this machine, such as ">=0.14,<0.15"."""
    from packaging.requirements import Requirement

    try:
        stated = importlib.metadata.requires("burn_tf") or []
    except importlib.metadata.PackageNotFoundError:
        return ""
    for requirement in map(Requirement, stated):
        same = re.sub(r"[-_.]+", "-", requirement.name).lower() == package
        if same and (requirement.marker is None or requirement.marker.evaluate({"extra": ""})):
            return str(requirement.specifier)
    return ""


def _satisfies(version: str, specifier: str) -> bool:
    from packaging.specifiers import SpecifierSet

    return SpecifierSet(specifier).contains(version, prereleases=True)
