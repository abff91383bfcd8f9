"""Every layout, saved by PyTorch and run by PyTorch, against the converted Keras models."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.convert import Converted, convert_checkpoint
from tests.convert import torch_networks as networks
from tests.convert.torch_networks import nn, randomise, state, torch

pytestmark = pytest.mark.torch
slow = pytest.mark.slow
Sides = tuple[int, int]


@dataclasses.dataclass
class Saved:
    """A network, what its authors' script would save, and the networks beside it."""

    network: Any
    content: dict[str, Any]
    heads: dict[str, Any] = dataclasses.field(default_factory=dict)
    dropped: set[str] = dataclasses.field(default_factory=set)


ADAM = {f"optimizer.state.0.{name}" for name in ("step", "exp_avg", "exp_avg_sq")}


def reactnet_a(weights: str) -> Saved:
    network = networks.ReActNet(weights)
    network.fc = nn.Linear(network.width, 7)
    randomise(network)
    content = {
        "epoch": 3,
        "state_dict": state(network, "module."),
        "best_top1_acc": 61.5,
        "optimizer": networks.optimizer_state(),
    }
    return Saved(network, content, dropped=ADAM)


def burn(weights: str) -> Saved:
    network = networks.ReActNet(weights)
    network.fc = nn.Sequential(nn.Linear(network.width, 20), nn.ReLU())
    parts = {
        "backbone": randomise(network),
        "classifier": randomise(networks.Classifier(20, 12), 1),
        "teacher_classifier": randomise(networks.Classifier(16, 12), 2),
    }
    content = {name: {"state_dict": state(part)} for name, part in parts.items()}
    del parts["backbone"]
    return Saved(network, {**content, "author": "OpenSelfSup"}, parts)


def contrastive(network: Any, outputs: int) -> Saved:
    """As MoCo's training saves query and key encoder, queue and optimizer."""
    network.fc = networks.projector(network.width, outputs)
    randomise(network)
    head, network.fc = network.fc, nn.Identity()
    query = {**state(network), **state(head, "fc.")}
    content = {
        "epoch": 199,
        "arch": "resnet50",
        "state_dict": {
            **{f"module.encoder_q.{name}": tensor for name, tensor in query.items()},
            **{f"module.encoder_k.{name}": tensor + 1 for name, tensor in query.items()},
            "module.queue": torch.zeros(outputs, 6),
            "module.queue_ptr": torch.tensor([4]),
        },
        "optimizer": networks.optimizer_state(),
    }
    dropped = {"queue", "queue_ptr", *ADAM, *(f"encoder_k.{name}" for name in query)}
    return Saved(network, content, {"projector": head}, dropped)


def bare_moco() -> Saved:
    saved = contrastive(networks.ResNet(50), 9)
    head = state(saved.heads["projector"], "fc.")
    return Saved(saved.network, {"state_dict": {**state(saved.network), **head}}, saved.heads)


def torchvision(depth: int, classes: int | None) -> Saved:
    network = networks.ResNet(depth)
    if classes:
        network.fc = nn.Linear(network.width, classes)
    randomise(network)
    return Saved(network, state(network))


def images(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(2, height, width, 3))


def torch_result(network: Any, values: np.ndarray) -> np.ndarray:
    """NHWC in and, of maps, out."""
    axes = (0, 3, 1, 2)
    with torch.no_grad():
        tensor = torch.tensor(values.transpose(axes) if values.ndim == 4 else values)
        return np.asarray(network(tensor).numpy())


def assert_equal(converted: Converted, saved: Saved, x: np.ndarray) -> None:
    expected = torch_result(saved.network, x)
    assert np.ptp(expected, axis=0).max() > 0.1, "the images must matter"
    np.testing.assert_allclose(converted.backbone(x), expected, atol=1e-9, rtol=1e-9)
    assert set(converted.heads) == set(saved.heads)
    for name, head in saved.heads.items():
        values = np.random.default_rng(2).normal(size=(3, converted.heads[name].input_shape[-1]))
        expected = torch_result(head, values)
        np.testing.assert_allclose(converted.heads[name](values), expected, atol=1e-9)
    assert set(converted.dropped) == saved.dropped


Case = tuple[str, str | None, str, Callable[[], Saved], Sides]


def case(*values: object, quick: bool = False) -> Any:
    marks = [] if quick else [slow]
    return pytest.param(*values, marks=marks, id=f"{values[0]}-{values[4]}")


