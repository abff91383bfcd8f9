"""Measures of how a network's features lie on the sphere: together by image, apart overall."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from burn_tf._checks import UserError, check_integer
from burn_tf.data import Source, views_dataset
from burn_tf.evaluation.features import EvaluationData, extract_features
from burn_tf.evaluation.results import Result
from burn_tf.evaluation.splits import run_provenance
from burn_tf.losses import alignment, uniformity
from burn_tf.methods import feature_deviation

COLLAPSED_BELOW = 0.05
_SMALL_SIDE = 64
_BATCH = 256
_SMALLEST_SPREAD = 1e-6


def effective_rank(features: np.ndarray) -> float:
    """Over how many directions features spread evenly: 1 for a line, up to min(N - 1, D).

        p_i = s_i / sum s,  exp(-sum_i p_i log p_i),  s: singular values of the centred unit vectors

    Args:
        features: float [N, D].

    Returns:
        The effective rank; 0 for features that do not spread at all.

    Raises:
        UserError: not of two dimensions.

    Example:
        >>> import numpy as np
        >>> from burn_tf.evaluation import effective_rank
        >>> round(effective_rank(np.concatenate([np.eye(3), -np.eye(3)])), 6)
        3.0

    Source: Roy & Vetterli, The effective rank: a measure of effective dimensionality, EUSIPCO 2007.
    Departs from source: rows are first scaled to length 1 and centred, so that neither their
        lengths nor a direction that all of them share counts.
    """
    features = np.asarray(features, np.float64)
    if features.ndim != 2:
        raise UserError(f"`features` must have shape [N, D]. Received: shape {features.shape}")
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    units = features / np.where(lengths > 0.0, lengths, 1.0)
    values = np.linalg.svd(units - units.mean(axis=0), compute_uv=False)
    if values.max() <= _SMALLEST_SPREAD * np.sqrt(len(units)):
        return 0.0
    shares = values[values > 0.0] / values.sum()
    return float(np.exp(-np.sum(shares * np.log(shares))))


def embedding_measures(first: np.ndarray, second: np.ndarray) -> dict[str, float]:
    """Alignment, uniformity, effective rank and deviation of two views' features.

    With x, y the unit vectors of an image's views:

        alignment   mean ||x - y||^2                             (small: views lie together)
        uniformity  log mean_(i != j) exp(-2 ||x_i - x_j||^2)    (very negative: images lie apart)

    Args:
        first, second: float [N, D], the two views of N images, N at least 2.

    Returns:
        The four figures by name; all but the alignment are means over the two views.

    Raises:
        UserError: of different shapes, or fewer than two images.

    Example:
        >>> import numpy as np
        >>> from burn_tf.evaluation import embedding_measures
        >>> embedding_measures(np.eye(2), np.eye(2))["uniformity"]
        -4.0

    Source: Wang & Isola, arXiv 2005.10242, sec. 4.1; MSBReg (Moon et al.), Table 12.
    Departs from source: none.
    """
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if first.shape != second.shape or len(first) < 2:
        raise UserError(
            "`first` and `second` must hold features of the same two or more images. "
            f"Received: shapes {first.shape} and {second.shape}"
        )
    views = (first, second)
    return {
        "alignment": float(tf.reduce_mean(alignment(first, second))),
        "uniformity": float(np.mean([float(uniformity(view)) for view in views])),
        "effective rank": float(np.mean([effective_rank(view) for view in views])),
        "feature deviation": float(np.mean([float(feature_deviation(view)) for view in views])),
    }


class EmbeddingProbe:
    """Alignment, uniformity, effective rank and spread of two augmented views of held-out images.

    `alignment = mean ||x - y||^2`, `uniformity = log mean exp(-2 ||x_i - x_j||^2)`, as in
    `embedding_measures`. Labels are not read. `collapsed` is 1 where the spread is below 0.05 or
    the features fill fewer than two directions: a network that gives every image the same
    features has a perfect alignment, and that is worth nothing.

    Args:
        images: how many at most, spread over the test split; at least 2, default 1000, ours.
        policy: name of the augmentation; None: "digits" for digits, "cifar" up to 64 px, else
            "moco_v2".
        seed: of the views.

    Raises:
        UserError: an argument is outside its range, or fewer than two images in the test split.

    Example:
        >>> from burn_tf.data import load_source
        >>> from burn_tf.evaluation import EmbeddingProbe, EvaluationData, raw_pixels
        >>> digits = load_source("digits", split="test")
        >>> found = EmbeddingProbe(images=16).run(raw_pixels, EvaluationData(digits, digits, 8))
        >>> found.metrics["collapsed"]
        0.0

    Source: Wang & Isola, arXiv 2005.10242, sec. 4.1; MSBReg (Moon et al.), Table 12.
    Departs from source: rank, spread and the flag are ours.
    """

    name = "embedding"

    def __init__(self, images: int = 1000, policy: str | None = None, seed: int = 0) -> None:
        self.images = check_integer("images", images, low=2)
        self.policy = policy
        self.seed = check_integer("seed", seed, low=0)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"images": self.images, "policy": self.policy, "seed": self.seed}

    def check(self, data: EvaluationData) -> None:
        """Refuse a test split of fewer than two images."""
        spread_images(data.test, self.images)

    def run(self, backbone: Callable[..., tf.Tensor], data: EvaluationData) -> Result:
        """Two views of the test images, and the measures of their features.

        Args:
            backbone: images [B, H, W, C] -> features [B, D]; its weights are read, not changed.
            data: only the test split is looked at.
        """
        chosen = spread_images(data.test, self.images)
        views = [
            view_features(backbone, chosen, self.policy, data.image_size, self.seed, index)
            for index in range(2)
        ]
        metrics = {
            name.replace(" ", "_"): value for name, value in embedding_measures(*views).items()
        }
        collapsed = metrics["feature_deviation"] < COLLAPSED_BELOW or metrics["effective_rank"] < 2
        facts = {"feature_dim": views[0].shape[1], "images_measured": chosen.num_images}
        return Result(
            self.name,
            metrics | {"collapsed": float(collapsed)},
            run_provenance(backbone, data, self.get_config()) | facts,
        )


def spread_images(source: Source, images: int) -> Source:
    """At most `images` of a source, evenly spread over it.

    Raises:
        UserError: it has fewer than two.
    """
    last = source.num_images - 1
    if last < 1:
        raise UserError(f"`data` must hold at least 2 images. Received: {source.num_images}")
    return source.subset(np.unique(np.linspace(0, last, min(images, last + 1)).astype(int)))


def view_features(
    network: Callable[..., tf.Tensor],
    source: Source,
    policy: str | None,
    side: int,
    seed: int,
    view: int,
) -> np.ndarray:
    """Features float32 [N, D] of one of two augmented views of every image.

    Args:
        network: images [B, S, S, 3] -> features [B, D].
        source: the images.
        policy: name of the augmentation; None: "digits" for digits, "cifar" up to 64 px, else
            "moco_v2".
        side: S, pixels.
        seed: of the views.
        view: 0 or 1.
    """
    dataset = views_dataset(
        source,
        policy or _default_policy(source, side),
        num_views=2,
        batch_size=min(_BATCH, source.num_images),
        image_size=side,
        seed=seed,
        drop_remainder=False,
        labels=True,
    )
    features, _ = extract_features(network, dataset.map(lambda views, label: (views[view], label)))
    return features


def _default_policy(source: Source, side: int) -> str:
    if source.name == "digits":
        return "digits"
    return "cifar" if side <= _SMALL_SIDE else "moco_v2"
