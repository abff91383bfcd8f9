"""A config holds every constructor argument and gives back an equal instance through JSON."""

from __future__ import annotations

import inspect
import json
from typing import Any

import pytest
import tensorflow as tf

from tests.conformance import cases, discovery


def through_json(thing: Any) -> Any:
    """The instance that a config gives after it was written to a file as text."""
    text = json.dumps(tf.keras.saving.serialize_keras_object(thing))
    return tf.keras.saving.deserialize_keras_object(json.loads(text))


@pytest.mark.parametrize("name", cases.SERIALIZABLE)
class TestSerializable:
    def test_round_trip(self, name: str) -> None:
        thing = cases.build(cases.SERIALIZABLE[name])
        again = through_json(thing)
        assert type(again) is type(thing)
        assert again.get_config() == thing.get_config()

    def test_holds_every_argument(self, name: str) -> None:
        thing = cases.build(cases.SERIALIZABLE[name])
        assert set(discovery.parameters_of(type(thing))) <= set(thing.get_config())

    def test_case_differs_from_the_defaults(self, name: str) -> None:
        thing = cases.build(cases.SERIALIZABLE[name])
        config = thing.get_config()
        parameters = discovery.parameters_of(type(thing))
        required = {key: config[key] for key in _required(type(thing))}
        plain = type(thing)(**required).get_config()
        equal = [key for key in parameters if key not in required and config[key] == plain[key]]
        assert len(equal) < max(len(parameters), 1), "build the case with arguments of its own"


def _required(member: type) -> list[str]:
    signature = inspect.signature(member).parameters
    named = discovery.parameters_of(member)
    return [name for name in named if signature[name].default is inspect.Parameter.empty]


def comparable(config: Any) -> Any:
    """The config without the sizes that layers were last built for: any size would do."""
    if isinstance(config, dict):
        return {k: comparable(v) for k, v in config.items() if k != "build_config"}
    return [comparable(v) for v in config] if isinstance(config, (list, tuple)) else config


@pytest.mark.parametrize("name", cases.BUILDERS)
def test_model_round_trip(name: str) -> None:
    model = cases.build(cases.BUILDERS[name])
    again = through_json(model)
    assert comparable(again.get_config()) == comparable(model.get_config())
    assert [w.shape for w in again.weights] == [w.shape for w in model.weights]
    again.set_weights(model.get_weights())
    images = cases.numbers("images", *cases.BUILDERS[name].shape)
    tf.debugging.assert_equal(again(images), model(images))


@pytest.mark.parametrize("name", cases.METHODS)
def test_method_round_trip(name: str) -> None:
    method = cases.build(cases.METHODS[name])
    again = through_json(method)
    assert type(again) is type(method)
    assert comparable(again.get_config()) == comparable(method.get_config())
    assert [w.shape for w in again.trainable_weights] == [w.shape for w in method.trainable_weights]
    assert [w.shape for w in again.weights] == [w.shape for w in method.weights]
