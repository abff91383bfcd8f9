"""Linear probe trained by SGD, with the settings of the papers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from burn_tf._checks import UserError, check_range
from burn_tf.evaluation.features import EvaluationData
from burn_tf.evaluation.metrics import classification_metrics
from burn_tf.evaluation.results import Result
from burn_tf.evaluation.sgd import SteppedSGD, sgd_step
from burn_tf.evaluation.splits import labelled_features, provenance

_INITIAL_DEVIATION = 0.01


class _SoftmaxClassifier(tf.Module):
    """Weights, bias and their momenta; one call of `epoch` goes once through the features."""

    def __init__(self, dim: int, num_classes: int, seed: int) -> None:
        super().__init__()
        start = tf.random.stateless_normal([dim, num_classes], [seed, 0], stddev=_INITIAL_DEVIATION)
        self.weights = tf.Variable(start)
        self.bias = tf.Variable(tf.zeros([num_classes]))
        self.weights_velocity = tf.Variable(tf.zeros_like(start))
        self.bias_velocity = tf.Variable(tf.zeros([num_classes]))

    def _step(
        self,
        rows: tf.Tensor,
        labels: tf.Tensor,
        rate: tf.Tensor,
        momentum: tf.Tensor,
        decay: tf.Tensor,
    ) -> tf.Tensor:
        logits = tf.matmul(rows, self.weights) + self.bias
        targets = tf.one_hot(labels, tf.shape(logits)[1])
        # Gradient of the mean cross entropy in closed form; no tape is needed for one layer.
        error = (tf.nn.softmax(logits) - targets) / tf.cast(tf.shape(logits)[0], tf.float32)
        gradients = tf.matmul(rows, error, transpose_a=True), tf.reduce_sum(error, axis=0)
        places = (self.weights, self.weights_velocity), (self.bias, self.bias_velocity)
        for gradient, (variable, velocity) in zip(gradients, places, strict=True):
            sgd_step(variable, velocity, gradient, rate, momentum, decay)
        return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(targets, logits))

    @tf.function
    def epoch(
        self,
        features: tf.Tensor,
        labels: tf.Tensor,
        order: tf.Tensor,
        batch_size: tf.Tensor,
        rate: tf.Tensor,
        momentum: tf.Tensor,
        decay: tf.Tensor,
    ) -> tf.Tensor:
        """Train on all rows in `order`; the loss of the last batch."""
        loss = tf.constant(0.0)
        for start in tf.range(0, tf.shape(order)[0], batch_size):
            chosen = order[start : start + batch_size]
            rows, targets = tf.gather(features, chosen), tf.gather(labels, chosen)
            loss = self._step(rows, targets, rate, momentum, decay)
        return loss

    def scores(self, features: np.ndarray) -> np.ndarray:
        """Logits float32 [N, C]."""
        return np.asarray(tf.matmul(features, self.weights) + self.bias)


class LinearProbe:
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
        classifier = _SoftmaxClassifier(features.shape[1], num_classes, self.sgd.seed)
        rows = tf.convert_to_tensor(features, tf.float32)
        targets = tf.convert_to_tensor(labels, tf.int64)
        for epoch in range(self.sgd.epochs):
            order = np.random.default_rng((self.sgd.seed, epoch)).permutation(len(labels))
            loss = self._epoch(classifier, rows, targets, order, epoch)
            self._check_finite(loss, epoch)
        scores = classifier.scores(np.asarray(queries, np.float32))
        self._check_finite(float(np.abs(scores).max()), self.sgd.epochs - 1)
        return scores

    def _epoch(
        self,
        classifier: _SoftmaxClassifier,
        rows: tf.Tensor,
        targets: tf.Tensor,
        order: np.ndarray,
        epoch: int,
    ) -> float:
        loss = classifier.epoch(
            rows,
            targets,
            tf.constant(order, tf.int32),
            tf.constant(self.sgd.batch_size),
            tf.constant(self.rate(epoch)),
            tf.constant(self.sgd.momentum),
            tf.constant(self.sgd.weight_decay),
        )
        return float(loss)

    def _check_finite(self, value: float, epoch: int) -> None:
        if not np.isfinite(value):
            raise UserError(
                f"{self.name!r} diverged in epoch {epoch}: the features are too large for its "
                f"learning rate, use 'linear:fast'. Received: {value}"
            )

    def run(self, backbone: Callable[..., tf.Tensor], data: EvaluationData) -> Result:
        """Features of both splits, the training on one, the accuracy on the other."""
        splits = labelled_features(backbone, data)
        scores = self.fit_scores(
            splits.train_features, splits.train_labels, splits.test_features, splits.num_classes
        )
        return Result(
            self.name,
            classification_metrics(scores, splits.test_labels),
            provenance(backbone, data, splits, self.get_config()),
        )
