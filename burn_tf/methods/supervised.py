"""Pretraining with labels, or with the answers of a float classifier, for comparison."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from burn_tf._checks import UserError, check_choice, check_integer
from burn_tf.losses import kl_divergence
from burn_tf.methods.base import SSLMethod, StepTerms, feature_dim
from burn_tf.methods.regularizers import EmbeddingRegularizer
from burn_tf.methods.teacher import FrozenTeacher


@tf.keras.utils.register_keras_serializable(package="burn_tf")
class Supervised(SSLMethod):
    """The backbone with a linear classifier, trained as papers' "Supervised Pre." rows are.

        labels:   L = mean_b -log softmax(l(k(x)))_y
        teacher:  L = mean_b KL(softmax(t(x)) || softmax(l(k(x))))

    Args:
        backbone: k, model from [B, H, W, 3] to [B, D].
        num_classes: C >= 2, of the classifier built here.
        teacher: t, float classifier from [B, H, W, 3] to logits [B, C]; frozen here. None, the
            default: labels.
        classifier: l, model from [B, D] to logits [B, C], or None for one Dense layer.
        given_features: each batch brings t's logits [B, C] of every view behind the views, and t
            does not run: see `burn_tf.training.TeacherCache`. Default False.
        total_steps, regularizer, seed, name: as in `SSLMethod`; the regulariser acts on the
            features, of each view against the mean of all views'.

    Views: K >= 1 tensors [B, H, W, 3] float32 and, without a teacher, last the labels [B], int64:
    `burn_tf.data.views_dataset(..., labels=True)`. With `given_features` K tensors [B, C] more.

    Raises:
        UserError: for fewer than two classes, or networks whose sizes do not fit each other.

    Example:
        >>> backbone = burn_tf.backbones.ReActNetTiny((16, 16, 3), include_top=False, pooling="avg")
        >>> model = Supervised(backbone, num_classes=10)
        >>> model.compile(tf.keras.optimizers.Adam(1e-3))

    Source: Liu et al., ReActNet, ECCV 2020, sec. 4.3, arXiv 2003.03488.
    Departs from source: none.
    """

    def __init__(
        self,
        backbone: tf.keras.Model,
        num_classes: int | None = None,
        teacher: tf.keras.Model | None = None,
        classifier: tf.keras.Model | None = None,
        *,
        given_features: bool = False,
        total_steps: int = 1,
        regularizer: EmbeddingRegularizer | None = None,
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        super().__init__(
            backbone, total_steps=total_steps, regularizer=regularizer, seed=seed, name=name
        )
        self.teacher = teacher
        self.given_features = given_features
        self.frozen_teacher: FrozenTeacher | None = None
        if teacher is not None:
            num_classes = feature_dim(teacher, "teacher")
            self.frozen_teacher = FrozenTeacher(teacher, given_features)
        else:
            check_choice("given_features", given_features, (False,))
        classes: Any = num_classes  # None is refused here as any other wrong number is.
        self.classifier = classifier or _linear(
            self.feature_dim, check_integer("num_classes", classes, low=2)
        )
        outputs = feature_dim(self.classifier, "classifier")
        if teacher is not None and outputs != num_classes:
            raise UserError(
                "`teacher` and `classifier` must give the same number of outputs. "
                f"Received: {num_classes} and {outputs}"
            )

    @property
    def learns_from_labels(self) -> bool:
        """Whether batches end in labels."""
        return self.teacher is None

    def learning_networks(self) -> dict[str, Sequence[tf.keras.layers.Layer]]:
        return {"extractor": [self.backbone], "classifier": [self.classifier]}

    def check_tensors(self, tensors: Sequence[tf.Tensor | tf.TensorSpec]) -> None:
        super().check_tensors(tensors)
        if not self.learns_from_labels:
            return
        labels = tensors[-1]
        if not labels.dtype.is_integer or labels.shape.rank not in (None, 1):
            raise UserError(
                "Supervised learns from the class numbers [B] behind the views, whole numbers: use "
                "views_dataset(..., labels=True) on a source with labels. "
                f"Received: {labels.dtype.name} of shape {labels.shape}"
            )

    def fit(self, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        """As in `SSLMethod`.

        Raises:
            UserError: as there, for labels that are no class numbers, and on CPUs for those out of
                range (TensorFlow's loss is NaN for them on a GPU, at which `TrainingGuard` stops).
        """
        try:
            return super().fit(x, *args, **kwargs)
        except tf.errors.InvalidArgumentError as error:
            if not self.learns_from_labels or "outside the valid range" not in str(error):
                raise
            most = feature_dim(self.classifier, "classifier") - 1
            raise UserError(
                f"labels must be from 0 to {most}, one of the `num_classes`: a source marks images "
                f"without a label by -1. Received: {_label_in(str(error))}"
            ) from None

    def check_views(self, count: int) -> None:
        if self.learns_from_labels and count < 2:
            raise UserError(
                "Supervised learns from views and labels: use views_dataset(..., labels=True) on a "
                f"source with labels. Received: {count} tensor"
            )
        super().check_views(
            count if self.frozen_teacher is None else self.frozen_teacher.count(count)
        )

    def compute_terms(self, views: Sequence[tf.Tensor], step: tf.Tensor) -> StepTerms:
        teacher = self.frozen_teacher
        images = views[:-1] if teacher is None else teacher.views(views)
        features = [tf.cast(self.backbone(image, training=True), tf.float32) for image in images]
        logits = [
            tf.cast(self.classifier(feature, training=True), tf.float32) for feature in features
        ]
        name = "cross_entropy" if self.learns_from_labels else "distribution"
        losses = [tf.reduce_mean(self._loss(views, view, one)) for view, one in enumerate(logits)]
        embeddings = tf.stack(features)
        return StepTerms(
            terms={name: tf.add_n(losses) / len(losses)},
            features=features[0],
            embeddings=embeddings,
            targets=tf.stop_gradient(embeddings),
            figures=self._figures(logits[0], views[-1]),
        )

    def _loss(self, batch: Sequence[tf.Tensor], view: int, logits: tf.Tensor) -> tf.Tensor:
        if self.frozen_teacher is not None:
            target = self.frozen_teacher.output(batch, view)
            return kl_divergence(target, logits, temperature=1.0)
        return tf.nn.sparse_softmax_cross_entropy_with_logits(batch[-1], logits)

    def _figures(self, logits: tf.Tensor, labels: tf.Tensor) -> dict[str, tf.Tensor]:
        if not self.learns_from_labels:
            return {}
        right = tf.equal(tf.argmax(logits, axis=-1), tf.cast(labels, tf.int64))
        return {"accuracy": tf.reduce_mean(tf.cast(right, tf.float32))}

    def get_config(self) -> dict[str, Any]:
        saved = {"classifier": tf.keras.saving.serialize_keras_object(self.classifier)}
        if self.teacher is not None:
            saved["teacher"] = tf.keras.saving.serialize_keras_object(self.teacher)
        classes = feature_dim(self.classifier, "classifier")
        options = {"num_classes": classes, "given_features": self.given_features}
        return {**super().get_config(), **saved, **options}


def _label_in(message: str) -> str:
    found = re.search(r"label value of (-?\d+)", message)
    return found.group(1) if found else "a label outside of it"


def _linear(features: int, classes: int) -> tf.keras.Model:
    inputs = tf.keras.Input([features], name="features")
    outputs = tf.keras.layers.Dense(classes, dtype="float32", name="logits")(inputs)
    return tf.keras.Model(inputs, outputs, name="classifier")
