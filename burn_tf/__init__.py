"""Binary neural networks that learn without labels: BURN and MSBReg for Keras, Larq and TFLite.

Importing this package selects Keras 2 (the `tf_keras` package), which Larq needs, and registers
every layer, loss and optimizer of the library, so that saved models load after `import burn_tf`
alone.
"""

from __future__ import annotations

import importlib
from types import ModuleType

from burn_tf import _keras_guard

__version__ = "0.1.0"

_keras_guard.select_legacy_keras()

from burn_tf import backbones, layers, losses, methods, optimizers, schedules  # noqa: E402

_LAZY_PACKAGES = (
    "analysis",
    "compare",
    "data",
    "evaluation",
    "export",
    "recipes",
    "report",
    "training",
    "zoo",
)

__all__ = [
    "__version__",
    "backbones",
    "layers",
    "losses",
    "methods",
    "optimizers",
    "schedules",
    *_LAZY_PACKAGES,
]


def __getattr__(name: str) -> ModuleType:
    if name in _LAZY_PACKAGES:
        return importlib.import_module(f"burn_tf.{name}")
    raise AttributeError(f"module 'burn_tf' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
