"""Nearest-neighbour probe in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from burn_tf._checks import UserError, check_integer
from burn_tf.evaluation.features import EvaluationData
from burn_tf.evaluation.frozen import FrozenFeatures, Measured
from burn_tf.evaluation.metrics import label_ranks, rank_metrics
from burn_tf.evaluation.splits import FeatureSplits

# Candidates kept beyond k: room for those whose float32 similarity is too close to the k-th's.
_SPARE = 64
# Values of the queries that are compared at a time (64 MB), and of the rows that are ranked at a
# time (2 MB in float64, which stays in a core's cache).
_GROUP_VALUES, _RANKED_VALUES = 2**24, 2**18
_UNIT_ROWS = 128
# Squared lengths that float32 sums hold to the last digits, whatever the values that they are of.
_SAFE_SQUARES = (1e-24, 1e36)
_VOTING_ROWS = 4096


def _unit_rows(rows: np.ndarray) -> np.ndarray:
    rows = np.asarray(rows, np.float64)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(norms > 0.0, norms, 1.0)


def _rounded_unit_rows(rows: np.ndarray) -> np.ndarray:
    """Unit rows in float32, made in pieces that stay in the cache; zero rows stay zero."""
    units = np.empty(rows.shape, np.float32)
    for part in _slices(len(rows), _UNIT_ROWS):
        piece = units[part]
        with np.errstate(over="ignore"):
            piece[...] = rows[part]
            squares = np.einsum("ij,ij->i", piece, piece)
        if np.all((squares > _SAFE_SQUARES[0]) & (squares < _SAFE_SQUARES[1])):
            piece /= np.sqrt(squares)[:, None]
        else:
            piece[...] = _unit_rows(rows[part])
    return units


def _sortable(similarity: np.ndarray, index: np.ndarray) -> np.ndarray:
    """int64 keys in the order of (float32 similarity, then lower index), all different.

    The upper half is the similarity's bits, made monotonic; the lower half counts down the index.
    """
    # Adding 0.0 turns -0.0 into 0.0, whose bits would otherwise sort apart.
    bits = (similarity.astype(np.float32) + np.float32(0.0)).view(np.int32)
    ordered = np.where(bits < 0, bits ^ np.int32(0x7FFFFFFF), bits).astype(np.int64)
    return (ordered << 32) | (0xFFFFFFFF - index)


def _similarity(keys: np.ndarray) -> np.ndarray:
    ordered = (keys >> 32).astype(np.int32)
    return np.where(ordered < 0, ordered ^ np.int32(0x7FFFFFFF), ordered).view(np.float32)


def _index(keys: np.ndarray) -> np.ndarray:
    return 0xFFFFFFFF - (keys & 0xFFFFFFFF)


# Below every cosine.
_NOTHING = int(_sortable(np.full(1, -4.0), np.zeros(1, np.int64))[0])


def _margin(dim: int) -> float:
    """Bound of the distance between two float32 similarities of one query that may change places.

    Twice the error of a float32 product of vectors whose lengths are float32 sums too, at most
    (2 dim + 8) 2^-24 and higher orders, and what rounding the exact similarities to float32 adds.
    """
    return 2.0 * (2.2 * dim + 10.0) * 2.0**-24 + 2.0**-22


def _exact(rows: np.ndarray, query: np.ndarray) -> np.ndarray:
    """float64 cosines of rows [..., D] with as many queries, each summed in one same order.

    A matrix product adds in an order that depends on its size; this does not.
    """
    rows, query = np.asarray(rows, np.float64), np.asarray(query, np.float64)
    lengths = np.sqrt(np.sum(rows * rows, axis=-1) * np.sum(query * query, axis=-1))
    return np.sum(rows * query, axis=-1) / np.where(lengths > 0.0, lengths, 1.0)


def _slices(length: int, size: int) -> Iterator[slice]:
    return (slice(start, min(start + size, length)) for start in range(0, length, size))


def _merge(best: np.ndarray, similarity: np.ndarray, first_index: int) -> None:
    """Let a block of similarities [Q, N] into the best keys [Q, M], in place and least first."""
    width = best.shape[1]
    passing = np.flatnonzero(similarity > _similarity(best[:, 0])[:, None])
    if len(passing) == 0:
        return
    row = passing // similarity.shape[1]
    counts = np.bincount(row, minlength=len(best))
    if counts.max() > 2 * width:
        # Much of the block is new, as at the bank's beginning: its own best are found first.
        column = np.argpartition(similarity, -width, axis=1)[:, -width:].astype(np.int64)
        keys = _sortable(np.take_along_axis(similarity, column, axis=1), first_index + column)
    else:
        column = passing - row * similarity.shape[1]
        place = np.arange(len(passing)) - (np.cumsum(counts) - counts)[row]
        keys = np.full((len(best), counts.max()), _NOTHING)
        keys[row, place] = _sortable(similarity[row, column], first_index + column)
    both = np.concatenate([best, keys], axis=1)
    best[:] = np.partition(both, -width, axis=1)[:, -width:]


class KNNProbe(FrozenFeatures):
    """Majority vote of the k most similar training images.

    Similarity is the cosine, s(u, v) = <u, v> / (||u|| ||v||), and 0 for a zero vector. The class
    with the most votes among the k nearest wins; equal votes are decided by the greater sum of
    similarities, then by the lower class index. Neighbours of equal similarity count in the order
    of the bank. Both sides are cut into chunks, so memory beyond the features themselves is
    O(bank_chunk * query_chunk + queries * k) and the answer does not depend on the chunks: float32
    products choose candidates, with a margin for their error, and float64 sums rank these.

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
            bank: [N, D] features of any float type, in memory or mapped, N >= k.
            queries: [Q, D].
        """
        self._check_bank(len(bank))
        found = np.empty((len(queries), self.k), np.int64)
        for group in _slices(len(queries), max(_GROUP_VALUES // queries.shape[1], 1)):
            best = self._candidates(bank, queries[group])
            for asked in _slices(len(best), self.query_chunk):
                found[group][asked] = self._ranked(bank, queries[group][asked], best[asked])
        return _index(found), _similarity(found)

    def _candidates(self, bank: np.ndarray, queries: np.ndarray) -> np.ndarray:
        """Keys [Q, M] of the most similar rows by float32 products."""
        best = np.full((len(queries), min(self.k + _SPARE, len(bank))), _NOTHING)
        units = _rounded_unit_rows(queries)
        for rows in _slices(len(bank), self.bank_chunk):
            columns = _rounded_unit_rows(bank[rows]).T
            for asked in _slices(len(queries), self.query_chunk):
                _merge(best[asked], units[asked] @ columns, rows.start)
        return best

    def _ranked(self, bank: np.ndarray, queries: np.ndarray, best: np.ndarray) -> np.ndarray:
        """Keys [Q, k] of the exact order, most similar first, from the candidates' keys."""
        best = np.sort(best, axis=1)[:, ::-1]
        similarity = _similarity(best)
        floor = similarity[:, self.k - 1].astype(np.float64) - _margin(queries.shape[1])
        near = similarity >= floor[:, None]
        # Where the last candidate is one that counts, others may have been turned away.
        crowded = near[:, -1] & (best.shape[1] < len(bank))
        found = np.empty((len(queries), self.k), np.int64)
        clear = np.flatnonzero(~crowded)
        if len(clear):
            width = int(near[clear].sum(axis=1).max())
            for part in _slices(len(clear), max(_RANKED_VALUES // (width * bank.shape[1]), 1)):
                rows = clear[part]
                index = _index(best[rows, :width])
                keys = _sortable(_exact(bank[index], queries[rows, None]), index)
                found[rows] = np.sort(keys, axis=1)[:, ::-1][:, : self.k]
        if crowded.any():
            found[crowded] = self._by_float64(bank, queries[crowded])
        return found

    def _by_float64(self, bank: np.ndarray, queries: np.ndarray) -> np.ndarray:
        """`_ranked` of queries with too many near candidates, such as those of collapsed features.

        Every row is compared in float64: several times the work.
        """
        best = np.full((len(queries), self.k), _NOTHING)
        units = _unit_rows(queries)
        for rows in _slices(len(bank), self.bank_chunk):
            keys = _sortable(units @ _unit_rows(bank[rows]).T, np.arange(rows.start, rows.stop))
            both = np.concatenate([best, keys], axis=1)
            best = np.partition(both, -self.k, axis=1)[:, -self.k :]
        return np.sort(best, axis=1)[:, ::-1]

    def scores(
        self, bank: np.ndarray, bank_labels: np.ndarray, queries: np.ndarray, num_classes: int
    ) -> np.ndarray:
        """float64 [Q, C]: votes, plus less than half a vote for the share of similarity."""
        indices, similarity = self.neighbours(bank, queries)
        return self._votes(bank_labels[indices], similarity, num_classes)

    def _votes(self, labels: np.ndarray, similarity: np.ndarray, num_classes: int) -> np.ndarray:
        votes = np.zeros((len(labels), num_classes))
        tie_break = np.zeros_like(votes)
        row = np.arange(len(labels))[:, None]
        np.add.at(votes, (row, labels), 1.0)
        np.add.at(tie_break, (row, labels), similarity.astype(np.float64))
        return votes + tie_break / (2.0 * self.k + 1.0)

    def check(self, data: EvaluationData) -> None:
        """As every probe, and that there are k images to be near to."""
        super().check(data)
        self._check_bank(data.train.num_images)

    def measure(self, splits: FeatureSplits) -> Measured:
        """The accuracy of the vote on the test split."""
        indices, similarity = self.neighbours(splits.train_features, splits.test_features)
        ranks = np.empty(len(indices), np.int64)
        # Scores of 50,000 queries for 1,000 classes are 400 MB: they are made in parts.
        for part in _slices(len(indices), _VOTING_ROWS):
            scores = self._votes(
                splits.train_labels[indices[part]], similarity[part], splits.num_classes
            )
            ranks[part] = label_ranks(scores, splits.test_labels[part])
        settings = {"k": self.k, "similarity": "cosine", "vote": "majority"}
        return Measured(rank_metrics(ranks, splits.num_classes), settings)
