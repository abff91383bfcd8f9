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
from burn_tf.layers.fusion import channel_sum, fused
from burn_tf.methods.regularizers import EmbeddingRegularizer

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
    """

    terms: dict[str, tf.Tensor]
    features: tf.Tensor
    embeddings: tf.Tensor
    targets: tf.Tensor
    figures: dict[str, tf.Tensor] = dataclasses.field(default_factory=dict)


class SSLMethod(tf.keras.Model):
    """Base of all methods: a Keras model whose `fit` learns from views without labels.

    `compile` takes the optimizer alone, `fit` takes a dataset of tuples of K views, each
    [B, H, W, 3] float32 (`burn_tf.data.views_dataset`). `call(images)` gives the backbone's
    features.

    Under a `tf.distribute` strategy every replica computes its share of the loss of the global
    batch, and gradients are summed. Updates are counted in `update_step`, which all schedules
    follow.

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
        super().__init__(name=name)
        # Figures are averaged over replicas in the step: Keras must not add them up once more.
        self.distribute_reduction_method = "first"
        self.backbone = backbone
        self.feature_dim = feature_dim(backbone, "backbone")
        self.total_steps = check_integer("total_steps", total_steps, low=1)
        self.regularizer = regularizer or EmbeddingRegularizer()
        self.seed = check_integer("seed", seed, low=0)
        self.update_step = tf.Variable(0, trainable=False, dtype=tf.int64, name="update_step")

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

    def check_views(self, count: int) -> None:
        """Raise if the method cannot learn from `count` views of each image."""
        check_integer("num_views", count, low=1)

    def check_batch(self, batch_size: int) -> None:
        """Raise if a term cannot be computed from `batch_size` images, the global batch."""
        check_integer("batch_size", batch_size, low=self.minimum_batch())

    def minimum_batch(self) -> int:
        """The smallest global batch that every term can be computed from."""
        return 2 if self.regularizer.looks_across_the_batch else 1

    # What the base does -------------------------------------------------------------------------

    def call(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Features [B, D] of images [B, H, W, 3]."""
        return self.backbone(images, training=training)

    @property
    def trainable_weights(self) -> list[tf.Variable]:
        """Weights that gradients move: those of the learning networks alone."""
        layers = [layer for group in self.learning_networks().values() for layer in group]
        return _unique(weight for layer in layers for weight in layer.trainable_weights)

    @property
    def non_trainable_weights(self) -> list[tf.Variable]:
        """All other weights: frozen and averaged networks, statistics, counters."""
        learned = {id(weight) for weight in self.trainable_weights}
        every = _unique([*super().trainable_weights, *super().non_trainable_weights])
        return [weight for weight in every if id(weight) not in learned]

    def compile(self, optimizer: Any = "adam", **kwargs: Any) -> None:
        """As in Keras, without `loss`: the method holds its own losses.

        Raises:
            UserError: under the policy mixed_float16, or for a legacy optimizer.
        """
        if tf.keras.mixed_precision.global_policy().name == "mixed_float16":
            raise UserError(
                "mixed_float16 overflows in these losses: set the policy mixed_bfloat16 or "
                "float32. Received: mixed_float16"
            )
        super().compile(optimizer=optimizer, **kwargs)
        if not isinstance(self.optimizer, tf.keras.optimizers.Optimizer):
            raise UserError(
                "`optimizer` must be a tf.keras.optimizers.Optimizer, not a legacy one. "
                f"Received: {type(self.optimizer).__name__}"
            )
        # With its slots made here the first step is traced once, not twice.
        self.optimizer.build(self.trainable_variables)

    def compile_from_config(self, config: Mapping[str, Any]) -> None:
        """Restores the optimizer of a saved model; Keras leaves it out where `compile` is ours."""
        self.compile(**tf.keras.saving.deserialize_keras_object(config))

    def fit(self, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        """As in Keras; `x` is a dataset of tuples of views, whose number is checked first."""
        spec = getattr(x, "element_spec", None)
        if spec is not None:
            tensors = tf.nest.flatten(spec)
            self.check_views(len(tensors))
            if tensors[0].shape.rank and tensors[0].shape[0] is not None:
                self.check_batch(tensors[0].shape[0])
        return super().fit(x, *args, **kwargs)

    def total_loss(
        self, output: StepTerms, step: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """The weighted sum of all terms, and the terms (regulariser included) by name."""
        terms = dict(output.terms)
        weights: dict[str, tf.Tensor | float] = dict(self.term_weights(step))
        for name, (weight, value) in self.regularizer.terms(output, step, self.seed).items():
            terms[name], weights[name] = value, weight
        loss = tf.add_n(
            [tf.cast(weights.get(name, 1.0), tf.float32) * terms[name] for name in terms]
        )
        return loss, terms

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        """One update from one batch of views; returns every figure that is logged."""
        views = tuple(tf.nest.flatten(data))
        self.check_views(len(views))
        step = tf.identity(self.update_step)
        with tf.GradientTape() as tape:
            output = self.compute_terms(views, step)
            loss, terms = self.total_loss(output, step)
            share = loss / distribute.num_replicas()
        variables = self.trainable_variables
        gradients = [
            tf.zeros_like(variable) if gradient is None else tf.convert_to_tensor(gradient)
            for gradient, variable in zip(tape.gradient(share, variables), variables, strict=True)
        ]
        gradients = distribute.all_reduce_sum(gradients)
        flipped = self._apply(gradients, variables)
        self.after_update(step)
        self.update_step.assign_add(1)
        logs = {"loss": loss, **terms, **output.figures}
        logs["feature_std"] = feature_deviation(distribute.all_gather(output.features))
        logs.update(self.schedule_values(step))
        names = list(logs)
        means = distribute.all_reduce_mean(
            tf.stack([tf.cast(logs[name], tf.float32) for name in names])
        )
        logs = dict(zip(names, tf.unstack(means, num=len(names)), strict=True))
        logs.update(self._gradient_norms(gradients, variables))
        if flipped is not None:
            logs["flipped_signs"] = flipped
        return logs

    def schedule_values(self, step: tf.Tensor) -> dict[str, tf.Tensor]:
        """Scheduled quantities worth a curve: the learning rate here, more in the methods."""
        return {
            "learning_rate": tf.cast(tf.convert_to_tensor(self.optimizer.learning_rate), tf.float32)
        }

    def _apply(
        self, gradients: Sequence[tf.Tensor], variables: Sequence[tf.Variable]
    ) -> tf.Tensor | None:
        """Update the variables; the share of binary weights that changed sign, if there are any."""
        kernels = self._binary_kernels()
        before = [tf.greater_equal(kernel, 0) for kernel in kernels]
        with tf.control_dependencies(before):
            self.optimizer.apply_gradients(
                zip(gradients, variables, strict=True), skip_gradients_aggregation=True
            )
        if not kernels:
            return None
        changed = [
            tf.reduce_sum(channel_sum(_sign_changes(tf.convert_to_tensor(kernel), signs)))
            for signs, kernel in zip(before, kernels, strict=True)
        ]
        total = sum(kernel.shape.num_elements() for kernel in kernels)
        return tf.add_n(changed) / float(total)

    def _binary_kernels(self) -> list[tf.Variable]:
        layers = self.backbone.submodules
        return [
            layer.kernel for layer in layers if isinstance(layer, BinaryConv2D) and layer.trainable
        ]

    def _gradient_norms(
        self, gradients: Sequence[tf.Tensor], variables: Sequence[tf.Variable]
    ) -> dict[str, tf.Tensor]:
        squares = [2.0 * tf.nn.l2_loss(tf.cast(gradient, tf.float32)) for gradient in gradients]
        by_id = {id(variable): square for variable, square in zip(variables, squares, strict=True)}
        norms = {"grad_norm": tf.sqrt(tf.add_n(squares))}
        for group, layers in self.learning_networks().items():
            members = _unique(weight for layer in layers for weight in layer.trainable_weights)
            if members:
                norms[f"grad_norm_{group}"] = tf.sqrt(tf.add_n([by_id[id(m)] for m in members]))
        stacked = tf.stack(squares)
        ranked = tf.where(
            tf.math.is_finite(stacked), stacked, tf.fill(tf.shape(stacked), tf.float32.max)
        )
        norms["worst_variable"] = tf.cast(tf.argmax(ranked), tf.float32)
        return norms

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


@fused
def _sign_changes(kernel: tf.Tensor, before: tf.Tensor) -> tf.Tensor:
    """1 where the kernel's sign (0 counts as positive) differs from before, else 0."""
    return tf.cast(tf.not_equal(before, tf.greater_equal(kernel, 0)), tf.float32)


def feature_dim(network: tf.keras.Model, role: str) -> int:
    """The length D of the vectors [B, D] that a network gives, or an error naming its role."""
    shape = network.output_shape
    if not isinstance(shape, tuple) or len(shape) != 2 or shape[-1] is None:
        raise UserError(
            f"`{role}` must give one vector per image, shape (None, D): build it with "
            f"include_top=False and pooling='avg'. Received: output shape {shape}"
        )
    return int(shape[-1])


def feature_deviation(features: tf.Tensor) -> tf.Tensor:
    """How spread out features are: 1 for an even spread over the sphere, 0 when collapsed.

    sqrt(D) times the mean over dimensions of the standard deviation over the batch of the
    l2-normalised features [B, D] (the measure of SimSiam, Chen & He 2021, sec. 4.1).
    """
    features = tf.cast(features, tf.float32)
    unit = tf.math.l2_normalize(features, axis=-1)
    spread = tf.reduce_mean(tf.math.reduce_std(unit, axis=0))
    return spread * tf.sqrt(tf.cast(tf.shape(features)[-1], tf.float32))


def _revive(value: Any, custom_objects: Any) -> Any:
    if isinstance(value, Mapping) and "class_name" in value:
        return tf.keras.saving.deserialize_keras_object(value, custom_objects=custom_objects)
    return value


def _unique(weights: Any) -> list[tf.Variable]:
    return list({id(weight): weight for weight in weights}.values())
