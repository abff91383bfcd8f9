"""Networks side by side: how their features lie on the sphere."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import tensorflow as tf

from burn_tf._checks import UserError, check_integer
from burn_tf.analysis.record import Analysis
from burn_tf.data import Source
from burn_tf.evaluation.embedding import (
    effective_rank,
    embedding_measures,
    spread_images,
    view_features,
)

__all__ = ["effective_rank", "embedding", "embedding_measures"]


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
            "moco_v2".
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
    chosen = spread_images(source, images)
    rows = []
    for name, (network, side) in networks.items():
        views = [view_features(network, chosen, policy, side, seed, index) for index in range(2)]
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
