"""Semi-supervised protocol: fine-tune the whole network on a few labels."""

from __future__ import annotations

import dataclasses
import itertools
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from burn_tf._checks import UserError, check_range
from burn_tf.data import Source, views_dataset
from burn_tf.evaluation.features import EvaluationData, extract_features
from burn_tf.evaluation.metrics import classification_metrics
from burn_tf.evaluation.results import Result
from burn_tf.evaluation.sgd import SteppedSGD, sgd_step
from burn_tf.evaluation.splits import check_labels, part_of_each_class, run_provenance

_INITIAL_DEVIATION = 0.01


@dataclasses.dataclass(frozen=True)
class GridPoint:
    """One setting of the grid."""

    backbone_rate: float
    head_multiplier: float


class _FineTuning:
    """Backbone and linear head, with one compiled step for every point of the grid."""

    def __init__(
        self, backbone: tf.keras.Model, num_classes: int, image_size: int, seed: int
    ) -> None:
        # The clone has names and weights of its own: the caller's backbone stays as it is.
        images = tf.keras.Input((image_size, image_size, backbone.input_shape[-1]))
        self.backbone = tf.keras.models.clone_model(backbone)
        self.backbone.trainable = True
        head = tf.keras.layers.Dense(
            num_classes,
            kernel_initializer=tf.keras.initializers.RandomNormal(
                stddev=_INITIAL_DEVIATION, seed=seed
            ),
            dtype="float32",
            name="semi_supervised_head",
        )
        self.model = tf.keras.Model(images, head(self.backbone(images)))
        self.backbone.set_weights(backbone.get_weights())
        self.start = self.model.get_weights()
        # Layers that never learn, such as a frozen part, keep out of the update.
        head_ids = {id(variable) for variable in head.trainable_variables}
        self.slots = [
            (variable, tf.Variable(tf.zeros_like(variable)), id(variable) in head_ids)
            for variable in self.model.trainable_variables
        ]

    def reset(self) -> None:
        """Weights and momenta as before the first update."""
        self.model.set_weights(self.start)
        for _, velocity, _ in self.slots:
            velocity.assign(tf.zeros_like(velocity))

    @tf.function
    def step(
        self,
        images: tf.Tensor,
        labels: tf.Tensor,
        rate: tf.Tensor,
        head_rate: tf.Tensor,
        momentum: tf.Tensor,
        weight_decay: tf.Tensor,
    ) -> tf.Tensor:
        """One update; the loss before it."""
        with tf.GradientTape() as tape:
            logits = self.model(images, training=True)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            loss = tf.reduce_mean(losses)
        variables = [variable for variable, _, _ in self.slots]
        for (variable, velocity, is_head), gradient in zip(
            self.slots, tape.gradient(loss, variables), strict=True
        ):
            if gradient is not None:
                own = head_rate if is_head else rate
                sgd_step(variable, velocity, gradient, own, momentum, weight_decay)
        return loss


