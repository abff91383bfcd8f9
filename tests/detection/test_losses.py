"""RetinaNet's losses beside KerasCV's, and for batches that have no object."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from burn_tf.detection import focal_loss, retinanet_losses


def test_values_are_kerascvs():
    import keras_cv

    rng = np.random.default_rng(0)
    logits = rng.standard_normal((2, 6, 3)).astype(np.float32)
    deltas, targets = 2 * rng.standard_normal((2, 2, 6, 4)).astype(np.float32)
    classes = np.array([[0, -1, 2, -2, -1, 1], [-1, -2, -1, 1, -1, -1]], np.float32)
    wanted = np.eye(4, 3)[np.where(classes < 0, 3, classes).astype(int)]
    focal = keras_cv.losses.FocalLoss(from_logits=True, reduction="sum")
    smooth = keras_cv.losses.SmoothL1Loss(reduction="sum")
    of_classes = focal(wanted, logits, sample_weight=(classes != -2) / 4.0)
    of_boxes = smooth(targets, deltas, sample_weight=(classes >= 0) / 4.0)
    found = retinanet_losses(logits, deltas, classes, targets)
    np.testing.assert_allclose(found, [of_classes, of_boxes], rtol=1e-4)


def test_focal_loss_by_hand_and_far_out():
    # p_t = 0.5: 0.25 * 0.5^2 * ln 2 for the positive, 0.75 * 0.5^2 * ln 2 for the negative.
    loss = focal_loss(tf.constant([[[1.0, 0.0]]]), tf.zeros([1, 1, 2]))
    np.testing.assert_allclose(loss, [[0.25 * np.log(2.0)]], rtol=1e-6)
    # KerasCV's clips probabilities: 200 wrong would cost it 16 * 0.25. In logits it stays 200.
    far = focal_loss(tf.constant([[[1.0, 0.0]]]), tf.constant([[[-200.0, -200.0]]]))
    np.testing.assert_allclose(far, [[0.25 * 200.0]], rtol=1e-6)


def test_without_any_object_the_background_is_learned_and_nothing_is_infinite():
    logits, deltas = tf.Variable(tf.zeros([2, 3, 2])), tf.Variable(tf.ones([2, 3, 4]))
    targets = tf.constant(np.full((2, 3, 4), np.inf, np.float32))
    with tf.GradientTape() as tape:
        losses = retinanet_losses(logits, deltas, -tf.ones([2, 3]), targets)
        loss = tf.add_n(losses)
    # 2 * 3 * 2 negatives at p_t = 0.5.
    np.testing.assert_allclose(losses, [12 * 0.75 * 0.25 * np.log(2.0), 0.0], rtol=1e-6)
    gradients = tape.gradient(loss, [logits, deltas])
    assert np.all(np.asarray(gradients[0]) > 0) and not np.any(np.asarray(gradients[1]))
