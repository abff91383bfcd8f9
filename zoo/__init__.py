"""Pretrained binary networks by name, and builders of backbones that know these weights.

    from burn_tf import zoo

    backbone = zoo.load("burn_reactnet_a", pooling="avg")
    images = zoo.get_entry("burn_reactnet_a").preprocess_input(pixels)

`from burn_tf import zoo` and `import zoo` give the same names.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo.builders import EfficientNetLite0, ReActNetA, ReActNetTiny, ResNet18, ResNet50
    from zoo.loading import load
    from zoo.manifest import get_entry, list_models, preprocess_input
    from zoo.model_cards import card

__all__ = [
    "EfficientNetLite0",
    "ReActNetA",
    "ReActNetTiny",
    "ResNet18",
    "ResNet50",
    "card",
    "get_entry",
    "list_models",
    "load",
    "preprocess_input",
]

_MODULES = {
    "card": "model_cards",
    "get_entry": "manifest",
    "list_models": "manifest",
    "load": "loading",
    "preprocess_input": "manifest",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'zoo' has no attribute {name!r}")
    # Late, because burn_tf imports TensorFlow and may itself be on its way to here.
    return getattr(importlib.import_module(f"zoo.{_MODULES.get(name, 'builders')}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
