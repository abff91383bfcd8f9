"""The only file that touches private or fragile interfaces of TensorFlow and Larq."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import larq.context as larq_context
import tensorflow as tf


@contextlib.contextmanager
def quantized_scope(quantize: bool) -> Iterator[None]:
    """`larq.context.quantized_scope` that is switched back also when its body raises.

    Larq's own scope stays on for the thread after an exception, and every later save would then
    store binarised weights.
    """
    before = larq_context.should_quantize()
    scope = larq_context.quantized_scope(quantize)
    scope.__enter__()
    try:
        yield
    finally:
        scope.__exit__(None, None, None)
        if larq_context.should_quantize() != before:
            raise RuntimeError("larq.context.quantized_scope did not restore its state")


def is_functional(model: tf.keras.Model) -> bool:
    """Whether a Keras model is a graph of layers (not a subclass with code of its own)."""
    return bool(getattr(model, "_is_graph_network", False)) and not isinstance(
        model, tf.keras.Sequential
    )
