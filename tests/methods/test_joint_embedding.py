"""What SimCLR v2, SimSiam, Barlow Twins, VICReg, W-MSE and SwAV have in common."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.backbones import set_binarize
from burn_tf.layers import BinaryConv2D
from burn_tf.methods.barlow_twins import BarlowTwins
from burn_tf.methods.base import SSLMethod
from burn_tf.methods.regularizers import EmbeddingRegularizer
from burn_tf.methods.simclr_v2 import SimCLRV2
from burn_tf.methods.simsiam import SimSiam
from burn_tf.methods.stages import next_stage
from burn_tf.methods.swav import SwAV
from burn_tf.methods.vicreg import VICReg
from burn_tf.methods.wmse import WMSE
from tests.methods.oracles import FIRST_STEP, loss_and_terms, small_backbone

Views = Callable[..., tuple[tf.Tensor, ...]]
Method = Callable[..., SSLMethod]
SIZES: dict[str, Any] = {"hidden_dim": 8, "embedding_dim": 4, "total_steps": 5, "seed": 3}
# Every option that the sizes do not set, unlike its default.
OPTIONS: dict[Method, dict[str, Any]] = {
    SimCLRV2: {"temperature": 0.3},
    SimSiam: {"predictor_dim": 3},
    BarlowTwins: {"redundancy_weight": 0.1},
    VICReg: {
        "invariance_weight": 2.0,
        "variance_weight": 3.0,
        "covariance_weight": 0.5,
        "invariance_form": "equation_5",
    },
    WMSE: {"epsilon": 0.01},
    SwAV: {
        "num_prototypes": 5,
        "temperature": 0.2,
        "epsilon": 0.1,
        "iterations": 2,
        "global_views": 1,
        "queue_size": 12,
        "queue_start": 4,
        "frozen_steps": 2,
    },
}
METHODS = pytest.mark.parametrize("method", OPTIONS, ids=lambda method: method.__name__)


def networks_of(model: SSLMethod) -> dict[str, tf.keras.layers.Layer]:
    groups = model.learning_networks().values()
    return {network.name: network for group in groups for network in group}


@METHODS
def test_config_and_stages_keep_everything(method: Method) -> None:
    model = method(
        set_binarize(small_backbone(), "activations"),
        **SIZES,
        **OPTIONS[method],
        regularizer=EmbeddingRegularizer(brownian=0.25),
        name="mine",
    )
    following = next_stage(model, "both", total_steps=9)
    assert following.name == "mine"
    assert following.total_steps == 9
    for name, value in {"seed": 3, **OPTIONS[method]}.items():
        if hasattr(model, name):
            assert getattr(following, name) == value, name
    before, after = model.get_config(), following.get_config()
    changed = {"backbone", "total_steps"}
    assert json.dumps({k: v for k, v in before.items() if k not in changed}) == json.dumps(
        {k: v for k, v in after.items() if k not in changed}
    )
    for name, network in networks_of(model).items():
        copy = networks_of(following)[name]
        assert copy is not network
        for a, b in zip(network.get_weights(), copy.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b, err_msg=name)
    kernels = [m for m in following.backbone.submodules if isinstance(m, BinaryConv2D)]
    assert {kernel.binarize for kernel in kernels} == {"both"}


@METHODS
def test_takes_the_regularizers_terms(views: Views, method: Method) -> None:
    weights = {"centroid": 0.5, "singular_value": 0.25, "brownian": 2.0}
    options = {**SIZES, **OPTIONS[method], "regularizer": EmbeddingRegularizer(**weights)}
    model = method(small_backbone(), **options)
    own = {name: float(weight) for name, weight in model.term_weights(FIRST_STEP).items()}
    loss, terms = loss_and_terms(model, views(3))
    assert set(weights) < set(terms)
    expected = sum({**own, **weights}.get(name, 1.0) * value for name, value in terms.items())
    assert loss == pytest.approx(expected, rel=1e-5)
    output = model.compute_terms(views(3), FIRST_STEP)
    assert output.embeddings.shape == output.targets.shape == (3, 6, 4)
    covariances = [np.cov(view.T, ddof=1) for view in output.embeddings.numpy()]
    singular = np.mean([np.square(c - np.eye(4)).sum() for c in covariances])
    assert terms["singular_value"] == pytest.approx(singular, rel=1e-4)


@METHODS
def test_targets_get_no_gradient(views: Views, method: Method) -> None:
    model = method(small_backbone(), **SIZES, **OPTIONS[method])
    with tf.GradientTape(persistent=True) as tape:
        output = model.compute_terms(views(2), FIRST_STEP)
        drawn, still = tf.reduce_sum(output.embeddings**2), tf.reduce_sum(output.targets**2)
    variables = model.trainable_variables
    assert all(gradient is None for gradient in tape.gradient(still, variables))
    assert any(gradient is not None for gradient in tape.gradient(drawn, variables))


@METHODS
def test_refuses(views: Views, method: Method) -> None:
    model = method(small_backbone(), **SIZES, **OPTIONS[method])
    with pytest.raises(UserError, match="`num_views` must be a whole number with 2 <= value"):
        model.fit(tf.data.Dataset.from_tensors(views(1)), verbose=0)
    with pytest.raises(UserError, match="`output_dim` must be a whole number"):
        method(small_backbone(), **{**SIZES, "embedding_dim": 0}, **OPTIONS[method])
    maps = tf.keras.Sequential([tf.keras.layers.Input((4, 4, 3))])
    with pytest.raises(UserError, match="`projector` must give one vector per image"):
        method(small_backbone(), projector=maps)
