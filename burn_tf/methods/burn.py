"""BURN: a binary network learns from a frozen extractor through a classifier that learns too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from burn_tf import distribute
from burn_tf._checks import UserError, check_choice, check_range
from burn_tf.layers import burn_classifier
from burn_tf.losses import feature_similarity, kl_divergence
from burn_tf.losses.feature_similarity import KINDS
from burn_tf.methods.base import SSLMethod, StepTerms, feature_dim
from burn_tf.methods.given_schedule import schedule_or
from burn_tf.methods.regularizers import EmbeddingRegularizer
from burn_tf.methods.teacher import FrozenTeacher
from burn_tf.methods.update_figures import mutual_information
from burn_tf.schedules import FeatureWeight

PROJECTIONS = ("linear", "logits")
PAIRINGS = ("same", "crossed")


@tf.keras.utils.register_keras_serializable(package="burn_tf")
class BURN(SSLMethod):
    """Binary unsupervised representation learning from a frozen teacher.

        v1 = h(x), v2 = k(x); p1 = softmax(g(v1) / T), p2 = softmax(l(v2) / T)
        L = (1 - lambda(t)) KL(p1 || p2) + lambda(t) mean(1 - <hat v1, hat v2>)     eqs. 1 to 4

    The KL term moves g, l and k; the feature term moves k alone. h runs in inference mode and is
    never changed. After pretraining only k is kept.

    Args:
        backbone: k, model from [B, H, W, 3] to [B, D_s], usually binary.
        teacher: h, model from [B, H, W, 3] to [B, D_t], pretrained; it is frozen here.
        classifier: l, model from [B, D_s] to [B, C], or None for `burn_classifier` of the sizes
            below.
        teacher_classifier: g, model from [B, D_t] to [B, C], random at the start, or None likewise.
        num_outputs: C of classifiers built here; 2000 (the authors' code's).
        hidden_dim: hidden size of classifiers built here; 2000 (the authors' code's).
        temperature: T > 0; 0.2 (the authors' code's).
        feature_loss: "cosine" (the paper's), "l1" or "l2" (Table 6), or "normalized_l2" (the
            authors' code: the squared distance of unit vectors, twice the cosine's).
        feature_weight: schedule lambda(t); None is the paper's cosine from 0.9 to 0.7 over
            `total_steps`. `FeatureWeight(total_steps, 0.0, 0.0)` is row 1 of Table 5.
        total_steps: updates of this stage, for the default schedule; >= 1.
        kl_direction: "target_student" (eq. 1, default) or "student_target" (Alg. 1).
        feature_projection: "linear" (ours: a bias-free linear map of v2 to D_t, identity when D_s =
            D_t; the paper is silent) or "logits" (the authors' code: the term compares g(v1) and
            l(v2)).
        projection: the linear map restored from a saved model; None builds it.
        view_pairing: "same" (the paper: student and teacher see the same view, averaged over views)
            or "crossed" (the authors' code: two views, each student view against the teacher's
            other one, summed).
        regularizer: MSBReg's terms on the student's projected features, with the teacher's as
            targets.
        given_features: each batch brings h's features [B, D_t] of every view behind the views, and
            h does not run: see `burn_tf.training.TeacherCache`. Default False.
        seed: of the regulariser's noise.
        name: of the model.

    Logged beside the terms: `classifier_information`, the mutual information in nats between the
    images of a batch and g's outputs, H(mean p1) - mean H(p1). Nothing in eq. 1 keeps g and l from
    agreeing on one constant answer: the KL term is then 0 and teaches nothing, as is this figure.

    Views: K >= 1 tensors [B, H, W, 3] float32; exactly 2 when crossed. With `given_features` K
        tensors [B, D_t] more.

    Raises:
        UserError: for options out of range, or networks whose sizes do not fit each other.

    Example:
        >>> student = burn_tf.backbones.ReActNetTiny((16, 16, 3), include_top=False, pooling="avg")
        >>> teacher = burn_tf.backbones.ResNet18((16, 16, 3), False, pooling="avg", width=0.125)
        >>> model = BURN(student, teacher, num_outputs=64, hidden_dim=64, total_steps=10)
        >>> model.compile(tf.keras.optimizers.Adam(1e-3))

    Source: Kim & Choi, Unsupervised Representation Learning for Binary Networks by Joint Classifier
        Learning, CVPR 2022, sec. 3, eqs. 1 to 4 and Alg. 1, arXiv 2110.08851.
    Departs from source: a linear map where the feature sizes differ, as above.
    """

    def __init__(
        self,
        backbone: tf.keras.Model,
        teacher: tf.keras.Model,
        classifier: tf.keras.Model | None = None,
        teacher_classifier: tf.keras.Model | None = None,
        *,
        num_outputs: int = 2000,
        hidden_dim: int = 2000,
        temperature: float = 0.2,
        feature_loss: str = "cosine",
        feature_weight: FeatureWeight | None = None,
        total_steps: int = 1,
        kl_direction: str = "target_student",
        feature_projection: str = "linear",
        projection: tf.keras.layers.Layer | None = None,
        view_pairing: str = "same",
        regularizer: EmbeddingRegularizer | None = None,
        given_features: bool = False,
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        super().__init__(
            backbone, total_steps=total_steps, regularizer=regularizer, seed=seed, name=name
        )
        self.teacher = teacher
        self.teacher_dim = feature_dim(teacher, "teacher")
        self.given_features = given_features
        self.frozen_teacher = FrozenTeacher(teacher, given_features)
        self.temperature = check_range("temperature", temperature, low=0.0, low_open=True)
        self.feature_loss = check_choice("feature_loss", feature_loss, KINDS)
        self.kl_direction = check_choice(
            "kl_direction", kl_direction, ("target_student", "student_target")
        )
        self.feature_projection = check_choice(
            "feature_projection", feature_projection, PROJECTIONS
        )
        self.view_pairing = check_choice("view_pairing", view_pairing, PAIRINGS)
        weight = FeatureWeight(self.total_steps)
        self.feature_weight = schedule_or(weight, "feature_weight", feature_weight)
        sizes = {"num_outputs": num_outputs, "hidden_dim": hidden_dim}
        self.classifier = classifier or burn_classifier(
            self.feature_dim, name="classifier", **sizes
        )
        self.teacher_classifier = teacher_classifier or burn_classifier(
            self.teacher_dim, name="teacher_classifier", **sizes
        )
        self.projection = projection or self._build_projection()
        self._check_sizes()

    def _build_projection(self) -> tf.keras.layers.Layer | None:
        if self.feature_projection == "logits" or self.feature_dim == self.teacher_dim:
            return None
        layer = tf.keras.layers.Dense(self.teacher_dim, use_bias=False, name="projection")
        layer.build((None, self.feature_dim))
        return layer

    def _check_sizes(self) -> None:
        student = feature_dim(self.classifier, "classifier")
        teacher = feature_dim(self.teacher_classifier, "teacher_classifier")
        if student != teacher:
            raise UserError(
                "`classifier` and `teacher_classifier` must give the same number of outputs. "
                f"Received: {student} and {teacher}"
            )

    def learning_networks(self) -> dict[str, Sequence[tf.keras.layers.Layer]]:
        projection = {} if self.projection is None else {"projection": [self.projection]}
        return {
            "extractor": [self.backbone],
            **projection,
            "classifier": [self.classifier],
            "teacher_classifier": [self.teacher_classifier],
        }

    def check_views(self, count: int) -> None:
        count = self.frozen_teacher.count(count)
        super().check_views(count)
        if self.view_pairing == "crossed" and count != 2:
            raise UserError(f"view_pairing='crossed' needs `num_views`=2. Received: {count}")

    def compute_terms(self, views: Sequence[tf.Tensor], step: tf.Tensor) -> StepTerms:
        targets = self.frozen_teacher.outputs(views)
        views = self.frozen_teacher.views(views)
        features = [self.backbone(view, training=True) for view in views]
        target_logits = [self.teacher_classifier(target, training=True) for target in targets]
        logits = [self.classifier(feature, training=True) for feature in features]
        if self.feature_projection == "logits":
            compared, compared_targets = logits, target_logits
        else:
            compared = [self._project(feature) for feature in features]
            compared_targets = targets
        pairs, share = self._pairs(len(views))
        return StepTerms(
            terms={
                "kl": share * tf.add_n([self._kl(target_logits[i], logits[j]) for i, j in pairs]),
                "feature": share
                * tf.add_n([self._feature(compared_targets[i], compared[j]) for i, j in pairs]),
            },
            features=tf.cast(features[0], tf.float32),
            embeddings=tf.cast(tf.stack(compared), tf.float32),
            targets=tf.stop_gradient(tf.cast(tf.stack(compared_targets), tf.float32)),
            figures={"classifier_information": self._information(target_logits[0])},
        )

    def _information(self, target_logits: tf.Tensor) -> tf.Tensor:
        logits = distribute.all_gather(tf.stop_gradient(tf.cast(target_logits, tf.float32)))
        return mutual_information(tf.nn.softmax(logits / self.temperature))

    def _pairs(self, views: int) -> tuple[list[tuple[int, int]], float]:
        if self.view_pairing == "crossed":
            return [(0, 1), (1, 0)], 1.0
        return [(i, i) for i in range(views)], 1.0 / views

    def _project(self, feature: tf.Tensor) -> tf.Tensor:
        return feature if self.projection is None else self.projection(feature)

    def _kl(self, target_logits: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        return tf.reduce_mean(
            kl_divergence(target_logits, logits, self.temperature, self.kl_direction)
        )

    def _feature(self, target: tf.Tensor, student: tf.Tensor) -> tf.Tensor:
        return tf.reduce_mean(feature_similarity(target, student, self.feature_loss))

    def term_weights(self, step: tf.Tensor) -> dict[str, tf.Tensor | float]:
        weight = tf.cast(self.feature_weight(step), tf.float32)
        return {"kl": 1.0 - weight, "feature": weight}

    def schedule_values(self, step: tf.Tensor) -> dict[str, tf.Tensor]:
        weight = tf.cast(self.feature_weight(step), tf.float32)
        return {**super().schedule_values(step), "feature_weight": weight}

    def get_config(self) -> dict[str, Any]:
        networks = ("teacher", "classifier", "teacher_classifier", "feature_weight", "projection")
        saved = {
            name: tf.keras.saving.serialize_keras_object(getattr(self, name))
            for name in networks
            if getattr(self, name) is not None
        }
        options = ("temperature", "feature_loss", "kl_direction", "feature_projection")
        others = ("view_pairing", "given_features")
        settings = {name: getattr(self, name) for name in (*options, *others)}
        return {**super().get_config(), **saved, **settings}
