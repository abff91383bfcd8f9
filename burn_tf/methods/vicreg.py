"""VICReg: views agree, every output varies, no two outputs vary together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from burn_tf._checks import check_choice, check_range
from burn_tf.losses import covariance, invariance, variance
from burn_tf.losses.vicreg import FORMS
from burn_tf.methods.base import StepTerms
from burn_tf.methods.joint_embedding import JointEmbedding, deep_projector


@tf.keras.utils.register_keras_serializable(package="burn_tf")
class VICReg(JointEmbedding):
    """Variance, invariance and covariance of the embeddings Z, Z' of two views.

        L = lambda s(Z, Z') + mu (v(Z) + v(Z')) + nu (c(Z) + c(Z'))

    s is the squared distance of an image's views, v and c are taken over the global batch of each
    view (`burn_tf.losses.invariance`, `variance`, `covariance`).

    Args:
        backbone: f, model from [B, H, W, 3] to [B, D].
        projector: the expander, model from [B, D] to [B, d], or None for Dense - BatchNorm - ReLU
            twice, then Dense, of the sizes below.
        hidden_dim: hidden sizes of a projector built here; 8192 (the paper's).
        embedding_dim: d of a projector built here; 8192 (the paper's).
        invariance_weight: lambda >= 0; 25 (the paper's).
        variance_weight: mu >= 0; 25 (the paper's).
        covariance_weight: nu >= 0; 1 (the paper's).
        invariance_form: "algorithm_1" (default: s is the mean over the d outputs, as in the paper's
            listing and the authors' code) or "equation_5" (their sum).
        total_steps, regularizer, seed, name: as in `SSLMethod`.

    Views: K >= 2 tensors [B, H, W, 3] float32; a global batch of 2 or more.

    Raises:
        UserError: for sizes, weights or a form out of range, fewer than 2 views, a batch of 1.

    Example:
        >>> backbone = burn_tf.backbones.ReActNetTiny((16, 16, 3), include_top=False, pooling="avg")
        >>> model = VICReg(backbone, hidden_dim=32, embedding_dim=16)
        >>> model.compile(tf.keras.optimizers.SGD(0.1))

    Source: Bardes et al., VICReg: Variance-Invariance-Covariance Regularization for Self-Supervised
        Learning, ICLR 2022, sec. 4.1, eqs. 1 to 6, arXiv 2105.04906.
    Departs from source: more than two views are averaged over their pairs. The authors' code halves
        v: give it a weight of 12.5 for theirs.
    """

    option_names = (
        "invariance_weight",
        "variance_weight",
        "covariance_weight",
        "invariance_form",
    )

    def __init__(
        self,
        backbone: tf.keras.Model,
        projector: tf.keras.Model | None = None,
        *,
        hidden_dim: int = 8192,
        embedding_dim: int = 8192,
        invariance_weight: float = 25.0,
        variance_weight: float = 25.0,
        covariance_weight: float = 1.0,
        invariance_form: str = "algorithm_1",
        **options: Any,
    ) -> None:
        head = deep_projector(hidden_dim, embedding_dim)
        super().__init__(backbone, projector, head, **options)
        self.invariance_weight = check_range("invariance_weight", invariance_weight, low=0.0)
        self.variance_weight = check_range("variance_weight", variance_weight, low=0.0)
        self.covariance_weight = check_range("covariance_weight", covariance_weight, low=0.0)
        self.invariance_form = check_choice("invariance_form", invariance_form, FORMS)

    @property
    def looks_across_the_batch(self) -> bool:
        return True

    def term_weights(self, step: tf.Tensor) -> dict[str, tf.Tensor | float]:
        return {
            "invariance": self.invariance_weight,
            "variance": self.variance_weight,
            "covariance": self.covariance_weight,
        }

    def compute_terms(self, views: Sequence[tf.Tensor], step: tf.Tensor) -> StepTerms:
        output = self.embed(views)
        distances = invariance(output.embeddings, self.invariance_form)
        output.terms["invariance"] = tf.reduce_mean(distances)
        output.terms["variance"] = variance(output.embeddings)
        output.terms["covariance"] = covariance(output.embeddings)
        return output
