"""MoCo v2's head beside a network, and what its training leaves behind."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.convert.checkpoint import Checkpoint
from burn_tf.convert.projector import add_projector, contrastive_extras, refuse_top
from burn_tf.convert.request import Request
from burn_tf.convert.rules import Plan, check_fit, fill


def backbone() -> tf.keras.Model:
    inputs = tf.keras.Input((2, 2, 3))
    return tf.keras.Model(inputs, tf.keras.layers.GlobalAveragePooling2D()(inputs))


def test_head_equals_its_formula() -> None:
    rng = np.random.default_rng(0)
    shapes = {"q.fc.0.weight": (4, 3), "q.fc.0.bias": (4,)} | {
        "q.fc.2.weight": (5, 4),
        "q.fc.2.bias": (5,),
    }
    tensors = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    plan = Plan(backbone(), [])
    add_projector(Request(tensors), plan, "q.fc", 3)
    given = Checkpoint(tensors, {}, "weights.pth")
    assert check_fit(plan, given) == ""
    fill(plan, given)
    x = rng.normal(size=(6, 3))
    hidden = np.maximum(x @ tensors["q.fc.0.weight"].T + tensors["q.fc.0.bias"], 0)
    expected = hidden @ tensors["q.fc.2.weight"].T + tensors["q.fc.2.bias"]
    actual = plan.heads["projector"](np.float32(x)).numpy()
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


def test_a_head_that_the_file_lacks_is_missing() -> None:
    plan = Plan(backbone(), [])
    add_projector(Request({}), plan, "fc", 3)
    assert plan.heads["projector"].output_shape == (None, 128)
    assert check_fit(plan, Checkpoint({}, {}, "weights.pth")) == (
        "4 missing (fc.0.bias, fc.0.weight, fc.2.bias, fc.2.weight)"
    )


def test_extras_of_training() -> None:
    kept = ["encoder_q.fc.0.weight", "conv1.weight", "encoder.weight"]
    extras = ["encoder_k.conv1.weight", "queue", "queue_ptr", "optimizer.state.0.step"]
    request = Request({name: np.zeros(1) for name in [*kept, *extras]})
    assert contrastive_extras(request) == extras


def test_no_top_without_labels() -> None:
    refuse_top(Request({}))
    refuse_top(Request({}, include_top=False))
    with pytest.raises(UserError, match=r"trained without labels. Received: True"):
        refuse_top(Request({}, include_top=True))
