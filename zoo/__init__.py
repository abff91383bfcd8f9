"""Networks by name. For now it holds the builders of the backbones; it ships no trained weights.

`from burn_tf import zoo` and `import zoo` give the same names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from burn_tf.backbones import ReActNetA, ReActNetTiny, ResNet18, ResNet50

__all__ = ["ReActNetA", "ReActNetTiny", "ResNet18", "ResNet50"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'zoo' has no attribute {name!r}")
    # Late, because burn_tf imports TensorFlow and may itself be on its way to here.
    from burn_tf import backbones

    return getattr(backbones, name)


def __dir__() -> list[str]:
    return sorted(__all__)
