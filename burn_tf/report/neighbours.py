"""Pictures beside the pictures that features take for the most similar."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from burn_tf._checks import UserError
from burn_tf.report.page import Picture, Section, Strip


def neighbour_section(
    indices: np.ndarray,
    similarities: np.ndarray,
    *,
    queries: Sequence[np.ndarray] | np.ndarray,
    bank: Sequence[np.ndarray] | np.ndarray,
    query_labels: np.ndarray | None = None,
    bank_labels: np.ndarray | None = None,
    class_names: Sequence[str] | None = None,
    heading: str = "Nearest neighbours of sample images",
    notes: Sequence[str] = (),
) -> Section:
    """Builds a section with a row for each query: the picture, then its neighbours.

    A neighbour that shares no class with its query gets a dashed frame, and its caption says so.

    Args:
        indices: int [Q, k] into the bank, nearest first, as `KNNProbe.neighbours` gives them.
        similarities: float [Q, k].
        queries: Q pictures, uint8 [H, W, 3].
        bank: the pictures that `indices` count.
        query_labels, bank_labels: int [N], -1 for none; or [N, C] with 1 at the classes that an
            image holds; None: not labelled.
        class_names: name of each class; None: its number.
        heading: of the section.
        notes: plain sentences under the pictures.

    Raises:
        UserError: the shapes do not fit together.

    Example:
        >>> picture = np.zeros((2, 2, 3), np.uint8)
        >>> section = neighbour_section(np.array([[0]]), np.array([[0.5]]), queries=[picture],
        ...                             bank=[picture])
        >>> section.strips[0].others[0].caption
        '0.50'
    """
    indices, similarities = np.asarray(indices), np.asarray(similarities)
    if indices.ndim != 2 or indices.shape != similarities.shape or len(indices) != len(queries):
        raise UserError(
            "`indices` and `similarities` must be [Q, k] for Q queries. Received: shapes "
            f"{indices.shape} and {similarities.shape} for {len(queries)}"
        )
    strips = []
    for i, picture in enumerate(queries):
        own = _classes(query_labels, i)
        others = []
        for j, similarity in zip(indices[i].tolist(), similarities[i].tolist(), strict=True):
            classes = _classes(bank_labels, j)
            differs = bool(own) and bool(classes) and not own & classes
            words = [_names(classes, class_names), f"{similarity:.2f}"]
            caption = " · ".join(filter(None, words)) + (", another class" if differs else "")
            others.append(Picture(caption, bank[j], other=differs))
        first = Picture(_names(own, class_names) or f"image {i + 1}", picture)
        strips.append(Strip(first, others))
    return Section(heading, strips=strips, notes=notes)


def _classes(labels: np.ndarray | None, index: int) -> frozenset[int]:
    """The classes of an image; none where it has no label."""
    if labels is None:
        return frozenset()
    if labels.ndim == 2:
        return frozenset(np.flatnonzero(labels[index] > 0).tolist())
    return frozenset({int(labels[index])} if labels[index] >= 0 else ())


def _names(classes: frozenset[int], class_names: Sequence[str] | None) -> str:
    return ", ".join(str(c) if class_names is None else class_names[c] for c in sorted(classes))