class SemiSupervised:
    """Fine-tuning of the whole network on a part of the labels, over a grid of rates.

    SGD: v <- momentum * v + g + weight_decay * w; w <- w - rate * v. The backbone's rate is one of
    `backbone_rates`, the head's that times one of `head_multipliers`; both are multiplied by
    `decay_factor` when an epoch of `decay_epochs` begins. Every point of the grid starts from the
    same weights; the best top-1 on the test split is reported, and the whole grid kept.

    Args:
        name: Protocol identifier written into the result.
        fraction: Share of every class whose labels are used, inside (0, 1], rounded up.
        epochs: Passes over these images, at least 1; BURN: 20.
        backbone_rates: Each above 0; BURN: 0.1, 0.01, 0.001.
        head_multipliers: Each above 0; BURN: 1, 10, 100.
        decay_epochs: Epochs (from 0) that start with lower rates; BURN: 12, 16.
        decay_factor: Inside (0, 1]; BURN: 0.2.
        momentum: Inside [0, 1); BURN: 0.9.
        weight_decay: At least 0; BURN: 5e-4.
        batch_size: Images per update, at least 1; at most what the part has. Ours: 64, so that 1 %
            of a small set still gives several updates an epoch.
        seed: Of the part, the order, the views and the head's start values.

    Raises:
        UserError: an argument is outside its range; in `run` a backbone that is no Keras model, or
            a grid of which no point stays finite.

    Example:
        >>> from burn_tf.evaluation import SemiSupervised
        >>> SemiSupervised("semi:1pct", 0.01).rate(0.1, 12)
        0.02

    Source: Kim & Choi (BURN, arXiv 2110.08851), supplement; methods.md, section 4.
    Departs from source: the batch size (not printed there); the part of the labels is drawn here
        where the paper has a published list.
    """

    def __init__(
        self,
        name: str = "semi:1pct",
        fraction: float = 0.01,
        epochs: int = 20,
        backbone_rates: Sequence[float] = (0.1, 0.01, 0.001),
        head_multipliers: Sequence[float] = (1.0, 10.0, 100.0),
        decay_epochs: Sequence[int] = (12, 16),
        decay_factor: float = 0.2,
        momentum: float = 0.9,
        weight_decay: float = 5e-4,
        batch_size: int = 64,
        seed: int = 0,
    ) -> None:
        self.name = name
        self.fraction = check_range("fraction", fraction, low=0, high=1, low_open=True)
        self.backbone_rates = _positive("backbone_rates", backbone_rates)
        self.head_multipliers = _positive("head_multipliers", head_multipliers)
        self.sgd = SteppedSGD(
            epochs, decay_epochs, decay_factor, momentum, weight_decay, batch_size, seed
        )

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            "name": self.name,
            "fraction": self.fraction,
            "backbone_rates": list(self.backbone_rates),
            "head_multipliers": list(self.head_multipliers),
            **self.sgd.get_config(),
        }

    def rate(self, base: float, epoch: int) -> float:
        """Learning rate of an epoch, counted from 0."""
        return self.sgd.decayed(base, epoch)

    def check(self, data: EvaluationData) -> None:
        """Refuse data that cannot be used, before any work.

        Raises:
            UserError: no labels, one class only, or classes that differ between the splits.
        """
        check_labels(data)

    def run(self, backbone: tf.keras.Model, data: EvaluationData) -> Result:
        """Fine-tune at every point of the grid, score each on the test split.

        Args:
            backbone: images [B, H, W, C] -> features [B, D]; its weights are read, not changed.
            data: labelled splits.

        Returns:
            The best point's accuracy; the grid is under `provenance["grid"]`.
        """
        if not isinstance(backbone, tf.keras.Model):
            raise UserError(
                f"`{self.name}` trains the network: `backbone` must be a Keras model. "
                f"Received: {getattr(backbone, '__name__', backbone)!r}"
            )
        classes = check_labels(data)
        part = self._part(data.train)
        tuning = _FineTuning(backbone, classes, data.image_size, self.sgd.seed)
        points = [
            GridPoint(*p) for p in itertools.product(self.backbone_rates, self.head_multipliers)
        ]
        grid = [self._point(tuning, part, data, point) for point in points]
        return self._result(backbone, data, part, grid)

    def _part(self, train: Source) -> Source:
        assert train.labels is not None
        return train.subset(
            np.flatnonzero(part_of_each_class(train.labels, self.fraction, self.sgd.seed))
        )

    def _point(
        self, tuning: _FineTuning, part: Source, data: EvaluationData, point: GridPoint
    ) -> dict[str, Any]:
        tuning.reset()
        finite = self._train(tuning, part, data.image_size, point)
        found: dict[str, float] = {}
        if finite:
            _, test = data.datasets()
            try:
                scores, labels = extract_features(tuning.model, test)
            except UserError:
                finite = False
            else:
                found = classification_metrics(scores, labels)
        shown = f"top-1 {found['top1']:.2f} %" if found else "diverged"
        setting = f"backbone {point.backbone_rate:g}, head x {point.head_multiplier:g}"
        print(f"{self.name}: {setting}: {shown}", file=sys.stderr, flush=True)
        return dataclasses.asdict(point) | {"finite": finite, "metrics": found}

    def _train(self, tuning: _FineTuning, part: Source, image_size: int, point: GridPoint) -> bool:
        """Whether the loss stayed finite."""
        batch = min(self.sgd.batch_size, part.num_images)
        views = views_dataset(
            part,
            "supervised",
            num_views=1,
            batch_size=batch,
            image_size=image_size,
            seed=self.sgd.seed,
            epochs=self.sgd.epochs,
            drop_remainder=False,
            labels=True,
        )
        steps = -(-part.num_images // batch)
        loss = tf.constant(0.0)
        for step, ((images,), labels) in enumerate(views):
            rate = self.rate(point.backbone_rate, step // steps)
            loss = tuning.step(
                images,
                labels,
                tf.constant(rate),
                tf.constant(rate * point.head_multiplier),
                tf.constant(self.sgd.momentum),
                tf.constant(self.sgd.weight_decay),
            )
        return bool(np.isfinite(float(loss)))

    def _result(
        self,
        backbone: tf.keras.Model,
        data: EvaluationData,
        part: Source,
        grid: list[dict[str, Any]],
    ) -> Result:
        usable = [point for point in grid if point["finite"]]
        if not usable:
            raise UserError(
                f"`{self.name}` diverged at every point of its grid: give lower `backbone_rates`. "
                f"Received: {list(self.backbone_rates)}"
            )
        best = max(usable, key=lambda point: float(point["metrics"]["top1"]))
        facts = {
            "labelled_images": part.num_images,
            "grid": grid,
            "best": {key: best[key] for key in ("backbone_rate", "head_multiplier")},
            "chosen": "the best top-1 on the test split, as the source does",
        }
        return Result(
            self.name, best["metrics"], run_provenance(backbone, data, self.get_config()) | facts
        )


def _positive(name: str, values: Sequence[float]) -> tuple[float, ...]:
    if not values:
        raise UserError(f"`{name}` must hold at least one value. Received: none")
    return tuple(check_range(name, value, low=0.0, low_open=True) for value in values)
