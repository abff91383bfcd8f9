"""Switching a network between its stages: real, binary activations, all binary."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from burn_tf._checks import UserError, check_choice
from burn_tf.layers.binary_conv import BINARIZE_MODES

_CONVOLUTION = "BinaryConv2D"
_SIGN = "RSign"


def _switched(node: Any, mode: str) -> tuple[Any, int]:
    """The config with every binary layer in `mode`, and how many convolutions it has."""
    if isinstance(node, (list, tuple)):
        pairs = [_switched(item, mode) for item in node]
        return type(node)(item for item, _ in pairs), sum(count for _, count in pairs)
    if not isinstance(node, dict):
        return node, 0
    pairs_by_key = {key: _switched(value, mode) for key, value in node.items()}
    changed = {key: value for key, (value, _) in pairs_by_key.items()}
    total = sum(count for _, count in pairs_by_key.values())
    kind = str(node.get("class_name", "")).rsplit(">", 1)[-1]
    if kind == _CONVOLUTION:
        changed["config"] = {**changed["config"], "binarize": mode}
        total += 1
    elif kind == _SIGN:
        changed["config"] = {**changed["config"], "binarize": mode != "none"}
    return changed, total


def set_binarize(model: tf.keras.Model, mode: str) -> tf.keras.Model:
    """A new model of the same weights whose binary layers are all in `mode`.

    Args:
        model: functional or sequential model with `BinaryConv2D` layers, nested models included.
        mode: "none", "activations" (BURN's stage 1) or "both" (stage 2).

    Returns:
        A model that shares nothing with `model`; latent weights and statistics are copied.

    Raises:
        UserError: unknown `mode`, or a model without `BinaryConv2D` layers.

    Example:
        >>> from burn_tf.backbones import ReActNetTiny, set_binarize
        >>> stage1 = ReActNetTiny(binarize="activations")
        >>> stage2 = set_binarize(stage1, "both")
        >>> stage2.get_layer("block1_3x3_conv").binarize
        'both'

    Source: BURN, Kim and Choi, CVPR 2022, sec. 3.4, arXiv 2110.08851.
    Departs from source: none.
    """
    check_choice("mode", mode, BINARIZE_MODES)
    config, count = _switched(model.get_config(), mode)
    if count == 0:
        raise UserError(f"Model {model.name!r} has no BinaryConv2D layer to switch to {mode!r}")
    switched = type(model).from_config(config)
    switched.set_weights(model.get_weights())
    return switched
