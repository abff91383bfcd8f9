"""Linear probe trained by SGD, with the settings of the papers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from burn_tf._checks import UserError, check_range
from burn_tf.evaluation.frozen import FrozenFeatures, Measured
from burn_tf.evaluation.metrics import classification_metrics
from burn_tf.evaluation.sgd import SteppedSGD, sgd_step
from burn_tf.evaluation.splits import FeatureSplits

_INITIAL_DEVIATION = 0.01
# Values (16 MB) of a block of rows that is gathered at a time; a bank itself is never copied.
_BLOCK_VALUES = 2**22
_SCORED_ROWS = 4096


class _SoftmaxClassifier(tf.Module):
    """Weights, bias and their momenta; one call of `train` goes once through some rows."""

    def __init__(self, dim: int, num_classes: int, sgd: SteppedSGD) -> None:
        super().__init__()
        start = tf.random.stateless_normal(
            [dim, num_classes], [sgd.seed, 0], stddev=_INITIAL_DEVIATION
        )
        self.sgd = sgd
        self.weights = tf.Variable(start)
        self.bias = tf.Variable(tf.zeros([num_classes]))
        self.weights_velocity = tf.Variable(tf.zeros_like(start))
        self.bias_velocity = tf.Variable(tf.zeros([num_classes]))

    def _step(self, rows: tf.Tensor, labels: tf.Tensor, rate: tf.Tensor) -> tf.Tensor:
        logits = tf.matmul(rows, self.weights) + self.bias
        # One kernel gives the losses and the closed-form gradient of their sum by the logits; no
        # tape is needed for one layer, and no gradient by the features.
        losses, error = tf.raw_ops.SparseSoftmaxCrossEntropyWithLogits(
            features=logits, labels=labels
        )
        error /= tf.cast(tf.shape(logits)[0], tf.float32)
        gradients = tf.matmul(rows, error, transpose_a=True), tf.reduce_sum(error, axis=0)
        places = (self.weights, self.weights_velocity), (self.bias, self.bias_velocity)
        for gradient, (variable, velocity) in zip(gradients, places, strict=True):
            sgd_step(variable, velocity, gradient, rate, self.sgd.momentum, self.sgd.weight_decay)
        return tf.reduce_mean(losses)

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, None], tf.float32),
            tf.TensorSpec([None], tf.int64),
            tf.TensorSpec([], tf.float32),
        ]
    )
    def train(self, rows: tf.Tensor, labels: tf.Tensor, rate: tf.Tensor) -> tf.Tensor:
        """Train on rows batch by batch; the loss of the last batch."""
        loss = tf.constant(0.0)
        for start in tf.range(0, tf.shape(rows)[0], self.sgd.batch_size):
            part = slice(start, start + self.sgd.batch_size)
            loss = self._step(rows[part], labels[part], rate)
        return loss

    def scores(self, features: np.ndarray) -> np.ndarray:
        """Logits float32 [N, C]."""
        found = np.empty((len(features), self.bias.shape[0]), np.float32)
        for start in range(0, len(features), _SCORED_ROWS):
            rows = np.asarray(features[start : start + _SCORED_ROWS], np.float32)
            found[start : start + len(rows)] = tf.matmul(rows, self.weights) + self.bias
        return found


class LinearProbe(FrozenFeatures):
    """Softmax regression on frozen features by SGD with momentum and a stepped learning rate.

    v <- momentum * v + g + weight_decay * w;  w <- w - rate(epoch) * v, with g the gradient of the
    mean cross entropy of a batch and rate(epoch) = learning_rate * decay_factor^(number of
    `decay_epochs` that have passed). Weights start from N(0, 0.01^2), the bias from 0.

    Args:
        name: Protocol identifier written into the result.
        learning_rate: Above 0; BURN: 30 (objects), 0.01 (scenes); MSBReg: 0.2.
        epochs: At least 1; BURN: 100 and 28. MSBReg's is not known: 100.
        decay_epochs: Epochs (from 0) that start with a lower rate; BURN: 60, 80; scenes: every 7.
        decay_factor: Inside (0, 1]; BURN: 0.1.
        momentum: Inside [0, 1); BURN: 0.9.
        weight_decay: At least 0; BURN: 0 and 1e-5; MSBReg: 1e-4.
        batch_size: Rows per update, at least 1; ours: 256.
        seed: Seed of the start values and of the order of rows.

    Raises:
        UserError: an argument is outside its range; in `run` also a loss that is not finite.

    Example:
        >>> import numpy as np
        >>> from burn_tf.evaluation import LinearProbe
        >>> probe = LinearProbe(learning_rate=1.0, epochs=20, decay_epochs=())
        >>> x = np.array([[0.0, 1.0], [1.0, 0.0]], np.float32)
        >>> probe.fit_scores(x, np.array([0, 1]), x, 2).argmax(axis=1)
        array([0, 1])

    Source: Kim & Choi (BURN, arXiv 2110.08851); Moon et al. (MSBReg); methods.md, section 4.
    Departs from source: features are computed once from centre crops, so the probe sees no
        augmented training image; for MSBReg the number of epochs and the decay are BURN's.
    """

    def __init__(
        self,
        name: str = "linear:burn",
        learning_rate: float = 30.0,
        epochs: int = 100,
        decay_epochs: Sequence[int] = (60, 80),
        decay_factor: float = 0.1,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        batch_size: int = 256,
        seed: int = 0,
    ) -> None:
        self.name = name
        self.learning_rate = check_range("learning_rate", learning_rate, low=0.0, low_open=True)
        self.sgd = SteppedSGD(
            epochs, decay_epochs, decay_factor, momentum, weight_decay, batch_size, seed
        )

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            "name": self.name,
            "learning_rate": self.learning_rate,
            **self.sgd.get_config(),
        }

    def rate(self, epoch: int) -> float:
        """Learning rate of an epoch, counted from 0."""
        return self.sgd.decayed(self.learning_rate, epoch)

    def fit_scores(
        self, features: np.ndarray, labels: np.ndarray, queries: np.ndarray, num_classes: int
    ) -> np.ndarray:
        """Fit on `features` [N, D] and `labels` [N]; logits float32 [Q, C] of `queries` [Q, D]."""
        classifier = _SoftmaxClassifier(features.shape[1], num_classes, self.sgd)
        for epoch in range(self.sgd.epochs):
            order = np.random.default_rng((self.sgd.seed, epoch)).permutation(len(labels))
            loss = self._epoch(classifier, features, labels, order, epoch)
            self._check_finite(loss, epoch)
        scores = classifier.scores(queries)
        self._check_finite(float(np.abs(scores).max()), self.sgd.epochs - 1)
        return scores

    def _epoch(
        self,
        classifier: _SoftmaxClassifier,
        features: np.ndarray,
        labels: np.ndarray,
        order: np.ndarray,
        epoch: int,
    ) -> float:
        """The loss of the last batch."""
        batch = self.sgd.batch_size
        block = batch * max(1, _BLOCK_VALUES // (batch * features.shape[1]))
        rate, loss = tf.constant(self.rate(epoch)), tf.constant(0.0)
        for start in range(0, len(order), block):
            chosen = order[start : start + block]
            rows = np.asarray(features[chosen], np.float32)
            loss = classifier.train(rows, np.asarray(labels[chosen], np.int64), rate)
        return float(loss)

    def _check_finite(self, value: float, epoch: int) -> None:
        if not np.isfinite(value):
            raise UserError(
                f"{self.name!r} diverged in epoch {epoch}: the features are too large for its "
                f"learning rate, use 'linear:fast'. Received: {value}"
            )

    def measure(self, splits: FeatureSplits) -> Measured:
        """The training on the train split, the accuracy on the test split."""
        scores = self.fit_scores(
            splits.train_features, splits.train_labels, splits.test_features, splits.num_classes
        )
        return Measured(classification_metrics(scores, splits.test_labels), self.get_config())
