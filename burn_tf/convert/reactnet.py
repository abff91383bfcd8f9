"""ReActNet-A as its authors, BURN's and S2-BNN's save it.

Names of one block, `feature.N`: move11, binary_3x3, bn1 | move12, prelu1, move13 | move21, then
binary_pw, bn2 or binary_pw_down1, bn2_1 and binary_pw_down2, bn2_2 | move22, prelu2, move23.
"""

from __future__ import annotations

import re

import numpy as np
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.backbones import ReActNetA
from burn_tf.convert.projector import add_projector, contrastive_extras, refuse_top
from burn_tf.convert.request import Request, Sides
from burn_tf.convert.rules import (
    MIRRORED_COLUMN,
    MIRRORED_KERNEL,
    SHIFT,
    VECTOR,
    Plan,
    Rule,
    Table,
    batch_norm,
    convolution,
    dense,
    rules_for,
)
from burn_tf.layers import Rotate180, burn_classifier

_STEM_CHANNELS = 32
_STEM_STRIDE = 2
# Pixels after the stem per pixel of the last map.
_BLOCK_STRIDES = 16
_BLOCK_LAYER = re.compile(r"block(\d+)_(.+)")
# Part of a block -> number of the authors' activation.
_ACTIVATIONS = {"act_1": 1, "out": 2}
# Part of a block -> the authors' convolution and batch norm.
_CONVOLUTIONS = {
    "3x3": ("binary_3x3", "bn1"),
    "1x1": ("binary_pw", "bn2"),
    "1x1a": ("binary_pw_down1", "bn2_1"),
    "1x1b": ("binary_pw_down2", "bn2_2"),
}
_HEADS = ("classifier", "teacher_classifier")
_MIRRORED_NOTE = (
    "kernels are mirrored and the first layer turns images by 180 degrees, so that strides sample "
    "where PyTorch's do: outputs are PyTorch's, feature maps inside are turned"
)


