"""MSBReg's terms, and uniformity, as regularisers of any method."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tensorflow as tf

from burn_tf._checks import UserError, check_range
from burn_tf.losses import brownian, brownian_noise, centroid, singular_value, uniformity
from burn_tf.methods import micro_batches

if TYPE_CHECKING:
    from burn_tf.methods.base import StepTerms

# Any fixed number: it only keeps this noise apart from other draws with the user's seed.
_NOISE_STREAM = 0xB0


class EmbeddingRegularizer:
    """Weights of terms that are added to a method's own.

        L = method's terms + centroid L_c + singular_value L_s + brownian L_b + uniformity L_u

    L_u is the mean over views of `burn_tf.losses.uniformity` with t = 2.

    Args:
        centroid: weight of the multiview centroid loss L_c; >= 0, 0 leaves the term out.
        singular_value: lambda_s, weight of the singular value loss L_s; >= 0.
        brownian: lambda_b, weight of the Brownian diffusive loss L_b; >= 0.
        uniformity: weight of Wang & Isola's uniformity loss L_u; >= 0.

    Raises:
        UserError: for a negative weight.

    Example:
        >>> EmbeddingRegularizer(singular_value=4e-3, brownian=0.5).get_config()["brownian"]
        0.5

    Source: Moon et al., An Embedding-Dynamic Approach to Self-supervised Learning, eqs. 3, 4, 6 and
        the section on applying the terms to other methods; Wang & Isola, ICML 2020, sec. 4.1.2.
    Departs from source: none.
    """

    def __init__(
        self,
        centroid: float = 0.0,
        singular_value: float = 0.0,
        brownian: float = 0.0,
        uniformity: float = 0.0,
    ) -> None:
        self.centroid = check_range("centroid", centroid, low=0.0)
        self.singular_value = check_range("singular_value", singular_value, low=0.0)
        self.brownian = check_range("brownian", brownian, low=0.0)
        self.uniformity = check_range("uniformity", uniformity, low=0.0)

    @property
    def looks_across_the_batch(self) -> bool:
        """Whether a term compares images with each other, and hence needs two of them."""
        return self.singular_value > 0 or self.uniformity > 0

    def terms(
        self, output: StepTerms, step: tf.Tensor, seed: int
    ) -> dict[str, tuple[float, tf.Tensor]]:
        """(weight, value) of each term with a weight above 0."""
        found: dict[str, tuple[float, tf.Tensor]] = {}
        if self.centroid:
            value = tf.reduce_mean(centroid(output.targets, output.embeddings))
            found["centroid"] = (self.centroid, value)
        if self.singular_value:
            found["singular_value"] = (self.singular_value, singular_value(output.embeddings))
        if self.brownian:
            noise = replica_noise(output.embeddings, step, seed)
            found["brownian"] = (self.brownian, tf.reduce_mean(brownian(noise, output.embeddings)))
        if self.uniformity:
            views = [uniformity(view) for view in tf.unstack(output.embeddings)]
            found["uniformity"] = (self.uniformity, tf.add_n(views) / len(views))
        return found

    def plus(self, **weights: float) -> EmbeddingRegularizer:
        """One whose weights are larger by these."""
        own = self.get_config()
        return EmbeddingRegularizer(**{name: own[name] + weights.get(name, 0.0) for name in own})

    def get_config(self) -> dict[str, Any]:
        """The four weights."""
        return {
            "centroid": self.centroid,
            "singular_value": self.singular_value,
            "brownian": self.brownian,
            "uniformity": self.uniformity,
        }


def checked_regularizer(regularizer: EmbeddingRegularizer | None) -> EmbeddingRegularizer:
    """What was given, or one without a term.

    Raises:
        UserError: for anything else, such as a dict of weights.
    """
    if regularizer is None:
        return EmbeddingRegularizer()
    if not isinstance(regularizer, EmbeddingRegularizer):
        raise UserError(
            "`regularizer` must be an EmbeddingRegularizer, such as "
            f"EmbeddingRegularizer(brownian=0.5). Received: {regularizer!r}"
        )
    return regularizer


def replica_noise(embeddings: tf.Tensor, step: tf.Tensor, seed: int) -> tf.Tensor:
    """The rows [B, d] of these images, of the noise drawn for the whole global batch at `step`."""
    batch, dim = micro_batches.whole_batch(tf.shape(embeddings)[1]), tf.shape(embeddings)[2]
    return micro_batches.own_rows(brownian_noise([seed, _NOISE_STREAM], step, batch, dim))
