"""ResNet-18 and ResNet-50 in torchvision's names, as MoCo v2's authors save them too."""

from __future__ import annotations

import re
from collections.abc import Callable

import tensorflow as tf

from burn_tf.backbones import ResNet18, ResNet50
from burn_tf.convert.projector import add_projector, contrastive_extras, refuse_top
from burn_tf.convert.request import Request
from burn_tf.convert.rules import Plan, Rule, batch_norm, convolution, dense, rules_for

_STEM_CHANNELS = 64
_BLOCK_LAYER = re.compile(r"layer(\d)_(\d+)_(\d|downsample)_(conv|bn)")
BUILDERS: dict[int, Callable[..., tf.keras.Model]] = {18: ResNet18, 50: ResNet50}


def _rule(layer: str, prefix: str) -> Rule:
    if layer == "logits":
        return dense(layer, f"{prefix}fc")
    in_block = _BLOCK_LAYER.fullmatch(layer)
    if in_block is None:
        part = layer.removeprefix("stem_")
        where, index = prefix, "1"
    else:
        stage, block, index, part = in_block.groups()
        where = f"{prefix}layer{stage}.{block}."
    if index == "downsample":
        name = f"{where}downsample.{'0' if part == 'conv' else '1'}"
    else:
        name = f"{where}{part}{index}"
    return convolution(layer, f"{name}.weight") if part == "conv" else batch_norm(layer, name)


def _backbone(request: Request, depth: int, prefix: str, classes: int | None) -> tf.keras.Model:
    stem = request.shape(f"{prefix}conv1.weight", (_STEM_CHANNELS, 3, 7, 7))
    return BUILDERS[depth](
        (*request.input_size, stem[1]),
        include_top=classes is not None,
        pooling="avg",
        classes=classes or 1,
        width=stem[0] / _STEM_CHANNELS,
    )


def _plan(request: Request, depth: int, prefix: str, classes: int | None) -> Plan:
    backbone = _backbone(request, depth, prefix, classes)
    return Plan(backbone, [rules_for(backbone, lambda layer: _rule(layer, prefix))])


def torchvision(request: Request, depth: int) -> Plan:
    """A ResNet of torchvision; its classes are those of the file, which may also lack the top."""
    classes = request.top("fc", 1000)
    plan = _plan(request, depth, "", classes)
    plan.dropped = [] if classes else request.names_under("fc.")
    return plan


def moco_prefix(names: set[str]) -> str:
    """MoCo's query encoder, or bare names where it was saved alone."""
    return "encoder_q." if any(name.startswith("encoder_q.") for name in names) else ""


def moco_v2(request: Request) -> Plan:
    """MoCo v2's ResNet-50 and its projector, which S2-BNN's teacher needs."""
    refuse_top(request)
    prefix = moco_prefix(set(request.tensors))
    plan = _plan(request, 50, prefix, None)
    add_projector(request, plan, f"{prefix}fc", plan.backbone.output_shape[-1])
    plan.dropped = contrastive_extras(request)
    return plan
