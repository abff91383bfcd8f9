"""The protocol `embedding`; its measures are held to their formulas in tests/analysis."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.analysis import embedding
from burn_tf.data import load_source
from burn_tf.evaluation import EmbeddingProbe, EvaluationData, Result, raw_pixels


@pytest.fixture(scope="module")
def digits():
    return EvaluationData(load_source("digits"), load_source("digits", split="test"), image_size=8)


def test_figures_are_those_of_the_analysis(digits):
    result = EmbeddingProbe(images=50, seed=3).run(raw_pixels, digits)
    row = embedding({"p": (raw_pixels, 8)}, digits.test, images=50, seed=3).rows[0]
    assert result.protocol == "embedding"
    for name in ("alignment", "uniformity", "effective rank", "feature deviation"):
        assert result.metrics[name.replace(" ", "_")] == pytest.approx(row[name])
    assert result.metrics["collapsed"] == 0.0
    assert result.provenance["settings"] == {"images": 50, "policy": None, "seed": 3}
    assert result.provenance["feature_dim"] == 192
    assert Result.from_json(result.to_json()) == result


def point(images):
    return tf.ones([tf.shape(images)[0], 5])


def line(images):
    """Two opposite directions: a deviation of 1 in each of two dimensions, and a rank of one."""
    sign = tf.where(tf.reduce_mean(images, axis=[1, 2, 3]) > -0.9, 1.0, -1.0)
    return sign[:, None] * tf.ones([1, 2])


@pytest.mark.parametrize("network", [point, line])
def test_collapse_is_flagged(digits, network):
    metrics = EmbeddingProbe(images=60).run(network, digits).metrics
    assert metrics["collapsed"] == 1.0 and metrics["effective_rank"] <= 1.0 + 1e-6
    assert np.isfinite(list(metrics.values())).all()


def test_one_image_and_bad_arguments(make_source, digits):
    single = make_source(np.zeros((1, 8, 8, 3), np.uint8), None)
    with pytest.raises(UserError, match="at least 2 images"):
        EmbeddingProbe().run(raw_pixels, EvaluationData(digits.train, single, 8))
    with pytest.raises(UserError, match="`images`"):
        EmbeddingProbe(images=1)
    with pytest.raises(UserError, match="`seed`"):
        EmbeddingProbe(seed=-1)
