"""The one `train_step` that every self-supervised method shares.

A method says what its networks are and computes its loss terms; the base weighs and sums them,
takes the gradients of the networks that learn, updates them, and reports what happened in the step.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import tensorflow as tf

from burn_tf import distribute
from burn_tf._checks import UserError, check_integer
from burn_tf.layers import BinaryConv2D
from burn_tf.methods import unused_arguments
from burn_tf.methods.batch_sizes import BatchSizes
from burn_tf.methods.loss_scale import LossScale
from burn_tf.methods.micro_batches import (
    BatchShare,
    accumulated,
    batch_means,
    check_accumulation,
)
from burn_tf.methods.regularizers import EmbeddingRegularizer, checked_regularizer
from burn_tf.methods.update_figures import (
    feature_deviation,
    gradient_norms,
    share_of_changed_signs,
    unique_variables,
)
from burn_tf.optimizers import SteadySGD

Method = TypeVar("Method", bound="SSLMethod")


@dataclasses.dataclass(frozen=True)
class StepTerms:
    """What a method computes for one batch of views on one replica.

    Attributes:
        terms: scalars by name; per-image losses averaged over this replica's images, losses across
            the batch already over the global batch.
        features: [B, D] float32, the learning backbone's features, watched for collapse.
        embeddings: [K, B, d] float32, un-normalised outputs that regularisers act on.
        targets: [K, B, d] float32, what `embeddings` are drawn to, without gradient.
        figures: scalars that are logged beside the terms and have no part in the loss.
        remembered: tensors [B, d] float32 without gradient, given to `remember` after the update.
    """

    terms: dict[str, tf.Tensor]
    features: tf.Tensor
    embeddings: tf.Tensor
    targets: tf.Tensor
    figures: dict[str, tf.Tensor] = dataclasses.field(default_factory=dict)
    remembered: tuple[tf.Tensor, ...] = ()


class SSLMethod(tf.keras.Model):
    """Base of all methods: a Keras model whose `fit` learns from views without labels.

    `compile` takes the optimizer alone, `fit` takes a dataset of tuples of K views, each
    [B, H, W, 3] float32 (`burn_tf.data.views_dataset`). `call(images)` gives the backbone's
    features. There is no validation loss: features are scored by `burn_tf.evaluation`. Figures are
    those of an update, so that Keras' `History` has those of an epoch's last one.

    Under a `tf.distribute` strategy every replica computes its share of the loss of the global
    batch, and gradients are summed. Updates are counted in `update_step`, which all schedules
    follow.

    With `compile(optimizer, accumulate=k)` a batch is worked on in k micro-batches, one after the
    other, whose gradients are averaged into one update: optimizer, schedules, moving averages of
    weights and queues know the whole batch alone. Micro-batches hold the same images on one replica
    as on many. Losses that compare images with each other (`looks_across_the_batch`), and batch
    norms, see one micro-batch at a time; the latter's moving statistics move with each. For all
    other losses k micro-batches are equal to one batch.

    Networks in float16 learn with a scaled loss (`burn_tf.methods.loss_scale.LossScale`): an update
    whose gradients overflow is left out, counted in `update_step` (its images have been seen) and
    logged as `skipped_updates`.

    Args:
        backbone: model from images [B, H, W, 3] to features [B, D] that learns and is kept.
        total_steps: updates of the whole training, which schedules run over; >= 1.
        regularizer: MSBReg's terms and uniformity added to this method's own, or None.
        seed: of all noise drawn inside the step.
        name: of the model.

    Raises:
        UserError: when the backbone does not give one feature vector per image.
    """

    def __init__(
        self,
        backbone: tf.keras.Model,
        *,
        total_steps: int = 1,
        regularizer: EmbeddingRegularizer | None = None,
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        # It does no arithmetic of its own: its networks have policies. Under float16's, Keras would
        # wrap the optimizer into a loss scale that averages of weights and queues know nothing of.
        super().__init__(name=name, dtype="float32")
        # Figures are averaged over replicas in the step: Keras must not add them up once more.
        self.distribute_reduction_method = "first"
        self.backbone = backbone
        self.feature_dim = feature_dim(backbone, "backbone")
        self.total_steps = check_integer("total_steps", total_steps, low=1)
        self.regularizer = checked_regularizer(regularizer)
        self.seed = check_integer("seed", seed, low=0, high=2**31 - 1)
        self.accumulate = 1
        self.loss_scale: LossScale | None = None
        self.update_step = tf.Variable(0, trainable=False, dtype=tf.int64, name="update_step")
        self._batch_sizes = BatchSizes(self.check_batch)
        # Networks come with their weights: without this Keras warns of saving a model without any.
        self.built = True

    # What a method supplies ---------------------------------------------------------------------

    def compute_terms(self, views: Sequence[tf.Tensor], step: tf.Tensor) -> StepTerms:
        """Loss terms of one batch: K views [B, H, W, 3] float32 at update `step` (int64 scalar)."""
        raise NotImplementedError(f"{type(self).__name__} must define compute_terms")

    def term_weights(self, step: tf.Tensor) -> dict[str, tf.Tensor | float]:
        """The weight of each of the method's own terms at update `step`; 1 where not named."""
        return {}

    def learning_networks(self) -> dict[str, Sequence[tf.keras.layers.Layer]]:
        """Networks that receive gradients, by group; gradient norms are logged per group."""
        return {"extractor": [self.backbone]}

    def after_update(self, step: tf.Tensor) -> None:
        """Called after each update, for example to move an averaged network."""

    def remember(self, rows: Sequence[tf.Tensor]) -> None:
        """Called after each update with `StepTerms.remembered` of all images of this replica."""

    def check_views(self, count: int) -> None:
        """Raise if the method cannot learn from `count` views of each image."""
        check_integer("num_views", count, low=1)

    def check_tensors(self, tensors: Sequence[tf.Tensor | tf.TensorSpec]) -> None:
        """Raise if batches of such tensors, or what they are described by, cannot be used."""
        self.check_views(len(tensors))

    def check_batch(self, batch_size: int) -> None:
        """Raise if a term cannot be computed from `batch_size` images, the global batch."""
        check_integer("batch_size", batch_size, low=self.minimum_batch())

    def check_micro_batch(self, images: int) -> None:
        """Raise if a term cannot be computed from micro-batches of so many images."""

    def minimum_batch(self) -> int:
        """The smallest global batch that every term, and batch norms in heads, can work with."""
        return 2 if self.looks_across_the_batch or self._heads_have_batch_norms() else 1

    def _heads_have_batch_norms(self) -> bool:
        """Of one image they would give the same vector, whatever it shows."""
        heads = [
            head
            for group, networks in self.learning_networks().items()
            if group != "extractor"
            for head in networks
        ]
        norm = tf.keras.layers.BatchNormalization
        return any(isinstance(part, norm) for head in heads for part in head.submodules)

    @property
    def looks_across_the_batch(self) -> bool:
        """Whether a term compares images of a batch with each other."""
        return self.regularizer.looks_across_the_batch

    # What the base does -------------------------------------------------------------------------

    def call(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Features [B, D] of images [B, H, W, 3]."""
        return self.backbone(images, training=training)

    @property
    def trainable_weights(self) -> list[tf.Variable]:
        """Weights that gradients move: those of the learning networks alone."""
        layers = [layer for group in self.learning_networks().values() for layer in group]
        return unique_variables(weight for layer in layers for weight in layer.trainable_weights)

    @property
    def non_trainable_weights(self) -> list[tf.Variable]:
        """All other weights: frozen and averaged networks, statistics, counters."""
        learned = {id(weight) for weight in self.trainable_weights}
        every = unique_variables([*super().trainable_weights, *super().non_trainable_weights])
        return [weight for weight in every if id(weight) not in learned]

    def compile(self, optimizer: Any = "adam", *, accumulate: int = 1, **kwargs: Any) -> None:
        """As in Keras, without `loss`: the method holds its own losses.

        Args:
            optimizer: or its name.
            accumulate: k, micro-batches of each batch; >= 1, a divisor of the batch.
            **kwargs: as in Keras.

        Raises:
            UserError: for an `accumulate` below 1, a legacy or wrapped optimizer, a loss or
                metrics; for `SteadySGD` where there is no predictor to keep steady.
        """
        unused_arguments.refuse(unused_arguments.OF_COMPILE, kwargs)
        self.accumulate = check_integer("accumulate", accumulate, low=1)
        super().compile(optimizer=optimizer, **kwargs)
        if not isinstance(self.optimizer, tf.keras.optimizers.Optimizer):
            raise UserError(
                "`optimizer` must be a tf.keras.optimizers.Optimizer, not a legacy one. "
                f"Received: {type(self.optimizer).__name__}"
            )
        if isinstance(self.optimizer, tf.keras.mixed_precision.LossScaleOptimizer):
            raise UserError(
                "`optimizer` must not be wrapped: in float16 a method scales its loss itself. "
                "Received: LossScaleOptimizer"
            )
        self._build_loss_scale()
        self._keep_predictor_steady()
        # With its slots made here the first step is traced once, not twice.
        self.optimizer.build(self.trainable_variables)

    def _keep_predictor_steady(self) -> None:
        if isinstance(self.optimizer, SteadySGD):
            predictor = getattr(self, "predictor", None)
            if predictor is None:
                raise UserError(
                    "`optimizer` must be tf.keras.optimizers.SGD for a method without predictor. "
                    "Received: SteadySGD"
                )
            self.optimizer.keep_steady(predictor.trainable_variables)

    def _build_loss_scale(self) -> None:
        half = any(layer.compute_dtype == "float16" for layer in self._flatten_layers())
        if self.loss_scale is None and half:
            with self.distribute_strategy.scope():
                self.loss_scale = LossScale()
            # Variables of the model's own are saved with it.
            self.loss_scale_state = [self.loss_scale.value, self.loss_scale.good_steps]

    def get_compile_config(self) -> dict[str, Any] | None:
        """What `compile` was given."""
        config = super().get_compile_config()
        return None if config is None else {**config, "accumulate": self.accumulate}

    def compile_from_config(self, config: Mapping[str, Any]) -> None:
        """Restores the optimizer of a saved model; Keras leaves it out where `compile` is ours."""
        self.compile(**tf.keras.saving.deserialize_keras_object(config))

    def fit(self, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        """As in Keras; `x` is a dataset of tuples of views, whose number is checked first.

        Raises:
            UserError: for views or a batch that the method cannot learn from, validation data, or
                weights of images or classes.
        """
        unused_arguments.refuse_of_fit(x, args, kwargs)
        # Of a dataset that a strategy has shared out, one replica's part alone would be seen here.
        if isinstance(x, tf.data.Dataset):
            tensors = tf.nest.flatten(x.element_spec)
            self.check_tensors(tensors)
            size = tensors[0].shape[0] if tensors[0].shape.rank else None
            if size is not None:
                self.check_batch(size)
            check_accumulation(self, size, self.accumulate)
        with self._batch_sizes.in_plain_words():
            return super().fit(x, *args, **kwargs)

    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        """Refused: Keras would give a loss of 0. See `burn_tf.evaluation`."""
        raise unused_arguments.no_evaluation("evaluate")

    def test_on_batch(self, *args: Any, **kwargs: Any) -> Any:
        """Refused as `evaluate` is."""
        raise unused_arguments.no_evaluation("test_on_batch")

    def total_loss(
        self, output: StepTerms, step: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """The weighted sum of all terms, and the terms (regulariser included) by name.

        A term that the method has too (MSBReg's `centroid`) is named `centroid_regularizer`.
        """
        terms = dict(output.terms)
        weights: dict[str, tf.Tensor | float] = dict(self.term_weights(step))
        for name, (weight, value) in self.regularizer.terms(output, step, self.seed).items():
            added = f"{name}_regularizer" if name in output.terms else name
            terms[added], weights[added] = value, weight
        loss = tf.add_n(
            [tf.cast(weights.get(name, 1.0), tf.float32) * terms[name] for name in terms]
        )
        return loss, terms

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        """One update from one batch of views; returns every figure that is logged."""
        views = tf.nest.flatten(data)
        self.check_tensors(views)
        views = self._batch_sizes.checked(views)
        step = tf.identity(self.update_step)
        variables = self.trainable_variables
        share = accumulated(self._share, views, variables, self.accumulate)
        features, *remembered = share.rows
        gradients = distribute.all_reduce_sum(share.gradients)
        gradients, flipped, update_figures = self._update(gradients, remembered)
        with tf.control_dependencies(views[:1]):
            self.update_step.assign_add(1)
        logs = {
            **share.figures,
            "feature_std": feature_deviation(distribute.all_gather(features)),
            **self.schedule_values(step),
            **update_figures,
        }
        norms = gradient_norms(gradients, variables, self.learning_networks())
        logs = {**batch_means(logs), **norms}
        return {**logs, "flipped_signs": flipped} if self._binary_kernels() else logs

    def _share(self, views: Sequence[tf.Tensor]) -> BatchShare:
        """Gradients and figures of this replica's part of the batch."""
        step = tf.identity(self.update_step)
        with tf.GradientTape() as tape:
            output = self.compute_terms(views, step)
            loss, terms = self.total_loss(output, step)
            share = loss / distribute.num_replicas()
            if self.loss_scale is not None:
                share = self.loss_scale.scaled(share)
        variables = self.trainable_variables
        gradients = [
            tf.zeros_like(variable) if gradient is None else tf.convert_to_tensor(gradient)
            for gradient, variable in zip(tape.gradient(share, variables), variables, strict=True)
        ]
        figures = {"loss": loss, **terms, **output.figures}
        return BatchShare(gradients, figures, [output.features, *output.remembered])

    def _update(
        self, gradients: Sequence[tf.Tensor], remembered: Sequence[tf.Tensor]
    ) -> tuple[Sequence[tf.Tensor], tf.Tensor, dict[str, tf.Tensor]]:
        """Move everything once; gradients as they were used, share of changed signs, figures."""
        if self.loss_scale is None:
            return gradients, self._move(gradients, remembered), {}
        used = tf.identity(self.loss_scale.value)
        gradients = self.loss_scale.unscaled(gradients)
        finite, flipped = self.loss_scale.update_if_finite(self._move, gradients, remembered)
        gradients = [tf.where(finite, one, tf.zeros_like(one)) for one in gradients]
        skipped = 1.0 - tf.cast(finite, tf.float32)
        return gradients, flipped, {"loss_scale": used, "skipped_updates": skipped}

    def _move(self, gradients: Sequence[tf.Tensor], remembered: Sequence[tf.Tensor]) -> tf.Tensor:
        """Move weights, queues and averages by one update; the share of binary signs it changed."""
        step = tf.identity(self.update_step)
        flipped = self._apply(gradients, self.trainable_variables)
        self.remember(remembered)
        self.after_update(step)
        return flipped

    def carried_state(self) -> list[tf.Variable]:
        """What the next stage goes on from beside networks, such as a queue's keys."""
        return []

    def schedule_values(self, step: tf.Tensor) -> dict[str, tf.Tensor]:
        """Scheduled quantities worth a curve: the learning rate here, more in the methods."""
        return {
            "learning_rate": tf.cast(tf.convert_to_tensor(self.optimizer.learning_rate), tf.float32)
        }

    def _apply(self, gradients: Sequence[tf.Tensor], variables: Sequence[tf.Variable]) -> tf.Tensor:
        """Update the variables; the share of binary weights that changed sign."""
        kernels = self._binary_kernels()
        before = [tf.greater_equal(kernel, 0) for kernel in kernels]
        with tf.control_dependencies(before):
            self.optimizer.apply_gradients(
                zip(gradients, variables, strict=True), skip_gradients_aggregation=True
            )
        return share_of_changed_signs(before, kernels)

    def _binary_kernels(self) -> list[tf.Variable]:
        layers = self.backbone.submodules
        return [
            layer.kernel for layer in layers if isinstance(layer, BinaryConv2D) and layer.trainable
        ]

    def get_config(self) -> dict[str, Any]:
        return {
            "backbone": tf.keras.saving.serialize_keras_object(self.backbone),
            "total_steps": self.total_steps,
            "regularizer": self.regularizer.get_config(),
            "seed": self.seed,
            "name": self.name,
        }

    @classmethod
    def from_config(
        cls: type[Method], config: Mapping[str, Any], custom_objects: Any = None
    ) -> Method:
        values = {name: _revive(value, custom_objects) for name, value in config.items()}
        if isinstance(values.get("regularizer"), Mapping):
            values["regularizer"] = EmbeddingRegularizer(**values["regularizer"])
        return cls(**values)


def feature_dim(network: tf.keras.Model, role: str) -> int:
    """The length D of the vectors [B, D] that a network gives, or an error naming its role."""
    # A model that is neither functional nor sequential has none.
    shape = getattr(network, "output_shape", None)
    if not isinstance(shape, tuple) or len(shape) != 2 or shape[-1] is None:
        raise UserError(
            f"`{role}` must give one vector per image, shape (None, D): build it with "
            f"include_top=False and pooling='avg', and wrap a model of your own class into "
            f"tf.keras.Model(inputs, outputs). Received: output shape {shape}"
        )
    return int(shape[-1])


def check_fits(
    network: tf.keras.Model, role: str, *, inputs: int, outputs: int | None = None
) -> int:
    """The length of a head's vectors; raises unless it takes, and gives, vectors as long as said.

    Args:
        network: the head.
        role: its name for people.
        inputs: length of the vectors that it is shown.
        outputs: length that its own must have; None: any.
    """
    size = feature_dim(network, role)
    shape = getattr(network, "input_shape", None)
    if isinstance(shape, tuple) and shape[-1] not in (None, inputs):
        raise UserError(
            f"`{role}` must take vectors of {inputs} elements. Received: input shape {shape}"
        )
    if outputs is not None and size != outputs:
        raise UserError(f"`{role}` must give vectors of {outputs} elements. Received: {size}")
    return size


def _revive(value: Any, custom_objects: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    if "class_name" in value:
        return tf.keras.saving.deserialize_keras_object(value, custom_objects=custom_objects)
    # Options of a part, such as S2BNN's `contrast`, may hold schedules.
    return {name: _revive(one, custom_objects) for name, one in value.items()}
