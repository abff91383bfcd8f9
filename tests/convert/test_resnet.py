"""ResNets of torchvision and MoCo v2 without PyTorch: names of torch, arithmetic of NumPy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from burn_tf._checks import UserError
from burn_tf.convert import convert_checkpoint
from tests.backbones.reactnet_reference import batch_norm
from tests.backbones.test_resnet import convolve, max_pool
from tests.convert.authors_reactnet import Tensors, kernel, linear, norm, saved

Write = Callable[..., Path]
STEM = 8
# Blocks per stage; (size, outputs / width, whether it strides) of each convolution.
KINDS = {
    18: ([2, 2, 2, 2], [(3, 1, True), (3, 1, False)]),
    50: ([3, 4, 6, 3], [(1, 1, False), (3, 1, True), (1, 4, False)]),
}


def random_tensors(depth: int) -> Tensors:
    rng = np.random.default_rng(0)
    counts, convolutions = KINDS[depth]
    tensors = {"conv1.weight": kernel(rng, STEM, 3, 7), **norm(rng, "bn1", STEM)}
    inputs = STEM
    for stage, count in enumerate(counts, start=1):
        width = STEM * 2 ** (stage - 1)
        for index in range(count):
            name, before = f"layer{stage}.{index}", inputs
            for number, (size, factor, _) in enumerate(convolutions, start=1):
                outputs = width * factor
                tensors[f"{name}.conv{number}.weight"] = kernel(rng, outputs, before, size)
                tensors |= norm(rng, f"{name}.bn{number}", outputs)
                before = outputs
            if index == 0 and (stage > 1 or before != inputs):
                tensors[f"{name}.downsample.0.weight"] = kernel(rng, before, inputs, 1)
                tensors |= norm(rng, f"{name}.downsample.1", before)
            inputs = before
    return tensors


def features(tensors: Tensors, depth: int, images: np.ndarray) -> np.ndarray:
    def conv(name: str, bn: str, x: np.ndarray, stride: int) -> np.ndarray:
        weight = tensors[f"{name}.weight"].astype(np.float64).transpose(2, 3, 1, 0)
        parts = ("weight", "bias", "running_mean", "running_var")
        statistics = [tensors[f"{bn}.{part}"].astype(np.float64) for part in parts]
        return batch_norm(convolve(x, weight, stride), statistics)

    counts, convolutions = KINDS[depth]
    x = max_pool(np.maximum(conv("conv1", "bn1", images, 2), 0))
    for stage, count in enumerate(counts, start=1):
        for index in range(count):
            name, y = f"layer{stage}.{index}", x
            stride = 2 if stage > 1 and index == 0 else 1
            for number, (_, _, strides) in enumerate(convolutions, start=1):
                step = stride if strides else 1
                y = conv(f"{name}.conv{number}", f"{name}.bn{number}", y, step)
                y = y if number == len(convolutions) else np.maximum(y, 0)
            if f"{name}.downsample.0.weight" in tensors:
                x = conv(f"{name}.downsample.0", f"{name}.downsample.1", x, stride)
            x = np.maximum(x + y, 0)
    return x.mean(axis=(1, 2))


def images(size: tuple[int, int]) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(2, *size, 3))


@pytest.mark.parametrize(
    ("depth", "size"), [(18, (33, 40)), pytest.param(50, (32, 37), marks=pytest.mark.slow)]
)
def test_torchvision_with_its_top(
    depth: int, size: tuple[int, int], checkpoint: Write, float64: None
) -> None:
    tensors = random_tensors(depth)
    width = tensors[f"layer4.1.bn{len(KINDS[depth][1])}.weight"].size
    head = linear(np.random.default_rng(3), "fc", width, 5)
    tensors = saved(tensors | head)
    path = checkpoint({f"module.{name}": value for name, value in tensors.items()})
    converted = convert_checkpoint(path, input_size=None)
    assert (converted.layout, converted.guessed) == (f"torchvision_resnet{depth}", True)
    assert converted.backbone.input_shape == (None, None, None, 3)
    pooled = features(tensors, depth, images(size))
    expected = pooled @ np.float64(tensors["fc.weight"]).T + np.float64(tensors["fc.bias"])
    np.testing.assert_allclose(converted.backbone(images(size)), expected, atol=1e-9)


def test_top_left_out_and_top_that_is_not_there(checkpoint: Write) -> None:
    tensors = saved(random_tensors(18))
    path = checkpoint(tensors, "no_top.safetensors")
    with pytest.raises(UserError, match=r"without a classification layer. Received: True"):
        convert_checkpoint(path, input_size=32, include_top=True)
    head = linear(np.random.default_rng(3), "fc", 64, 5)
    path = checkpoint(tensors | saved(head), "top.safetensors")
    converted = convert_checkpoint(path, input_size=32, include_top=False)
    assert converted.dropped == ["fc.bias", "fc.weight"]
    assert converted.backbone.output_shape == (None, 64)
    expected = features(tensors, 18, images((32, 32)))
    actual = converted.backbone(np.float32(images((32, 32))))
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("prefix", ["module.encoder_q.", pytest.param("", marks=pytest.mark.slow)])
def test_moco_v2_in_both_layouts(prefix: str, checkpoint: Write, float64: None) -> None:
    rng = np.random.default_rng(4)
    width = 4 * 8 * STEM
    head = {**linear(rng, "fc.0", width, 12), **linear(rng, "fc.2", 12, 9)}
    tensors = saved(random_tensors(50) | head)
    everything = {f"{prefix}{name}": value for name, value in tensors.items()}
    extras: Tensors = {}
    if prefix:
        extras = {f"module.encoder_k.{name}": 2 * value for name, value in tensors.items()}
        extras |= {"module.queue": np.zeros((9, 4), "f4"), "module.queue_ptr": np.array([0])}
    converted = convert_checkpoint(checkpoint(everything | extras), input_size=(40, 33))
    assert converted.layout == "moco_v2_resnet50"
    assert len(converted.dropped) == len(extras)
    x = images((40, 33))
    pooled = features(tensors, 50, x)
    np.testing.assert_allclose(converted.backbone(x), pooled, atol=1e-9)
    parts = {name: np.float64(value) for name, value in tensors.items() if name[:2] == "fc"}
    hidden = np.maximum(pooled @ parts["fc.0.weight"].T + parts["fc.0.bias"], 0)
    embedding = hidden @ parts["fc.2.weight"].T + parts["fc.2.bias"]
    np.testing.assert_allclose(converted.heads["projector"](pooled), embedding, atol=1e-9)


def test_moco_v2_has_no_top(checkpoint: Write) -> None:
    path = checkpoint({"layer4.2.conv3.weight": np.zeros(1, "f4"), "fc.0.weight": np.ones(1, "f4")})
    with pytest.raises(UserError, match=r"trained without labels. Received: True"):
        convert_checkpoint(path, "moco_v2_resnet50", input_size=32, include_top=True)


def test_a_tensor_of_another_shape_is_named(checkpoint: Write) -> None:
    tensors = saved(random_tensors(18))
    tensors["layer2.0.conv2.weight"] = np.zeros((16, 8, 3, 3), "f4")
    message = r"layer2.0.conv2.weight of shape \[16, 8, 3, 3\] in place of \[16, 16, 3, 3\]$"
    with pytest.raises(UserError, match=message):
        convert_checkpoint(checkpoint(tensors), input_size=32)