def check_sides(sides: Sides) -> None:
    """Refuse image sizes on which the authors' network itself does not fit together.

    Raises:
        UserError: no fixed size, or one that the stem does not bring to a multiple of 16.
    """
    for side in sides:
        if side is None or -(-side // _STEM_STRIDE) % _BLOCK_STRIDES:
            raise UserError(
                "`input_size` must be a multiple of 32 or one less for this network: on odd maps "
                "the authors' strided convolution and pooling differ in size, and no Keras network "
                f"can equal theirs. Received: {side if side is not None else 'any size'}"
            )


class _Names:
    """Names of the tensors that fill each layer of `model`.

    Args:
        model: a ReActNet-A.
        prefix: of all names, such as "encoder_q.".
        flat: binary kernels are columns under `.weights`, not 4-D under `.weight`.
        dense_name: of the linear layer behind the pooling.
    """

    def __init__(
        self, model: tf.keras.Model, prefix: str, flat: bool = False, dense_name: str = "fc"
    ) -> None:
        self.layers = {layer.name for layer in model.layers}
        self.prefix = f"{prefix}feature"
        self.dense_name = f"{prefix}{dense_name}"
        self.suffix = "weights" if flat else "weight"
        self.arrangement = MIRRORED_COLUMN if flat else MIRRORED_KERNEL

    def rule(self, layer: str) -> Rule:
        in_block = _BLOCK_LAYER.fullmatch(layer)
        if in_block:
            return self._block_rule(layer, in_block[1], in_block[2])
        if layer == "stem_conv":
            return convolution(layer, f"{self.prefix}.0.conv1.weight", MIRRORED_KERNEL)
        if layer == "stem_bn":
            return batch_norm(layer, f"{self.prefix}.0.bn1")
        return dense(layer, self.dense_name)

    def _block_rule(self, layer: str, index: str, part: str) -> Rule:
        block = f"{self.prefix}.{index}"
        if part.startswith("sign"):
            return Rule(layer, ((f"{block}.move{part[-1]}1.bias", SHIFT),))
        if part in _ACTIVATIONS:
            number = _ACTIVATIONS[part]
            shifts = [(f"{block}.move{number}{place}.bias", SHIFT) for place in (2, 3)]
            slope = (f"{block}.prelu{number}.weight", VECTOR)
            return Rule(layer, (shifts[0], slope, shifts[1]))
        place, kind = part.split("_")
        single = f"block{index}_1x1b_conv" not in self.layers
        conv, norm = _CONVOLUTIONS["1x1" if place == "1x1a" and single else place]
        if kind == "bn":
            return batch_norm(layer, f"{block}.{norm}")
        return convolution(layer, f"{block}.{conv}.{self.suffix}", self.arrangement)


def _turned(model: tf.keras.Model) -> tf.keras.Model:
    """The same network behind a layer that turns images by 180 degrees."""
    config = model.get_config()
    images, first = config["layers"][:2]
    turn = Rotate180(name="turn")
    entry = tf.keras.saving.serialize_keras_object(turn) | {
        "name": turn.name,
        "inbound_nodes": first["inbound_nodes"],
    }
    turned = first | {"inbound_nodes": [[[turn.name, 0, 0, {}]]]}
    return tf.keras.Model.from_config(
        config | {"layers": [images, entry, turned, *config["layers"][2:]]}
    )


def _backbone(
    request: Request,
    prefix: str,
    binarize: str,
    estimator: str,
    classes: int | None = None,
    embedding_units: int | None = None,
) -> tf.keras.Model:
    check_sides(request.input_size)
    stem = request.shape(f"{prefix}feature.0.conv1.weight", (_STEM_CHANNELS, 3, 3, 3))
    return _turned(
        ReActNetA(
            (*request.input_size, stem[1]),
            include_top=classes is not None,
            pooling="avg",
            classes=classes or 1,
            binarize=binarize,
            pad_values=0.0,
            width=stem[0] / _STEM_CHANNELS,
            estimator=estimator,
            embedding_units=embedding_units,
        )
    )


def _zeros(request: Request, prefix: str) -> list[str]:
    """A note where a binary kernel holds exact zeros, of which torch's sign is 0 and ours +1."""
    names = [name for name in request.names_under(f"{prefix}feature.") if ".binary_" in name]
    count = sum(int(np.sum(request.tensors[name] == 0)) for name in names)
    if not count:
        return []
    return [
        f"{count} weights of binary kernels are exactly 0: PyTorch's sign makes them 0, a binary "
        "network +1, so that outputs differ"
    ]


def _plan(request: Request, backbone: tf.keras.Model, table: Table, prefix: str) -> Plan:
    binary = any(getattr(layer, "binarize", None) == "both" for layer in backbone.layers)
    notes = [_MIRRORED_NOTE, *(_zeros(request, prefix) if binary else [])]
    return Plan(backbone, [table], notes=notes)


def supervised(request: Request, flat: bool) -> Plan:
    """ReActNet-A trained with labels; `flat` is its second step, where weights are binary."""
    classes = request.top("fc", 1000)
    backbone = _backbone(request, "", "both" if flat else "activations", "approx", classes)
    table = rules_for(backbone, _Names(backbone, "", flat).rule)
    plan = _plan(request, backbone, table, "")
    plan.dropped = [] if classes else request.names_under("fc.")
    return plan


def burn_prefix(names: set[str]) -> str:
    """What BURN's backbone is called: nested beside its classifiers, or alone in the file."""
    return "backbone." if any(name.startswith("backbone.") for name in names) else ""


def burn(request: Request, binarize: str) -> Plan:
    """BURN's backbone with its Dense - ReLU, and both classifiers where the file has them."""
    refuse_top(request)
    prefix = burn_prefix(set(request.tensors))
    units = request.shape(f"{prefix}fc.0.weight", (1024, 1024))[0]
    backbone = _backbone(request, prefix, binarize, "ste", embedding_units=units)
    names = _Names(backbone, prefix, dense_name="fc.0")
    plan = _plan(request, backbone, rules_for(backbone, names.rule), prefix)
    for name in _HEADS:
        if request.names_under(f"{name}."):
            _add_classifier(request, plan, name)
    missing = [name for name in _HEADS if name not in plan.heads]
    if missing:
        plan.notes.append(f"the file has no {' and no '.join(missing)}")
    return plan


def _add_classifier(request: Request, plan: Plan, name: str) -> None:
    hidden, inputs = request.shape(f"{name}.fc0.weight", (2000, 1024))
    outputs = request.shape(f"{name}.fc1.weight", (2000, 2000))[0]
    head = burn_classifier(inputs, outputs, hidden, name=name)
    table = (
        dense("hidden_0", f"{name}.fc0"),
        batch_norm("norm_0", f"{name}.bn0"),
        dense("output", f"{name}.fc1"),
    )
    plan.heads[name] = head
    plan.tables.append(Table(head, table))


def s2bnn(request: Request, binarize: str) -> Plan:
    """S2-BNN's student `encoder_q` and its projector; the copy `encoder_k` is dropped."""
    refuse_top(request)
    prefix = "encoder_q."
    backbone = _backbone(request, prefix, binarize, "approx")
    plan = _plan(request, backbone, rules_for(backbone, _Names(backbone, prefix).rule), prefix)
    add_projector(request, plan, f"{prefix}fc", backbone.output_shape[-1])
    plan.dropped = contrastive_extras(request)
    return plan
