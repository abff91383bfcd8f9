"""What a method would silently ignore, it refuses in one line."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.methods import SimSiam
from tests.methods.oracles import small_backbone

IMAGES = np.zeros((4, 8, 8, 3), np.float32)
VIEWS = tf.data.Dataset.from_tensors((IMAGES, IMAGES))


@pytest.fixture
def method() -> SimSiam:
    model = SimSiam(small_backbone(), hidden_dim=4, embedding_dim=4, predictor_dim=2)
    model.compile(tf.keras.optimizers.SGD(0.1))
    return model


@pytest.mark.parametrize("name", ["loss", "metrics", "loss_weights", "weighted_metrics"])
def test_compile_refuses(method: SimSiam, name: str) -> None:
    with pytest.raises(UserError, match=rf"^`{name}` must be left out: .* Received: list$"):
        method.compile("sgd", **{name: ["mse"]})
    method.compile("sgd", **{name: None})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("validation_data", VIEWS),
        ("validation_split", 0.5),
        ("sample_weight", np.ones(4)),
        ("class_weight", {0: 1.0}),
    ],
)
def test_fit_refuses(method: SimSiam, name: str, value: Any) -> None:
    with pytest.raises(UserError, match=rf"^`{name}` must be left out: .* Received: \w+$"):
        method.fit(VIEWS, **{name: value})
    assert method.update_step.numpy() == 0


def test_fit_refuses_by_position_too(method: SimSiam) -> None:
    # y, batch_size, epochs, verbose, callbacks, validation_split, validation_data
    with pytest.raises(UserError, match="`validation_data`"):
        method.fit(VIEWS, None, None, 1, 0, None, 0.0, VIEWS)


def test_fit_leaves_unknown_arguments_to_keras(method: SimSiam) -> None:
    with pytest.raises(TypeError, match="epoch"):
        method.fit(VIEWS, epoch=1)


def test_evaluation_is_refused(method: SimSiam) -> None:
    with pytest.raises(UserError, match=r"burn_tf.evaluation .* Received: evaluate\(\)"):
        method.evaluate(VIEWS)
    with pytest.raises(UserError, match=r"Received: test_on_batch\(\)"):
        method.test_on_batch(IMAGES)
