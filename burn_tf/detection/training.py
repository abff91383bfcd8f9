"""Training of a detector: SGD as the papers' detection code does it, finite without any box."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from burn_tf._checks import UserError, check_integer, check_range
from burn_tf.data import Source
from burn_tf.detection.batches import NO_OBJECT, training_batches
from burn_tf.detection.detector import Detector
from burn_tf.detection.losses import retinanet_losses

# How many losses are looked at together: to look at each would wait for each update.
_LOOK = 20


@dataclasses.dataclass(frozen=True)
class DetectorTraining:
    """Settings of a training; `run` trains a detector in place.

    g <- clipped gradient + weight_decay * w (kernels alone);  v <- momentum * v - rate * g;
    w <- w + v.  The rate rises linearly over the first updates and is multiplied by `decay_factor`
    when an epoch of `decay_epochs` begins.

    Args:
        epochs: passes over the images, at least 1. Default 24 (24,000 updates of 16 on VOC 07+12).
        decay_epochs: epochs (from 0) that start with a lower rate. Default 18, 22.
        decay_factor: inside (0, 1]. Default 0.1.
        learning_rate: above 0. Default 0.01 (RetinaNet's for batches of 16).
        momentum: inside [0, 1). Default 0.9.
        weight_decay: at least 0. Default 1e-4.
        warmup_updates: at least 0, and at most a tenth of all updates is used. Default 1000.
        max_norm: above 0: gradients are clipped to this global norm. Default 10 (KerasCV's).
        batch_size: images per update, at least 1; at most what the source has. Default 16.
        min_scale: see `training_batches`. Default 0.6 (480 of 800 px).
        seed: of the order, scales, places and mirror images; any integer of at least 0.

    Raises:
        UserError: an argument outside its range; in `run` a loss that is not finite.

    Example:
        >>> from burn_tf.detection import DetectorTraining
        >>> DetectorTraining(warmup_updates=0).rate(update=180, updates=240)
        0.001

    Source: Detectron2's VOC schedule as MoCo uses it (arXiv 1911.05722, appendix), rate and decay
        of RetinaNet (arXiv 1708.02002, sec. 4.1); methods.md, section 4.
    Departs from source: in epochs, so that other sets train as long; the papers' detector is Faster
        R-CNN; clipping.
    """

    epochs: int = 24
    decay_epochs: Sequence[int] = (18, 22)
    decay_factor: float = 0.1
    learning_rate: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 1e-4
    warmup_updates: int = 1000
    max_norm: float = 10.0
    batch_size: int = 16
    min_scale: float = 0.6
    seed: int = 0

    def __post_init__(self) -> None:
        for epoch in self.decay_epochs:
            check_integer("decay_epochs", epoch, low=0)
        for name, low in (("epochs", 1), ("warmup_updates", 0), ("batch_size", 1), ("seed", 0)):
            check_integer(name, getattr(self, name), low=low)
        check_range("decay_factor", self.decay_factor, low=0, low_open=True, high=1)
        check_range("momentum", self.momentum, low=0, high=1, high_open=True)
        check_range("weight_decay", self.weight_decay, low=0)
        check_range("min_scale", self.min_scale, low=0, low_open=True, high=1)
        for name in ("learning_rate", "max_norm"):
            check_range(name, getattr(self, name), low=0, low_open=True)

    def get_config(self) -> dict[str, Any]:
        """The arguments, as JSON types."""
        return dataclasses.asdict(self) | {"decay_epochs": list(self.decay_epochs)}

    def rate(self, update: int, updates: int) -> float:
        """Learning rate of an update, counted from 0, of so many."""
        epoch = update * self.epochs // updates
        rate = self.learning_rate * self.decay_factor ** sum(epoch >= e for e in self.decay_epochs)
        warmup = min(self.warmup_updates, updates // 10)
        return rate * min(1.0, (update + 1) / warmup) if warmup else rate

    def run(
        self,
        detector: Detector,
        source: Source,
        *,
        antialias: bool = True,
        report: Callable[[int, float], None] | None = None,
    ) -> list[float]:
        """Train a detector on a source.

        Args:
            detector: its weights are changed.
            source: images with `objects`, of the detector's classes.
            antialias: see `training_batches`.
            report: called with an epoch (from 1) and its mean loss when it has ended.

        Returns:
            The mean loss of each epoch's updates.

        Raises:
            UserError: the loss is not finite, or a class that the detector does not have.
        """
        check_classes(source, len(detector.class_names))
        batch = min(self.batch_size, source.num_images)
        batches = training_batches(
            source,
            image_size=detector.image_size,
            batch_size=batch,
            epochs=self.epochs,
            seed=self.seed,
            min_scale=self.min_scale,
            antialias=antialias,
        )
        updates = int(batches.cardinality())
        step = TrainingStep(detector, self)
        losses: list[list[float]] = [[] for _ in range(self.epochs)]
        waiting: list[tf.Tensor] = []
        for update, (images, boxes, classes) in enumerate(batches):
            epoch = update * self.epochs // updates
            waiting.append(step(images, boxes, classes, self.rate(update, updates)))
            ends = update + 1 == updates or (update + 1) * self.epochs // updates > epoch
            if ends or len(waiting) == _LOOK:
                losses[epoch] += _finite(waiting, update)
                waiting = []
            if ends and report is not None:
                report(epoch + 1, _mean(losses[epoch]))
        return [_mean(one) for one in losses if one]


class TrainingStep:
    """One update of a detector; the loss before it."""

    def __init__(self, detector: Detector, settings: DetectorTraining) -> None:
        self.network, self.encoder = detector.network, detector.model.label_encoder
        self.settings = settings
        self.optimizer = tf.keras.optimizers.SGD(0.0, momentum=settings.momentum)
        self.optimizer.build(self.network.trainable_variables)

    def __call__(
        self, images: tf.Tensor, boxes: tf.Tensor, classes: tf.Tensor, rate: float
    ) -> tf.Tensor:
        return self._update(images, boxes, classes, tf.constant(rate))

    @tf.function
    def _update(
        self, images: tf.Tensor, boxes: tf.Tensor, classes: tf.Tensor, rate: tf.Tensor
    ) -> tf.Tensor:
        targets, wanted = self.encoder(images, {"boxes": boxes, "classes": classes})
        # A box that matches what only fills up the table would have its class, -1.
        wanted = tf.where(tf.math.is_finite(wanted), wanted, NO_OBJECT)
        variables = self.network.trainable_variables
        with tf.GradientTape() as tape:
            outputs = self.network(images, training=True)
            loss = tf.add_n(
                retinanet_losses(outputs["classification"], outputs["box"], wanted, targets)
            )
        gradients, _ = tf.clip_by_global_norm(
            tape.gradient(loss, variables, unconnected_gradients="zero"), self.settings.max_norm
        )
        decayed = [self._decayed(g, w) for g, w in zip(gradients, variables, strict=True)]
        self.optimizer.learning_rate.assign(rate)
        self.optimizer.apply_gradients(zip(decayed, variables, strict=True))
        return loss

    def _decayed(self, gradient: tf.Tensor, variable: tf.Variable) -> tf.Tensor:
        # Vectors are biases, shifts and scales.
        is_kernel = variable.shape.rank > 1
        return gradient + self.settings.weight_decay * variable if is_kernel else gradient


def check_classes(source: Source, num_classes: int) -> None:
    """Refuses a source with a class that a detector does not have.

    Raises:
        UserError: there is one.
    """
    highest = max((int(found.classes.max()) for found in source.objects if len(found)), default=-1)
    if highest >= num_classes:
        raise UserError(
            f"`source` must have classes below {num_classes}, the detector's. "
            f"Received: class {highest} in {source.name!r}"
        )


def _finite(losses: Sequence[tf.Tensor], update: int) -> list[float]:
    values = [float(loss) for loss in losses]
    if not all(math.isfinite(value) for value in values):
        raise UserError(
            f"the detector's loss is not finite at update {update + 1}: give a lower "
            f"`learning_rate`. Received: {values[-1]}"
        )
    return values


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
