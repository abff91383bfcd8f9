"""The nearest-neighbour probe against brute force, its ties and its memory."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from burn_tf._checks import UserError
from burn_tf.evaluation import KNNProbe, knn, raw_pixels
from burn_tf.evaluation.metrics import classification_metrics
from burn_tf.evaluation.splits import split_features


def _brute_force(bank, queries, k):
    """Python's sort on (similarity as float32, index): no chunk, no key, no partition."""
    unit = [row / max(np.linalg.norm(row), 1e-300) for row in bank.astype(np.float64)]
    found = []
    for query in queries.astype(np.float64):
        query = query / max(np.linalg.norm(query), 1e-300)
        similarity = [np.float32(query @ row) for row in unit]
        found.append(sorted(range(len(bank)), key=lambda i: (-similarity[i], i))[:k])
    return np.array(found)


@pytest.mark.parametrize(
    ("query_chunk", "bank_chunk"), [(512, 8192), (7, 13), (1, 1), (30, 5), (3, 97)]
)
@pytest.mark.parametrize("k", [1, 5, 97])
def test_any_chunks_equal_brute_force(query_chunk, bank_chunk, k):
    rng = np.random.default_rng(k)
    bank = rng.normal(size=(97, 6)).astype(np.float32)
    bank[40:60] = bank[:20]
    queries = rng.normal(size=(23, 6)).astype(np.float32)
    queries[:5] = bank[:5]
    indices, similarity = KNNProbe(k, query_chunk, bank_chunk).neighbours(bank, queries)
    np.testing.assert_array_equal(indices, _brute_force(bank, queries, k))
    assert similarity.dtype == np.float32 and (np.diff(similarity, axis=1) <= 0).all()


def _near_ties(rng, kind):
    """Banks whose neighbours float32 products put in a wrong order, or cannot tell apart."""
    bank = rng.normal(size=(300, 40))
    if kind == "close":
        # Copies, each a little farther from the query than the one before: 1e-8 to 3e-6.
        bank = np.ones((300, 40)) + 1e-4 * np.sqrt(np.arange(300))[:, None] * np.sign(bank)
    elif kind == "collapsed":
        bank = 1.0 + 1e-9 * bank
    elif kind == "ascending":
        bank = bank[np.argsort(bank @ np.ones(40))]
    elif kind == "copies":
        bank = bank[np.arange(300) % 3]
    else:
        bank *= 10.0 ** rng.integers(-30, 30, (300, 1))
        bank[::50] = 0.0
    return bank


@pytest.mark.parametrize("kind", ["close", "collapsed", "ascending", "copies", "lengths"])
@pytest.mark.parametrize(("k", "spare"), [(3, 64), (20, 5), (3, 0)])
def test_near_ties_equal_brute_force(monkeypatch, kind, k, spare):
    rng = np.random.default_rng(1)
    bank = _near_ties(rng, kind)
    queries = np.concatenate([np.ones((1, 40)), bank[50:52], rng.normal(size=(6, 40))])
    expected = _brute_force(bank, queries, k)
    monkeypatch.setattr(knn, "_SPARE", spare)
    for chunks in ((512, 8192), (4, 32), (1, 299)):
        indices, _ = KNNProbe(k, *chunks).neighbours(bank, queries)
        np.testing.assert_array_equal(indices, expected)


def test_only_crowded_queries_are_compared_in_float64(monkeypatch):
    rng = np.random.default_rng(0)
    bank = rng.normal(size=(500, 16))
    bank[200:] = 1.0
    seen = []
    whole = KNNProbe._by_float64

    def counted(probe, bank, queries):
        seen.append(len(queries))
        return whole(probe, bank, queries)

    monkeypatch.setattr(KNNProbe, "_by_float64", counted)
    # The first query's neighbours are among 300 equal rows, the others' are not.
    queries = np.concatenate([np.ones((1, 16)), bank[:9]])
    indices, _ = KNNProbe(3).neighbours(bank, queries)
    assert seen == [1]
    assert indices[0].tolist() == [200, 201, 202] and indices[1:, 0].tolist() == list(range(9))


def test_groups_of_queries_do_not_matter(monkeypatch):
    rng = np.random.default_rng(2)
    bank, queries = rng.normal(size=(200, 12)), rng.normal(size=(50, 12))
    expected = KNNProbe(5).neighbours(bank, queries)
    monkeypatch.setattr(knn, "_GROUP_VALUES", 7 * 12)
    monkeypatch.setattr(knn, "_RANKED_VALUES", 1)
    for found, whole in zip(KNNProbe(5).neighbours(bank, queries), expected, strict=True):
        np.testing.assert_array_equal(found, whole)


