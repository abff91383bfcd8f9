"""S2-BNN: a binary network learns the embedding of a frozen teacher, contrast, or both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from burn_tf._checks import UserError, check_choice, check_integer, check_range
from burn_tf.losses import soft_cross_entropy
from burn_tf.losses._vectors import directions
from burn_tf.methods.base import SSLMethod, StepTerms, check_fits, feature_dim
from burn_tf.methods.moco_v2 import MoCoV2, contrast_head
from burn_tf.methods.regularizers import EmbeddingRegularizer
from burn_tf.methods.teacher import FrozenTeacher

MODES = ("distillation", "contrastive", "both")
_CONTRAST_OPTIONS = ("queue_size", "ema_decay", "symmetric", "moving_statistics")


@tf.keras.utils.register_keras_serializable(package="burn_tf")
class S2BNN(SSLMethod):
    """Distillation from a frozen teacher with its pretrained head, and momentum contrast.

        t = hat h_t(f_t(v_1)), s = hat g(f(v_1))                                 [B, d]
        L_D = mean_b -sum_i softmax(t / T)_i log softmax(s / T)_i
        L = L_D (distillation) | L_MoCo (contrastive) | L_D + L_MoCo (both)

    Args:
        backbone: f, model from [B, H, W, 3] to [B, D], usually binary.
        teacher: f_t, model from [B, H, W, 3] to [B, D_t], pretrained; frozen here. None for the
            mode "contrastive".
        teacher_head: h_t, the projector [B, D_t] -> [B, d] that the teacher was pretrained with;
            frozen here.
        projector: g, model from [B, D] to [B, d], or None for a Dense - ReLU - Dense.
        mode: "distillation" (the paper's best), "contrastive" or "both".
        hidden_dim: hidden size of the projector built here; 2048 (MoCo v2's for ResNet-50; S2-BNN
            takes the backbone's width, 1024 for ReActNet-A).
        embedding_dim: d of the projector built here without a teacher; 128 (the paper's).
        temperature: T > 0 of both terms; 0.2 (the paper's).
        contrast: options of `MoCoV2` for the modes that contrast: "queue_size", "ema_decay",
            "symmetric", "moving_statistics", such as {"queue_size": 4096}.
        given_features: each batch brings f_t's features [B, D_t] of every view behind the views,
            and f_t does not run: see `burn_tf.training.TeacherCache`. Default False.
        target_backbone, target_projector: of `MoCoV2`, restored from a saved model.
        total_steps, regularizer, seed, name: as in `SSLMethod`; the regulariser acts on the
            projector's outputs, with the teacher's as targets; with contrast on the queries, with
            the keys as targets.

    Views: K >= 1 tensors [B, H, W, 3] float32, over which L_D is averaged; exactly 2 with contrast,
        L_D then on the first. With `given_features` K tensors [B, D_t] more.

    Raises:
        UserError: for options out of range, a teacher without head, or heads of different sizes.

    Example:
        >>> student = burn_tf.backbones.ReActNetTiny((16, 16, 3), include_top=False, pooling="avg")
        >>> teacher = burn_tf.backbones.ResNet18((16, 16, 3), False, pooling="avg", width=0.125)
        >>> head = burn_tf.layers.mlp_head(teacher.output_shape[-1], [32], 16)
        >>> model = S2BNN(student, teacher, head, hidden_dim=32, total_steps=10)
        >>> model.compile(tf.keras.optimizers.Adam(3e-4))

    Source: Shen et al., S2-BNN: Bridging the Gap Between Self-Supervised Real and 1-bit Neural
        Networks via Guided Distribution Calibration, CVPR 2021, sec. 3, arXiv 2102.08946.
    Departs from source: contrast is as in `MoCoV2`, whose keys see averaged batch norm statistics
        (the authors' see those of shuffled batches).
    """

    def __init__(
        self,
        backbone: tf.keras.Model,
        teacher: tf.keras.Model | None = None,
        teacher_head: tf.keras.Model | None = None,
        projector: tf.keras.Model | None = None,
        *,
        mode: str = "distillation",
        hidden_dim: int = 2048,
        embedding_dim: int = 128,
        temperature: float = 0.2,
        contrast: dict[str, Any] | None = None,
        given_features: bool = False,
        target_backbone: tf.keras.Model | None = None,
        target_projector: tf.keras.Model | None = None,
        total_steps: int = 1,
        regularizer: EmbeddingRegularizer | None = None,
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        common: dict[str, Any] = {
            "total_steps": total_steps,
            "regularizer": regularizer,
            "seed": seed,
        }
        super().__init__(backbone, **common, name=name)
        self.mode = check_choice("mode", mode, MODES)
        self.temperature = check_range("temperature", temperature, low=0.0, low_open=True)
        self.given_features = given_features
        self.teacher, self.teacher_head = self._frozen(teacher, teacher_head)
        if self.teacher_head is not None:
            embedding_dim = feature_dim(self.teacher_head, "teacher_head")
        self.projector = projector or contrast_head(backbone, hidden_dim, embedding_dim)
        self._check_sizes()
        self.contrast_options = _checked_contrast(contrast or {})
        self.contrast: MoCoV2 | None = None
        if self.mode != "distillation":
            targets: dict[str, Any] = {
                "target_backbone": target_backbone,
                "target_projector": target_projector,
            }
            self.contrast = MoCoV2(
                backbone,
                self.projector,
                temperature=temperature,
                **targets,
                **common,
                **self.contrast_options,
            )

    def _frozen(
        self, teacher: tf.keras.Model | None, head: tf.keras.Model | None
    ) -> tuple[tf.keras.Model | None, tf.keras.Model | None]:
        self.frozen_teacher: FrozenTeacher | None = None
        if self.mode == "contrastive":
            check_choice("given_features", self.given_features, (False,))
            return None, None
        if teacher is None or head is None:
            raise UserError(
                f"S2BNN with mode={self.mode!r} needs `teacher` and `teacher_head`, the projector "
                "that the teacher was pretrained with. Received: "
                f"{'no teacher' if teacher is None else 'a teacher without head'}"
            )
        check_fits(head, "teacher_head", inputs=feature_dim(teacher, "teacher"))
        head.trainable = False
        self.frozen_teacher = FrozenTeacher(teacher, self.given_features)
        return teacher, head

    def _check_sizes(self) -> None:
        size = check_fits(self.projector, "projector", inputs=self.feature_dim)
        if self.teacher_head is not None and size != feature_dim(self.teacher_head, "teacher_head"):
            raise UserError(
                "`projector` and `teacher_head` must give vectors of the same length. "
                f"Received: {size} and {feature_dim(self.teacher_head, 'teacher_head')}"
            )

    @property
    def target_backbone(self) -> tf.keras.Model | None:
        """The averaged backbone of the contrast, where there is one."""
        return None if self.contrast is None else self.contrast.target_backbone

    def learning_networks(self) -> dict[str, Sequence[tf.keras.layers.Layer]]:
        return {"extractor": [self.backbone], "heads": [self.projector]}

    def check_views(self, count: int) -> None:
        count = count if self.frozen_teacher is None else self.frozen_teacher.count(count)
        super().check_views(count)
        if self.contrast is not None:
            self.contrast.check_views(count)

    def check_batch(self, batch_size: int) -> None:
        super().check_batch(batch_size)
        if self.contrast is not None:
            self.contrast.check_batch(batch_size)

    def compute_terms(self, views: Sequence[tf.Tensor], step: tf.Tensor) -> StepTerms:
        if self.frozen_teacher is None:
            return self._contrast(views, step)
        if self.contrast is None:
            return self._distil(views, self.frozen_teacher)
        output = self._contrast(self.frozen_teacher.views(views), step)
        target = self._embedding(self.frozen_teacher.output(views, 0))
        output.terms["distillation"] = self._distillation(target, output.embeddings[0])
        return output

    def _contrast(self, views: Sequence[tf.Tensor], step: tf.Tensor) -> StepTerms:
        contrast: Any = self.contrast
        return contrast.compute_terms(views, step)

    def _distil(self, batch: Sequence[tf.Tensor], teacher: FrozenTeacher) -> StepTerms:
        targets = [self._embedding(output) for output in teacher.outputs(batch)]
        features = [self.backbone(view, training=True) for view in teacher.views(batch)]
        embeddings = [
            tf.cast(self.projector(feature, training=True), tf.float32) for feature in features
        ]
        losses = [self._distillation(*pair) for pair in zip(targets, embeddings, strict=True)]
        return StepTerms(
            terms={"distillation": tf.add_n(losses) / len(losses)},
            features=tf.cast(features[0], tf.float32),
            embeddings=tf.stack(embeddings),
            targets=tf.stack(targets),
        )

    def _embedding(self, features: tf.Tensor) -> tf.Tensor:
        head: Any = self.teacher_head
        embedding = head(features, training=False)
        return tf.stop_gradient(tf.cast(embedding, tf.float32))

    def _distillation(self, target: tf.Tensor, embedding: tf.Tensor) -> tf.Tensor:
        return tf.reduce_mean(
            soft_cross_entropy(directions(target), directions(embedding), self.temperature)
        )

    def remember(self, rows: Sequence[tf.Tensor]) -> None:
        if self.contrast is not None:
            self.contrast.remember(rows)

    def after_update(self, step: tf.Tensor) -> None:
        if self.contrast is not None:
            self.contrast.after_update(step)

    def get_config(self) -> dict[str, Any]:
        networks: dict[str, Any] = {"projector": self.projector}
        if self.teacher is not None:
            networks |= {"teacher": self.teacher, "teacher_head": self.teacher_head}
        if self.contrast is not None:
            networks["target_backbone"] = self.contrast.target_backbone
            networks["target_projector"] = self.contrast.target_projector
        saved = {
            name: tf.keras.saving.serialize_keras_object(network)
            for name, network in networks.items()
        }
        names = ("mode", "temperature", "given_features")
        options = {name: getattr(self, name) for name in names}
        contrast = tf.keras.saving.serialize_keras_object(self.contrast_options)
        return {**super().get_config(), **saved, **options, "contrast": contrast}


def _checked_contrast(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options, found good whether the mode contrasts or not."""
    for name in options:
        check_choice("contrast", name, _CONTRAST_OPTIONS)
    if "queue_size" in options:
        check_integer("queue_size", options["queue_size"], low=1)
    return dict(options)
