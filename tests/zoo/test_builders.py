"""The zoo's builders are the backbones', and know the zoo's weights."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from burn_tf import backbones
from burn_tf._checks import UserError
from burn_tf.convert import save_packed
from tests.zoo.tiny import shaken
from zoo import builders

NAMES = ("ReActNetA", "ReActNetTiny", "ResNet18", "ResNet50")


def close(a: Any, b: Any) -> None:
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_signature_and_docstring(name: str) -> None:
    ours, theirs = getattr(builders, name), getattr(backbones, name)
    assert ours.__name__ == name and ours.__doc__.startswith(theirs.__doc__.splitlines()[0])
    assert "accept_license" in ours.__doc__ and "Raises:" in ours.__doc__
    parameters = dict(inspect.signature(ours).parameters)
    assert parameters.pop("accept_license").kind is inspect.Parameter.KEYWORD_ONLY
    assert parameters == dict(inspect.signature(theirs).parameters)


def test_the_network_without_weights_of_its_own_is_the_backbones() -> None:
    assert builders.EfficientNetLite0 is backbones.EfficientNetLite0


def test_without_weights_it_is_the_backbone() -> None:
    options = {"input_shape": (16, 16, 3), "classes": 4, "width": 2.0, "name": "mine"}
    ours, theirs = builders.ReActNetTiny(**options), backbones.ReActNetTiny(**options)
    assert ours.get_config() == theirs.get_config()
    with pytest.raises(TypeError, match="widht"):
        builders.ReActNetTiny(widht=2.0)


@pytest.mark.usefixtures("tiny_zoo")
class TestEntry:
    def test_has_the_settings_of_its_training(
        self, tiny_reference: tf.keras.Model, tiny_images: np.ndarray
    ) -> None:
        model = builders.ReActNetTiny(include_top=False, weights="tiny", pooling="avg")
        assert model.name == "tiny" and model.input_shape == (None, 24, 24, 3)
        np.testing.assert_allclose(
            model(tiny_images), tiny_reference(tiny_images), rtol=1e-4, atol=1e-4
        )

    def test_takes_other_arguments(self) -> None:
        model = builders.ReActNetTiny(
            (32, 32, 3),
            weights="tiny",
            classes=3,
            binarize="activations",
            width=2.0,
            estimator="approx",
            classifier_activation="softmax",
            name="mine",
        )
        assert model.name == "mine" and model.output_shape == (None, 3)
        assert model.get_layer("logits").activation is tf.keras.activations.softmax
        assert model.get_layer("block1_3x3_conv").binarize == "activations"
        assert model.get_layer("block1_sign_1").estimator == "approx"

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"include_top": False, "width": 1.0}, "`width` must be left out, or 2.0"),
            ({"include_top": False, "stem_strides": 1}, "`stem_strides` must be left out"),
            ({"include_top": False, "embedding_units": 8}, "`embedding_units` must be left out"),
            ({}, "no trained classifier"),
            ({"include_top": False, "classes": 3}, "`classes` needs include_top=True"),
            ({"weights": "tyni"}, "Did you mean 'tiny'?"),
            ({"weights": "imagenet"}, "CC BY-NC 4.0"),
        ],
    )
    def test_mistakes(self, options: dict[str, Any], message: str) -> None:
        with pytest.raises(UserError) as caught:
            builders.ReActNetTiny(**({"weights": "tiny"} | options))
        assert message in str(caught.value) and "Received: " in str(caught.value)

    def test_of_another_builder(self) -> None:
        with pytest.raises(UserError, match="which does not exist"):
            builders.ReActNetA(weights="tiny")


class TestPackedFile:
    def test_fills_what_is_built(self, tiny_file: Path, tiny_images: np.ndarray) -> None:
        options: dict[str, Any] = {"width": 2.0, "stem_strides": 2, "pad_values": 0.0}
        model = builders.ReActNetTiny(
            (24, 24, 3), False, tiny_file, "avg", estimator="ste", **options
        )
        wanted = shaken(
            backbones.ReActNetTiny((24, 24, 3), include_top=False, pooling="avg", **options)
        )
        close(model(tiny_images), wanted(tiny_images))

    def test_of_other_settings(self, tiny_file: Path) -> None:
        for wrong in ({"width": 1.0}, {"stem_strides": 1}, {"pad_values": 1.0}):
            options = {"width": 2.0, "stem_strides": 2, "pad_values": 0.0} | wrong
            with pytest.raises(UserError, match="Received: "):
                builders.ReActNetTiny(include_top=False, weights=tiny_file, **options)

    def test_without_a_top(self, tmp_path: Path) -> None:
        path = tmp_path / "own.safetensors"
        save_packed(backbones.ReActNetTiny((16, 16, 3), include_top=False), path)
        with pytest.raises(UserError, match="has no classifier: give classes=N"):
            builders.ReActNetTiny((16, 16, 3), weights=path)
        assert builders.ReActNetTiny((16, 16, 3), weights=path, classes=3).output_shape == (None, 3)
