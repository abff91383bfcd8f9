"""Layouts are told by names; where names do not tell, nothing is guessed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from burn_tf._checks import UserError
from burn_tf.cli import convert as command
from burn_tf.convert import LAYOUTS, convert_checkpoint, guess_layout
from burn_tf.convert.layouts import fitting_layouts, get_layout

BURN = ["backbone.feature.1.binary_3x3.weight", "backbone.fc.0.weight"]
S2BNN = ["encoder_q.feature.1.binary_3x3.weight", "encoder_q.fc.0.weight", "encoder_q.fc.2.weight"]
# Names that tell each layout, as the authors' files have them among others.
TELLING = {
    "reactnet_a_step1": ["feature.1.binary_3x3.weight", "fc.weight"],
    "reactnet_a": ["feature.1.binary_3x3.weights", "fc.weight"],
    "burn_stage1": BURN,
    "burn_stage2": BURN,
    "s2bnn_step1": S2BNN,
    "s2bnn": S2BNN,
    "moco_v2_resnet50": ["encoder_q.layer4.2.conv3.weight", "encoder_q.fc.2.weight"],
    "torchvision_resnet18": ["layer4.1.conv2.weight", "fc.weight"],
    "torchvision_resnet50": ["layer4.1.conv3.weight", "layer4.2.conv3.weight", "fc.weight"],
    "efficientnet_lite0": ["_conv_stem.weight", "_blocks.15._depthwise_conv.weight"],
}


def test_every_layout_is_described_and_known_to_the_command() -> None:
    assert set(TELLING) == set(LAYOUTS)
    assert command.LAYOUTS == LAYOUTS
    assert all(get_layout(name).about for name in LAYOUTS)


@pytest.mark.parametrize("name", [name for name in TELLING if name[:2] not in ("bu", "s2")])
def test_names_alone_tell(name: str) -> None:
    assert guess_layout(TELLING[name]) == name
    assert fitting_layouts(TELLING[name]) == [name]


def test_moco_in_bare_names() -> None:
    assert guess_layout(["layer4.2.conv3.weight", "fc.0.weight", "fc.2.weight"]) == (
        "moco_v2_resnet50"
    )


def test_burn_whose_backbone_was_saved_alone() -> None:
    names = [name.removeprefix("backbone.") for name in BURN]
    assert fitting_layouts(names) == ["burn_stage1", "burn_stage2"]


@pytest.mark.parametrize(
    ("names", "file_name", "expected"),
    [
        (BURN, "burn_stage1.pth", "burn_stage1"),
        (BURN, "Stage-2_ckpt.pth", "burn_stage2"),
        (BURN, "imagenet step 1.pth", "burn_stage1"),
        (S2BNN, "step1/checkpoint.pth.tar", "s2bnn_step1"),
        (S2BNN, "step2.pth.tar", "s2bnn"),
    ],
)
def test_the_files_name_tells_the_stage(names: list[str], file_name: str, expected: str) -> None:
    assert guess_layout(names, file_name) == expected


@pytest.mark.parametrize(
    "file_name", ["", "checkpoint_0199.pth", "stage1_to_stage2.pth", "step2000.pth"]
)
def test_an_untold_stage_is_not_guessed(file_name: str) -> None:
    with pytest.raises(UserError, match=r"burn_stage1 and burn_stage2 have the same names") as one:
        guess_layout(BURN, file_name)
    assert "file's name must say the stage" in str(one.value)
    with pytest.raises(UserError, match="s2bnn_step1 and s2bnn have the same names"):
        guess_layout(S2BNN, file_name)


OTHER_NETWORKS = {
    "ResNet-34": ["layer4.1.conv2.weight", "layer4.2.conv1.weight", "layer4.2.conv2.weight"],
    "ResNet-101": ["layer3.6.conv1.weight", "layer4.2.conv1.weight", "layer4.2.conv3.weight"],
    "EfficientNet-Lite2": [
        "_conv_stem.weight",
        "_blocks.15._depthwise_conv.weight",
        "_blocks.16._depthwise_conv.weight",
    ],
    "EfficientNet-B0": [
        "_conv_stem.weight",
        "_blocks.0._se_reduce.weight",
        "_blocks.15._depthwise_conv.weight",
    ],
    "a tensor": [""],
}


@pytest.mark.parametrize("network", OTHER_NETWORKS)
def test_other_networks_are_not_taken_for_known_ones(network: str) -> None:
    with pytest.raises(UserError, match="no known layout has these tensors' names"):
        guess_layout(OTHER_NETWORKS[network])


def test_an_unknown_checkpoint_shows_its_first_names() -> None:
    with pytest.raises(UserError, match=r"Received: a0, a1, a2, a3, a4 and 3 more$"):
        guess_layout([f"a{index}" for index in range(8)])


def test_a_misspelt_layout(checkpoint: Callable[..., Path]) -> None:
    path = checkpoint({"a": np.float32([1])})
    with pytest.raises(UserError, match="Did you mean 'burn_stage1'"):
        convert_checkpoint(path, "burn_stge1")


@pytest.mark.parametrize(
    ("given", "names", "hint"),
    [
        ("torchvision_resnet50", TELLING["torchvision_resnet18"], "torchvision_resnet18"),
        ("torchvision_resnet18", BURN, "burn_stage1 or burn_stage2"),
        ("efficientnet_lite0", TELLING["moco_v2_resnet50"], "moco_v2_resnet50"),
    ],
)
def test_the_wrong_layout_is_told_the_right_one(
    given: str, names: list[str], hint: str, checkpoint: Callable[..., Path]
) -> None:
    path = checkpoint({name: np.float32([1]) for name in names})
    with pytest.raises(UserError, match=f"does not fit layout '{given}'; it looks like {hint}"):
        convert_checkpoint(path, given, input_size=32)
