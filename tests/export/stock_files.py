"""Small files of built-in operators, made by TensorFlow's converter, and the models they are of."""

from __future__ import annotations

import functools

import numpy as np
import tensorflow as tf

SHAPE = (8, 8, 3)


def _filled(model: tf.keras.Model) -> tf.keras.Model:
    rng = np.random.default_rng(3)
    for variable in model.weights:
        variable.assign(rng.normal(0.0, 0.5, variable.shape))
    return model


def pictures(count: int) -> np.ndarray:
    """float32 noise [count, 8, 8, 3]."""
    return np.random.default_rng(11).normal(size=(count, *SHAPE)).astype(np.float32)


@functools.cache
def float_model() -> tf.keras.Model:
    """Two convolutions and a dense layer."""
    layers = tf.keras.layers
    inputs = layers.Input(SHAPE)
    maps = layers.Conv2D(4, 3, activation="relu")(layers.Conv2D(4, 3)(inputs))
    return _filled(tf.keras.Model(inputs, layers.Dense(5)(layers.Flatten()(maps))))


@functools.cache
def float_file() -> bytes:
    """`float_model` as a file."""
    return bytes(tf.lite.TFLiteConverter.from_keras_model(float_model()).convert())


@functools.cache
def int8_file() -> bytes:
    """`float_model` with int8 operators, input and output."""
    converter = tf.lite.TFLiteConverter.from_keras_model(float_model())
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([row[np.newaxis]] for row in pictures(32))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return bytes(converter.convert())


@functools.cache
def divided_file() -> bytes:
    """Two convolutions, and between them an operator that XNNPACK does not have; two outputs."""
    layers = tf.keras.layers
    inputs = layers.Input(SHAPE)
    first = layers.Conv2D(4, 3)(inputs)
    sums = layers.Lambda(lambda maps: tf.cumsum(maps, axis=1))(first)
    model = _filled(tf.keras.Model(inputs, [layers.Conv2D(2, 3)(sums), layers.Flatten()(sums)]))
    return bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert())


@functools.cache
def large_file() -> bytes:
    """16 MiB of weights in one dense layer."""
    inputs = tf.keras.layers.Input((1, 1, 2048))
    model = tf.keras.Model(inputs, tf.keras.layers.Dense(2048)(inputs))
    return bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert())
