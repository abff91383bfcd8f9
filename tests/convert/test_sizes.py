"""Sizes are those of real files and variables."""

from __future__ import annotations

import json

import tensorflow as tf

from burn_tf.convert import packed_size, save_packed, summary
from burn_tf.export import to_lce
from tests.convert.small_network import small_network

# 3 x 3 and 1 x 1 kernels of 12 x 12 channels.
BINARY = 10 * 144


def test_counts_and_bytes(tmp_path):
    model = small_network()
    sizes = summary(model)
    others = 27 * 12 + 3 * 4 * 12 + 2 * 12 + 2 * 3 * 12
    assert (sizes.binary_weights, sizes.other_weights) == (BINARY, others)
    assert sizes.latent_bytes == 4 * (BINARY + others)
    save_packed(model, tmp_path / "32.safetensors")
    save_packed(model, tmp_path / "16.safetensors", float_dtype="float16")
    assert sizes.packed_bytes == (tmp_path / "32.safetensors").stat().st_size
    assert sizes.packed_float16_bytes == (tmp_path / "16.safetensors").stat().st_size
    assert sizes.lce_bytes is None
    assert sizes.not_packed == ""


def test_lce_file():
    model = small_network(classes=2)
    assert summary(model, lce=True).lce_bytes == len(to_lce(model).flatbuffer)


def test_lce_file_of_any_image_size():
    sizes = summary(small_network(side=None), lce=True, input_size=8)
    assert sizes.lce_bytes is not None and sizes.lce_bytes > 1000


def test_models_that_are_not_packable():
    stage1 = summary(small_network(binarize="activations"))
    assert (stage1.binary_weights, stage1.packed_bytes) == (0, None)
    assert "binarize='activations'" in stage1.not_packed
    dense = tf.keras.Sequential([tf.keras.layers.Dense(2, input_shape=(3,))], name="dense")
    assert summary(dense).latent_bytes == 4 * 8
    assert str(summary(dense)).splitlines() == [
        "dense: 0 binary weights, 8 others",
        "  latent variables                 32 bytes  100.00%",
        "  not packed: `model` must have binary layers: burn_tf.layers.BinaryConv2D or a "
        "larq.layers one. Received: 'dense' with none; save it with model.save(..)",
    ]


def test_record():
    model = small_network()
    sizes = summary(model)
    assert json.loads(json.dumps(sizes.to_dict()))["packed_bytes"] == packed_size(model)
    assert f"{sizes.packed_bytes:,} bytes" in str(sizes)