# Name of the case, layout given (None: guessed), layout, network, size.
CASES = [
    case("reactnet_a", None, "reactnet_a", lambda: reactnet_a("flat"), (31, 64)),
    case("reactnet_a", None, "reactnet_a", lambda: reactnet_a("flat"), (64, 64)),
    case("reactnet_a", None, "reactnet_a", lambda: reactnet_a("flat"), (95, 95)),
    case("step1", None, "reactnet_a_step1", lambda: reactnet_a("real"), (32, 63)),
    case("stage1", None, "burn_stage1", lambda: burn("real"), (32, 32)),
    case("stage1", None, "burn_stage1", lambda: burn("real"), (63, 31)),
    case("stage2", None, "burn_stage2", lambda: burn("binary"), (32, 32), quick=True),
    case("stage2", None, "burn_stage2", lambda: burn("binary"), (31, 63)),
    case(
        "s2bnn_step1",
        "s2bnn_step1",
        "s2bnn_step1",
        lambda: contrastive(networks.ReActNet("real"), 9),
        (31, 31),
    ),
    case("s2bnn", "s2bnn", "s2bnn", lambda: contrastive(networks.ReActNet("binary"), 9), (64, 32)),
    case(
        "moco_v2",
        None,
        "moco_v2_resnet50",
        lambda: contrastive(networks.ResNet(50), 9),
        (33, 40),
        quick=True,
    ),
    case("moco_v2_bare", None, "moco_v2_resnet50", bare_moco, (32, 32)),
    case(
        "resnet18", None, "torchvision_resnet18", lambda: torchvision(18, 5), (37, 32), quick=True
    ),
    case("resnet18_no_top", None, "torchvision_resnet18", lambda: torchvision(18, None), (32, 64)),
    case("resnet50", None, "torchvision_resnet50", lambda: torchvision(50, 5), (64, 33)),
    case("resnet50_no_top", None, "torchvision_resnet50", lambda: torchvision(50, None), (47, 47)),
]


@pytest.mark.parametrize(("name", "given", "layout", "build", "size"), CASES)
def test_equals_torch(
    name: str,
    given: str | None,
    layout: str,
    build: Callable[[], Saved],
    size: Sides,
    tmp_path: Path,
    float64: None,
) -> None:
    saved = build()
    path = networks.save(saved.content, tmp_path / f"{name}.pth.tar")
    converted = convert_checkpoint(path, given, input_size=size)
    assert (converted.layout, converted.guessed) == (layout, given is None)
    assert_equal(converted, saved, images(*size))


@pytest.mark.parametrize(
    ("weights", "size"), [("flat", (64, 31)), pytest.param("real", (64, 64), marks=slow)]
)
def test_every_block_from_torchs_input(
    weights: str, size: Sides, tmp_path: Path, float64: None
) -> None:
    saved = reactnet_a(weights)
    path = networks.save(saved.content, tmp_path / "checkpoint.pth.tar")
    converted = convert_checkpoint(path, input_size=size)
    x = images(*size)
    assert_equal(converted, saved, x)
    with torch.no_grad():
        maps = saved.network.maps(torch.tensor(x.transpose(0, 3, 1, 2)))
    maps = [values.numpy().transpose(0, 2, 3, 1)[:, ::-1, ::-1] for values in maps]
    names = ["stem_bn", *(f"block{index}_out" for index in range(1, 14))]
    layers = [converted.backbone.get_layer(name).output for name in names]
    for index in range(1, 14):
        block = tf.keras.Model(layers[index - 1], layers[index])
        np.testing.assert_allclose(
            block(maps[index - 1]), maps[index], atol=1e-9, err_msg=names[index]
        )


def test_sizes_that_torch_cannot_run_are_refused(tmp_path: Path) -> None:
    saved = reactnet_a("flat")
    path = networks.save(saved.content, tmp_path / "checkpoint.pth.tar")
    for size in ((80, 80), (33, 64)):
        with pytest.raises(RuntimeError, match="must match the size"):
            torch_result(saved.network, images(*size))
        with pytest.raises(UserError, match=r"multiple of 32 or one less .* differ in size"):
            convert_checkpoint(path, input_size=size)


def test_half_precision_is_widened(tmp_path: Path) -> None:
    saved = torchvision(18, 5)
    content = {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in saved.content.items()
    }
    converted = convert_checkpoint(networks.save(content, tmp_path / "half.pth"), input_size=32)
    expected = content["layer1.0.conv1.weight"].float().numpy().transpose(2, 3, 1, 0)
    kernel = converted.backbone.get_layer("layer1_0_1_conv").get_weights()[0]
    np.testing.assert_array_equal(kernel, expected)


def test_a_torch_file_in_the_wrong_layout_says_what_it_looks_like(tmp_path: Path) -> None:
    path = networks.save(torchvision(18, 5).content, tmp_path / "resnet18.pth")
    with pytest.raises(UserError, match=r"it looks like torchvision_resnet18.*\d+ missing"):
        convert_checkpoint(path, "torchvision_resnet50", input_size=32)
