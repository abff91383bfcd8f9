"""Measures of how a network's features lie on the sphere: together by image, apart overall."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

from burn_tf._checks import UserError, check_integer
from burn_tf.analysis.record import Analysis
from burn_tf.data import Source, views_dataset
from burn_tf.evaluation import extract_features
from burn_tf.losses import alignment, uniformity
from burn_tf.methods import feature_deviation

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
        >>> from burn_tf.analysis import effective_rank
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
        >>> from burn_tf.analysis import embedding_measures
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


def embedding(
    networks: Mapping[str, tuple[Callable[..., tf.Tensor], int]],
    source: Source,
    *,
    policy: str | None = None,
    images: int = 1000,
    seed: int = 0,
) -> Analysis:
    """Measures of each network on two augmented views of the same held-out images.

    Args:
        networks: by name, a network from images [B, S, S, 3] to features [B, D] and its side S in
            pixels.
        source: the images; labels are not read.
        policy: name of the augmentation; None: "digits" for digits, "cifar" up to 64 px, else
            "burn_authors".
        images: how many at most, spread over the source; at least 2.
        seed: of the views.

    Returns:
        A row per network.

    Raises:
        UserError: no network, a number out of range, features that are not [B, D].

    Example:
        >>> from burn_tf.analysis import embedding
        >>> from burn_tf.data import load_source
        >>> from burn_tf.evaluation import raw_pixels
        >>> digits = load_source("digits", split="test")
        >>> found = embedding({"pixels": (raw_pixels, 8)}, digits, images=16)
        >>> found.rows[0]["model"]
        'pixels'

    Source: MSBReg (Moon et al.), Table 12; see `embedding_measures`.
    Departs from source: features of the backbone; what the paper's table measures is not said in
        what was known to us.
    """
    if not networks:
        raise UserError("`models` must name at least one model. Received: none")
    check_integer("images", images, low=2)
    chosen = _spread(source, images)
    rows = []
    for name, (network, side) in networks.items():
        views = [_features(network, chosen, policy, side, seed, index) for index in range(2)]
        rows.append({"model": name, "dimensions": views[0].shape[1], **embedding_measures(*views)})
    return Analysis(
        kind="embedding",
        title="Alignment and uniformity of features",
        settings={
            "data": source.name,
            "split": source.split,
            "images": chosen.num_images,
            "policy": policy or "by image size",
            "seed": seed,
        },
        rows=rows,
        bars=["alignment", "uniformity", "effective rank", "feature deviation"],
        notes=[
            "Two augmented views of each held-out image, features of length 1 (MSBReg, Table 12).",
            "Alignment: mean squared distance of an image's two views, smaller is closer. "
            "Uniformity: 0 when all features are one point, more negative the wider they spread.",
            "A network may trade one for the other: all features on one point align perfectly.",
            "Effective rank: over how many directions the features spread. Feature deviation: 1 "
            "for an even spread over the sphere, 0 for one point.",
        ],
    )


def _spread(source: Source, images: int) -> Source:
    last = source.num_images - 1
    if last < 1:
        raise UserError(f"`data` must hold at least 2 images. Received: {source.num_images}")
    return source.subset(np.unique(np.linspace(0, last, min(images, last + 1)).astype(int)))


def _features(
    network: Callable[..., tf.Tensor],
    source: Source,
    policy: str | None,
    side: int,
    seed: int,
    view: int,
) -> np.ndarray:
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
    return "cifar" if side <= _SMALL_SIDE else "burn_authors"
