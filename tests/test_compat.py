"""The quantized scope is switched back whatever happens in it; graphs do not outlive their use."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable

import larq.context
import pytest
import tensorflow as tf

from burn_tf._compat import custom_gradients_dropped, quantized_scope


def test_scope_ends_after_an_exception() -> None:
    with pytest.raises(RuntimeError, match="inside"), quantized_scope(True):
        assert larq.context.should_quantize()
        raise RuntimeError("inside")
    assert not larq.context.should_quantize()


def test_scopes_nest() -> None:
    with quantized_scope(True):
        with quantized_scope(False):
            assert not larq.context.should_quantize()
        assert larq.context.should_quantize()
    assert not larq.context.should_quantize()


@tf.custom_gradient
def _doubled(x: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
    return 2.0 * x, lambda slope: 3.0 * slope


def _traced() -> tuple[Callable[[tf.Tensor], tf.Tensor], weakref.ref[tf.Graph]]:
    """A function whose graph holds a gradient of 3, and that graph."""

    @tf.function(input_signature=[tf.TensorSpec([])])
    def slope(x: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = _doubled(x)
        return tape.gradient(y, x)

    return slope, weakref.ref(slope.get_concrete_function().graph)


def test_a_graph_with_a_custom_gradient_goes_when_its_function_does() -> None:
    with custom_gradients_dropped():
        slope, graph = _traced()
    assert slope(tf.constant(5.0)) == 3.0
    gc.collect()
    assert graph() is not None
    del slope
    gc.collect()
    assert graph() is None