def test_a_mapped_bank_in_float16(tmp_path: Path):
    rng = np.random.default_rng(3)
    bank, queries = (rng.normal(size=(size, 8)).astype(np.float16) for size in (120, 10))
    np.save(tmp_path / "bank.npy", bank)
    mapped = np.load(tmp_path / "bank.npy", mmap_mode="r")
    indices, _ = KNNProbe(6, 4, 16).neighbours(mapped, queries)
    np.testing.assert_array_equal(indices, _brute_force(bank, queries, 6))


def test_similarity_is_the_cosine_also_when_negative():
    bank = np.array([[-1.0, 0.0], [0.0, -2.0], [3.0, 4.0], [0.0, 0.0]])
    indices, similarity = KNNProbe(4).neighbours(bank, np.array([[10.0, 0.0]]))
    assert indices.tolist() == [[2, 1, 3, 0]]
    np.testing.assert_allclose(similarity, [[0.6, 0.0, 0.0, -1.0]], rtol=1e-6)


def test_lengths_do_not_matter():
    rng = np.random.default_rng(0)
    bank, queries = rng.normal(size=(50, 4)), rng.normal(size=(9, 4))
    scaled = bank * rng.uniform(0.1, 10.0, (50, 1)), queries * rng.uniform(0.1, 10.0, (9, 1))
    expected = KNNProbe(7).neighbours(bank, queries)[0]
    np.testing.assert_array_equal(KNNProbe(7).neighbours(*scaled)[0], expected)


def test_equal_similarity_counts_in_the_order_of_the_bank():
    bank = np.tile([[1.0, 0.0]], (6, 1))
    assert KNNProbe(3, bank_chunk=2).neighbours(bank, bank[:1])[0].tolist() == [[0, 1, 2]]


def test_majority_beats_similarity():
    bank = np.array([[1.0, 0.0], [0.8, 0.6], [0.6, 0.8]])
    scores = KNNProbe(3).scores(bank, np.array([0, 1, 1]), bank[:1], 2)
    assert scores.argmax() == 1


@pytest.mark.parametrize("labels", [[0, 1, 1, 0], [1, 0, 0, 1]])
def test_equal_votes_go_to_the_more_similar_class(labels):
    bank = np.array([[1.0, 0.0], [0.8, 0.6], [0.6, 0.8], [0.5, np.sqrt(0.75)]])
    scores = KNNProbe(4).scores(bank, np.array(labels), bank[:1], 2)
    assert scores.argmax() == labels[0]


def test_equal_votes_and_similarities_go_to_the_lower_class():
    bank = np.tile([[1.0, 0.0]], (4, 1))
    scores = KNNProbe(4).scores(bank, np.array([2, 1, 2, 1]), bank[:1], 3)
    assert scores[0, 1] == scores[0, 2] and scores.argmax() == 1


def test_memory_is_bounded_by_the_chunks():
    rng = np.random.default_rng(0)
    bank = rng.normal(size=(20_000, 32)).astype(np.float16)
    queries = rng.normal(size=(2_000, 32)).astype(np.float16)
    probe = KNNProbe(20, query_chunk=128, bank_chunk=1024)
    tracemalloc.start()
    probe.neighbours(bank, queries)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16e6  # all similarities at once would be 160 MB in float32


def test_golden_features_give_the_golden_accuracy(golden):
    result = KNNProbe(5).run(raw_pixels, golden)
    assert result.protocol == "knn:5"
    assert result.metrics == {"top1": 92.5}
    assert result.provenance["settings"]["k"] == 5
    assert result.provenance["data"]["train"]["num_images"] == 400


def test_k_larger_than_the_bank_is_refused(golden):
    with pytest.raises(
        UserError, match=r"at most the number of training images, 400\. Received: 401"
    ):
        KNNProbe(401).run(lambda images: pytest.fail("features were computed"), golden)
    with pytest.raises(UserError, match=r"3\. Received: 4"):
        KNNProbe(4).neighbours(np.eye(3), np.eye(3))


def test_votes_in_parts_are_the_whole(golden, monkeypatch):
    probe = KNNProbe(5)
    splits = split_features(raw_pixels, golden)
    scores = probe.scores(
        splits.train_features, splits.train_labels, splits.test_features, splits.num_classes
    )
    monkeypatch.setattr(knn, "_VOTING_ROWS", 7)
    found = probe.measure(splits).metrics
    assert found == classification_metrics(scores, splits.test_labels) == {"top1": 92.5}


@pytest.mark.parametrize(
    "arguments", [{"k": 0}, {"k": 1.5}, {"query_chunk": 0}, {"bank_chunk": -1}]
)
def test_arguments_are_checked(arguments):
    with pytest.raises(UserError, match=next(iter(arguments))):
        KNNProbe(**arguments)
