"""Every tensor goes to one weight, in the right arrangement, or the names are listed."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from burn_tf.convert import rules
from burn_tf.convert.checkpoint import Checkpoint
from burn_tf.layers import BatchNorm


def arranged(arrangement: rules.Arrangement, tensor: np.ndarray, shape: rules.Shape) -> np.ndarray:
    assert arrangement.source_shape(shape) == tensor.shape
    result = arrangement.arrange(tensor, shape)
    assert result.shape == shape
    return result


# torch's kernel [outputs, inputs, height, width] against Keras' [height, width, inputs, outputs].
KERNEL = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)


def test_kernels() -> None:
    ours = arranged(rules.KERNEL, KERNEL, (4, 5, 3, 2))
    mirrored = arranged(rules.MIRRORED_KERNEL, KERNEL, (4, 5, 3, 2))
    column = arranged(rules.MIRRORED_COLUMN, KERNEL.reshape(-1, 1), (4, 5, 3, 2))
    for out, into, row, col in np.ndindex(2, 3, 4, 5):
        assert ours[row, col, into, out] == KERNEL[out, into, row, col]
        assert mirrored[3 - row, 4 - col, into, out] == KERNEL[out, into, row, col]
    np.testing.assert_array_equal(column, mirrored)


def test_depthwise_kernels() -> None:
    theirs = np.arange(6 * 2 * 3).reshape(6, 1, 2, 3)
    ours = arranged(rules.DEPTHWISE_KERNEL, theirs, (2, 3, 6, 1))
    for channel, row, col in np.ndindex(6, 2, 3):
        assert ours[row, col, channel, 0] == theirs[channel, 0, row, col]


def test_vectors_and_matrices() -> None:
    vector = np.arange(3)
    np.testing.assert_array_equal(arranged(rules.VECTOR, vector, (3,)), vector)
    np.testing.assert_array_equal(arranged(rules.SHIFT, vector.reshape(1, 3, 1, 1), (3,)), vector)
    matrix = np.arange(6).reshape(2, 3)
    np.testing.assert_array_equal(arranged(rules.MATRIX, matrix, (3, 2)), matrix.T)


def network() -> tf.keras.Model:
    inputs = tf.keras.Input((4, 4, 2))
    x = tf.keras.layers.Conv2D(3, 3, use_bias=False, name="conv")(inputs)
    x = tf.keras.layers.ReLU(name="relu")(BatchNorm(name="norm")(x))
    x = tf.keras.layers.GlobalAveragePooling2D(name="pool")(x)
    return tf.keras.Model(inputs, tf.keras.layers.Dense(5, name="dense")(x))


def rule(layer: str) -> rules.Rule:
    return {
        "conv": rules.convolution("conv", "c.weight"),
        "norm": rules.batch_norm("norm", "n"),
        "dense": rules.dense("dense", "d"),
    }[layer]


def tensors() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "c.weight": rng.normal(size=(3, 2, 3, 3)),
        "n.weight": rng.uniform(1, 2, 3),
        "n.bias": rng.uniform(2, 3, 3),
        "n.running_mean": rng.uniform(3, 4, 3),
        "n.running_var": rng.uniform(4, 5, 3),
        "d.weight": rng.normal(size=(5, 3)),
        "d.bias": rng.normal(size=5),
    }


def plan(**options: list[str]) -> rules.Plan:
    model = network()
    return rules.Plan(model, [rules.rules_for(model, rule)], **options)  # type: ignore[arg-type]


def fault(given: dict[str, np.ndarray], **options: list[str]) -> str:
    return rules.check_fit(plan(**options), Checkpoint(given, {}, "weights.pth"))


def test_every_weight_is_filled_with_its_own_tensor() -> None:
    given = tensors()
    made = plan()
    found = Checkpoint(given, {}, "weights.pth")
    assert rules.check_fit(made, found) == ""
    rules.fill(made, found)
    model = made.backbone
    norm = model.get_layer("norm")
    for weight, name in (
        (norm.gamma, "n.weight"),
        (norm.beta, "n.bias"),
        (norm.moving_mean, "n.running_mean"),
        (norm.moving_variance, "n.running_var"),
        (model.get_layer("dense").kernel, "d.weight"),
        (model.get_layer("dense").bias, "d.bias"),
    ):
        np.testing.assert_array_equal(
            weight.numpy(), given[name].astype(np.float32).T, err_msg=name
        )
    kernel = model.get_layer("conv").kernel.numpy()
    np.testing.assert_array_equal(
        kernel, given["c.weight"].astype(np.float32).transpose(2, 3, 1, 0)
    )


def test_counters_may_be_there_and_extras_must_be_known() -> None:
    counted = tensors() | {"n.num_batches_tracked": np.int64(3)}
    assert fault(counted) == ""
    extra = counted | {"queue": np.zeros(2)}
    assert fault(extra) == "1 unused (queue)"
    assert fault(extra, dropped=["queue"]) == ""


def test_missing_and_unused_are_both_listed() -> None:
    given = tensors()
    del given["n.bias"], given["d.weight"]
    given |= {f"x{index}": np.zeros(1) for index in range(7)}
    expected = "2 missing (d.weight, n.bias), 7 unused (x0, x1, x2, x3, x4 and 2 more)"
    assert fault(given) == expected


def test_shapes_are_listed_with_both_sides() -> None:
    given = tensors() | {"d.weight": np.zeros((3, 5)), "n.bias": np.zeros((3, 1))}
    assert fault(given) == (
        "d.weight of shape [3, 5] in place of [5, 3], n.bias of shape [3, 1] in place of [3]"
    )


@pytest.mark.parametrize(
    ("count", "expected"), [(0, ""), (5, "0, 1, 2, 3, 4"), (6, "0, 1, 2, 3, 4 and 1 more")]
)
def test_lists_of_names(count: int, expected: str) -> None:
    assert rules.listed(str(index) for index in reversed(range(count))) == expected
