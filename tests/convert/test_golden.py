"""Checkpoints in the authors' own layouts against what the authors' own networks gave.

The outputs in ../shared/golden were computed in float64 and stored in float32. In float64 the
converted networks give them again: of all elements of all stretches none is 1e-4 off, and the
outputs differ by 3e-8. In float32 rounding flips the sign of an activation in some of the images,
and every binary layer behind multiplies the flips.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from burn_tf.convert import Converted, convert_checkpoint
from burn_tf.data.preprocessing import IMAGENET_MEAN, IMAGENET_STD

pytest.importorskip("torch", reason="reading .pth files needs PyTorch (burn_tf[torch])")

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "golden"
pytestmark = [
    pytest.mark.torch,
    pytest.mark.skipif(not FOLDER.is_dir(), reason=f"there is no folder {FOLDER}"),
]
# Array -> layer that gives it, in the order of the network.
LAYERS = {
    "feature_0": "stem_bn",
    "feature_1": "block1_out",
    "feature_2": "block2_out",
    "feature_7": "block7_out",
    "feature_13": "block13_out",
    "stem": "stem_pool",
    "layer1": "layer1_2_out",
    "layer4": "layer4_2_out",
    "pooled": "pool",
    "features": "embedding_relu",
    "logits": "logits",
}
OUTPUTS = ("pooled", "features", "classifier", "logits")
HEADS = {
    "reactnet_a": set(),
    "burn_stage1": {"classifier", "teacher_classifier"},
    "burn_stage2": {"classifier", "teacher_classifier"},
    "moco_v2_resnet50": {"projector"},
}
slow = pytest.mark.slow


@dataclasses.dataclass
class Golden:
    """A converted checkpoint and what it is compared with."""

    name: str
    dtype: str
    converted: Converted
    arrays: dict[str, np.ndarray]

    def images(self) -> np.ndarray:
        pixels = self.arrays["images_uint8"] / 255.0
        return ((pixels - IMAGENET_MEAN) / IMAGENET_STD).astype(self.dtype)

    def turned(self) -> bool:
        return any(layer.name == "turn" for layer in self.converted.backbone.layers)

    def array(self, key: str) -> np.ndarray:
        """In Keras' order of axes, and turned as the maps of mirrored kernels are."""
        values = self.arrays[key].astype(self.dtype)
        if values.ndim == 4:
            values = values.transpose(0, 2, 3, 1)
            values = values[:, ::-1, ::-1] if self.turned() else values
        return values

    def stretch(self, before: str | None, after: str) -> tf.keras.Model:
        model = self.converted.backbone
        start = model.input if before is None else model.get_layer(LAYERS[before]).output
        return tf.keras.Model(start, model.get_layer(LAYERS[after]).output)

    def outputs(self) -> dict[str, np.ndarray]:
        """What comes out at the end of the network, by the arrays' names."""
        model = self.converted.backbone
        keys = [key for key in OUTPUTS if key in self.arrays and key in LAYERS]
        layers = {key: model.get_layer(LAYERS[key]).output for key in keys}
        found = dict(tf.keras.Model(model.input, layers)(self.images()))
        if "classifier" in self.arrays:
            found["classifier"] = self.converted.heads["classifier"](found["features"])
        return {key: np.asarray(value, np.float64) for key, value in found.items()}


def read(name: str, dtype: str) -> Golden:
    tf.keras.backend.set_floatx(dtype)
    tf.keras.mixed_precision.set_global_policy(dtype)
    try:
        converted = convert_checkpoint(FOLDER / f"{name}.pth.xz")
    finally:
        tf.keras.backend.set_floatx("float32")
        tf.keras.mixed_precision.set_global_policy("float32")
    with np.load(FOLDER / f"{name}.npz") as arrays:
        return Golden(name, dtype, converted, dict(arrays))


def names(*quick: str) -> list[object]:
    return [pytest.param(name, marks=[] if name in quick else [slow]) for name in HEADS]


@pytest.fixture(scope="module", params=names("burn_stage2"))
def golden(request: pytest.FixtureRequest) -> Iterator[Golden]:
    yield read(request.param, "float64")
    tf.keras.backend.clear_session()


def cosines(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    return (ours * theirs).sum(axis=1) / norms


def test_layout_is_recognised_and_every_tensor_used(golden: Golden) -> None:
    converted = golden.converted
    assert (converted.layout, converted.guessed) == (golden.name, True)
    assert set(converted.heads) == HEADS[golden.name]
    assert converted.dropped == []


def test_every_stretch_from_golden_input(golden: Golden) -> None:
    before: str | None = None
    compared = []
    for key in [key for key in LAYERS if key in golden.arrays]:
        stretch = golden.stretch(before, key)
        expected = golden.array(key)
        inputs = golden.images()[:1] if before is None else golden.array(before)
        count = min(len(inputs), len(expected))
        off = np.abs(stretch(inputs[:count]).numpy() - expected[:count]) > 1e-4
        compared.append((key, int(off.sum()), count))
        before = key
    assert [entry for entry in compared if entry[1]] == []
    assert len(compared) >= 4


def test_head_from_golden_features(golden: Golden) -> None:
    if "classifier" not in golden.arrays:
        assert "classifier" not in golden.converted.heads
        return
    logits = golden.converted.heads["classifier"](golden.array("features")).numpy()
    np.testing.assert_allclose(logits, golden.array("classifier"), atol=1e-4, rtol=0)


def test_end_to_end(golden: Golden) -> None:
    outputs = golden.outputs()
    assert set(outputs) == set(OUTPUTS) & set(golden.arrays)
    for key, ours in outputs.items():
        theirs = golden.array(key)
        assert cosines(ours, theirs).min() > 1 - 1e-12, key
        assert np.linalg.norm(ours - theirs) / np.linalg.norm(theirs) < 1e-6, key


@slow
@pytest.mark.parametrize("name", HEADS)
def test_end_to_end_in_float32(name: str) -> None:
    golden = read(name, "float32")
    for key, ours in golden.outputs().items():
        theirs = golden.array(key).astype(np.float64)
        assert cosines(ours, theirs).min() > 0.9999, key
        assert np.linalg.norm(ours - theirs) / np.linalg.norm(theirs) < 1e-2, key
