"""Settings reach the builders that know them, and a filled model keeps Keras' initializers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from burn_tf import backbones
from burn_tf.recipes.base import Network
from zoo import networks
from zoo.networks import Ends


@pytest.mark.parametrize("name", networks.BUILDERS)
def test_every_setting_has_a_builder_that_takes_it(name: str) -> None:
    settings = networks.settings_of(Network(name))
    binary = {"width", "stem_strides", "pad_values", "estimator", "embedding_units"}
    wanted = binary if name.startswith("reactnet") else {"width", "small_image_stem"}
    assert set(settings) == wanted


def test_the_names_are_the_recipes() -> None:
    from burn_tf.training.building import BACKBONES

    assert set(networks.BUILDERS) == set(BACKBONES)


@pytest.mark.parametrize(
    ("ends", "output", "embedded"),
    [
        (Ends(), (None, 4, 4, 64), False),
        (Ends(pooling="max"), (None, 64), False),
        (Ends(pooling="avg"), (None, 5), True),
        (Ends(include_top=True, classes=3), (None, 3), True),
    ],
)
def test_the_embedding_follows_average_pooling(
    ends: Ends, output: tuple[int | None, ...], embedded: bool
) -> None:
    network = Network("reactnet_tiny", stem_strides=1, embedding_units=5)
    model = networks.build_network(network, ends, 16, "mine")
    assert model.output_shape == output and model.input_shape == (None, 16, 16, 3)
    assert any(layer.name == "embedding" for layer in model.layers) is embedded
    assert networks.optional_layers(model) == ["logits"] + ([] if embedded else ["embedding"])


def test_what_is_not_filled_is_drawn() -> None:
    drawn: dict[str, Any] = {}

    def fill(model: tf.keras.Model) -> list[str]:
        drawn.update({layer.name: layer.get_weights() for layer in model.layers})
        return ["logits/kernel", "logits/bias"]

    model = networks.build_to_fill(fill, lambda: backbones.ReActNetTiny((16, 16, 3), classes=3))
    assert not drawn["block1_3x3_conv"][0].any() and not drawn["logits"][0].any()
    assert np.std(model.get_layer("logits").kernel) > 0.01
    fresh = backbones.ReActNetTiny((16, 16, 3), classes=3)
    assert model.get_config() == fresh.get_config()
