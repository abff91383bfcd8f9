"""What Keras asks of any model, asked of a method."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.methods import MoCoV2, MSBReg, SimSiam
from tests.methods.oracles import small_backbone


@pytest.fixture
def method() -> SimSiam:
    return SimSiam(small_backbone(), hidden_dim=4, embedding_dim=4, predictor_dim=2)


def test_saving_a_method_that_was_never_called_warns_of_nothing(
    method: SimSiam, tmp_path: Path
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        method.save(tmp_path / "method.keras")
    again = tf.keras.models.load_model(tmp_path / "method.keras")
    assert again.count_params() == method.count_params()


def test_summary_of_a_method_that_was_never_called(method: SimSiam) -> None:
    lines: list[str] = []
    method.summary(print_fn=lines.append)
    assert "projector" in "\n".join(lines)


def test_a_backbone_of_a_class_of_its_own_is_refused() -> None:
    class Own(tf.keras.Model):
        def call(self, images: tf.Tensor) -> tf.Tensor:
            return tf.reduce_mean(images, axis=[1, 2])

    with pytest.raises(UserError, match=r"^`backbone` must give one .* Received: .* None$"):
        SimSiam(Own())


@pytest.mark.parametrize("decay", [0, 0.996])
def test_a_number_in_place_of_a_schedule_is_refused(decay: float) -> None:
    match = rf"^`ema_decay` must be a schedule, such as burn_tf.schedules.EMADecay.*: {decay}$"
    for kind in (MSBReg, MoCoV2):
        with pytest.raises(UserError, match=match):
            kind(small_backbone(), hidden_dim=4, embedding_dim=4, ema_decay=decay)
