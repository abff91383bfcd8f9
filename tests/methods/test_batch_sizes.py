"""Batches whose size a graph does not know are checked as they come, in the same words."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.methods import WMSE, MoCoV2, SSLMethod, VICReg

Views = Callable[..., tuple[tf.Tensor, ...]]
SIZES = {"hidden_dim": 8, "embedding_dim": 4}


def _compiled(method: SSLMethod) -> SSLMethod:
    method.compile(tf.keras.optimizers.SGD(0.0))
    return method


def _batches(images: tuple[tf.Tensor, ...], size: int) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices(images).batch(size)


def test_a_dataset_with_batches_that_are_too_small(student: tf.keras.Model, views: Views) -> None:
    method = _compiled(WMSE(student, **SIZES))
    assert _batches(views(2), 4).element_spec[0].shape[0] is None
    with pytest.raises(UserError, match=r"WMSE whitens 4 outputs.*at least 5.*Received: 4$"):
        method.fit(_batches(views(2, 8), 4), verbose=0)
    assert int(method.update_step) == 0
    assert np.isfinite(method.fit(_batches(views(2, 10), 5), verbose=0).history["loss"][0])


def test_a_last_batch_that_is_short(student: tf.keras.Model, views: Views) -> None:
    method = _compiled(VICReg(student, **SIZES))
    with pytest.raises(UserError, match=r"`batch_size`.*Received: 1"):
        method.fit(_batches(views(2, 5), 2), verbose=0)
    assert int(method.update_step) == 2


def test_arrays_that_do_not_fill_a_queue(student: tf.keras.Model, views: Views) -> None:
    method = _compiled(MoCoV2(student, **SIZES, queue_size=16))
    pair = tuple(view.numpy() for view in views(2, 12))
    with pytest.raises(UserError, match=r"`queue_size` must be a multiple.*=16, batch 6$"):
        method.fit(pair, batch_size=6, verbose=0)
    method.fit(pair, batch_size=4, verbose=0)
    assert int(method.update_step) == 3 and int(method.queue.position) == 12


def test_the_global_batch_counts(two_replicas: tf.distribute.Strategy, views: Views) -> None:
    from burn_tf import backbones

    with two_replicas.scope():
        size = (16, 16, 3)
        network = backbones.ReActNetTiny(size, include_top=False, pooling="avg")
        method = _compiled(WMSE(network, **SIZES))
    assert np.isfinite(method.fit(_batches(views(2, 6), 6), verbose=0).history["loss"][0])
    with pytest.raises(UserError, match=r"Received: 4$"):
        method.fit(_batches(views(2, 4), 4), verbose=0)


def test_other_errors_of_a_step_stay_what_they_are(student: tf.keras.Model, views: Views) -> None:
    method = _compiled(VICReg(student, **SIZES))

    def broken(one: tf.Tensor, other: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.control_dependencies([tf.debugging.Assert(tf.shape(one)[0] < 0, ["broken"])]):
            return tf.identity(one), other

    with pytest.raises(tf.errors.InvalidArgumentError, match="broken"):
        method.fit(_batches(views(2), 3).map(broken), verbose=0)
