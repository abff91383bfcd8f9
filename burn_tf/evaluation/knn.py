"""Nearest-neighbour probe in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from burn_tf._checks import UserError, check_integer
from burn_tf.evaluation.features import EvaluationData
from burn_tf.evaluation.metrics import classification_metrics
from burn_tf.evaluation.results import Result
from burn_tf.evaluation.splits import check_labels, labelled_features, provenance

_NO_NEIGHBOUR = np.iinfo(np.int64).min


def _unit_rows(rows: np.ndarray) -> np.ndarray:
    # float64: with float32 products the k-th neighbour would depend on the size of the chunks.
    rows = np.asarray(rows, np.float64)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(norms > 0.0, norms, 1.0)


def _sortable(similarity: np.ndarray, first_index: int) -> np.ndarray:
    """int64 keys in the order of (float32 similarity, then lower index), all different.

    The upper half is the similarity's bits, made monotonic; the lower half counts down the index.
    """
    # Adding 0.0 turns -0.0 into 0.0, whose bits would otherwise sort apart.
    bits = (similarity.astype(np.float32) + np.float32(0.0)).view(np.int32)
    ordered = np.where(bits < 0, bits ^ np.int32(0x7FFFFFFF), bits).astype(np.int64)
    index = first_index + np.arange(similarity.shape[1], dtype=np.int64)
    return (ordered << 32) | (0xFFFFFFFF - index)


def _similarity(keys: np.ndarray) -> np.ndarray:
    ordered = (keys >> 32).astype(np.int32)
    return np.where(ordered < 0, ordered ^ np.int32(0x7FFFFFFF), ordered).view(np.float32)


def _slices(length: int, size: int) -> Iterator[slice]:
    return (slice(start, min(start + size, length)) for start in range(0, length, size))


class KNNProbe:
    """Majority vote of the k most similar training images.

    Similarity is the cosine, s(u, v) = <u, v> / (||u|| ||v||), and 0 for a zero vector. The class
    with the most votes among the k nearest wins; equal votes are decided by the greater sum of
    similarities, then by the lower class index. Neighbours of equal similarity count in the order
    of the bank. Both sides are cut into chunks, so memory beyond the features themselves is
    O(bank_chunk * query_chunk + queries * k) and the answer does not depend on the chunks.

    Args:
        k: Number of neighbours, at least 1. 5, 20 and 200 are the papers' values.
        query_chunk: Queries compared at a time, default 512.
        bank_chunk: Bank rows compared at a time, default 8192.

    Raises:
        UserError: an argument is not a positive whole number; in `run`, `scores` and `neighbours`
            also a bank smaller than k.

    Example:
        >>> import numpy as np
        >>> from burn_tf.evaluation import KNNProbe
        >>> scores = KNNProbe(k=1).scores(np.eye(2), np.array([0, 1]), np.array([[0.9, 0.1]]), 2)
        >>> int(scores.argmax())
        0

    Source: Moon et al. (MSBReg), kNN rows; methods.md, section 4.
    Departs from source: the papers do not say how equal votes are decided.
    """

    def __init__(self, k: int = 5, query_chunk: int = 512, bank_chunk: int = 8192) -> None:
        self.k = check_integer("k", k, low=1)
        self.query_chunk = check_integer("query_chunk", query_chunk, low=1)
        self.bank_chunk = check_integer("bank_chunk", bank_chunk, low=1)
        self.name = f"knn:{self.k}"

    def get_config(self) -> dict[str, int]:
        """The constructor's arguments."""
        return {"k": self.k, "query_chunk": self.query_chunk, "bank_chunk": self.bank_chunk}

    def _check_bank(self, size: int) -> None:
        if size < self.k:
            raise UserError(
                f"`k` must be at most the number of training images, {size}. Received: {self.k}"
            )

    def neighbours(self, bank: np.ndarray, queries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Indices int64 [Q, k] into the bank and similarities float32 [Q, k], nearest first.

        Args:
            bank: [N, D] features of any float type, N >= k.
            queries: [Q, D].
        """
        self._check_bank(len(bank))
        best = np.full((len(queries), self.k), _NO_NEIGHBOUR, np.int64)
        for rows in _slices(len(bank), self.bank_chunk):
            chunk = _unit_rows(bank[rows])
            for asked in _slices(len(queries), self.query_chunk):
                keys = _sortable(_unit_rows(queries[asked]) @ chunk.T, rows.start)
                both = np.concatenate([best[asked], keys], axis=1)
                best[asked] = np.partition(both, -self.k, axis=1)[:, -self.k :]
        best = np.sort(best, axis=1)[:, ::-1]
        return 0xFFFFFFFF - (best & 0xFFFFFFFF), _similarity(best)

    def scores(
        self, bank: np.ndarray, bank_labels: np.ndarray, queries: np.ndarray, num_classes: int
    ) -> np.ndarray:
        """float64 [Q, C]: votes, plus less than half a vote for the share of similarity."""
        indices, similarity = self.neighbours(bank, queries)
        votes = np.zeros((len(queries), num_classes))
        tie_break = np.zeros_like(votes)
        row = np.arange(len(queries))[:, None]
        np.add.at(votes, (row, bank_labels[indices]), 1.0)
        np.add.at(tie_break, (row, bank_labels[indices]), similarity.astype(np.float64))
        return votes + tie_break / (2.0 * self.k + 1.0)

    def run(self, backbone: Callable[..., tf.Tensor], data: EvaluationData) -> Result:
        """Features of both splits, then the accuracy of the vote on the test split."""
        check_labels(data)
        self._check_bank(data.train.num_images)
        splits = labelled_features(backbone, data)
        scores = self.scores(
            splits.train_features, splits.train_labels, splits.test_features, splits.num_classes
        )
        settings = {"k": self.k, "similarity": "cosine", "vote": "majority"}
        return Result(
            self.name,
            classification_metrics(scores, splits.test_labels),
            provenance(backbone, data, splits, settings),
        )
