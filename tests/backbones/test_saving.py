"""Saved networks load in a fresh process after `import burn_tf` alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.backbones import ReActNetTiny, ResNet18
from tests.backbones.reactnet_reference import randomize

FORMATS = ["model.keras", "model.h5", "saved_model"]
LOADER = """
import sys
import burn_tf
import numpy as np
import tensorflow as tf
folder = sys.argv[1]
images = np.load(folder + "/images.npy")
for name in sys.argv[2:]:
    model = tf.keras.models.load_model(folder + "/" + name)
    np.save(folder + "/" + name + ".npy", model(images).numpy())
    config = model.get_layer("block1_3x3_conv").get_config()
    assert (config["binarize"], config["pad_values"]) == ("both", 0.0), config
"""


def images() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(3, 12, 12, 3)).astype(np.float32)


def random_network(**arguments: Any) -> tf.keras.Model:
    model = ReActNetTiny(**arguments)
    randomize(model)
    return model


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5")
def test_every_format_loads_in_a_fresh_process(tmp_path):
    model = random_network(pad_values=0.0)
    np.save(tmp_path / "images.npy", images())
    for name in FORMATS:
        model.save(tmp_path / name)
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": root}
    environment.pop("TF_USE_LEGACY_KERAS", None)
    command = [sys.executable, "-c", LOADER, str(tmp_path), *FORMATS]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    for name in FORMATS:
        loaded = np.load(tmp_path / f"{name}.npy")
        np.testing.assert_allclose(loaded, model(images()).numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5")
@pytest.mark.parametrize("name", ["model.keras", "model.h5", "model.weights.h5"])
def test_weights_argument(tmp_path, name):
    model = random_network()
    if name.endswith(".weights.h5"):
        model.save_weights(tmp_path / name)
    else:
        model.save(tmp_path / name)
    loaded = ReActNetTiny(weights=tmp_path / name)
    np.testing.assert_array_equal(loaded(images()).numpy(), model(images()).numpy())


def test_a_network_without_top_takes_weights_of_one_with_top(tmp_path):
    model = random_network()
    model.save(tmp_path / "model.keras")
    headless = ReActNetTiny(include_top=False, pooling="avg", weights=tmp_path / "model.keras")
    features = tf.keras.Model(model.input, model.get_layer("pool").output)(images())
    np.testing.assert_array_equal(headless(images()).numpy(), features.numpy())


def test_weights_that_do_not_fit_name_the_layer(tmp_path):
    random_network(classes=3).save(tmp_path / "model.keras")
    with pytest.raises(UserError, match=r"do not fit layer 'logits'.*Received"):
        ReActNetTiny(weights=tmp_path / "model.keras")
    with pytest.raises(UserError, match=r"do not fit layer 'stem_conv'"):
        ResNet18(width=0.125, include_top=False, weights=tmp_path / "model.keras")


def test_mixed_precision_and_training_survive_saving(tmp_path):
    tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
    model = random_network(input_shape=(12, 12, 3))
    model.save(tmp_path / "model.keras")
    tf.keras.mixed_precision.set_global_policy("float32")
    loaded = tf.keras.models.load_model(tmp_path / "model.keras")
    assert loaded.get_layer("block1_3x3_conv").compute_dtype == "bfloat16"
    results = [each(images(), training=True).numpy() for each in (model, loaded)]
    np.testing.assert_array_equal(results[0], results[1])
    for after, wanted in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(after, wanted)
