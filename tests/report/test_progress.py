"""The callback counts steps over epochs, resumes, and shows logged numbers."""

from __future__ import annotations

import io

import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.report.progress import ProgressCallback


def _fit(callback: ProgressCallback, epochs: int, **compile_arguments: int) -> None:
    model = tf.keras.Sequential([tf.keras.layers.Dense(1)])
    model.compile("sgd", "mse", **compile_arguments)
    x = tf.ones([12, 2])
    model.fit(x, x[:, :1], batch_size=2, epochs=epochs, verbose=0, callbacks=[callback])


def test_steps_add_up_over_epochs():
    out = io.StringIO()
    _fit(ProgressCallback("toy", 18, stream=out), epochs=3)
    assert "toy [####################] 100 %  18/18" in out.getvalue()
    assert "  loss " in out.getvalue()


def test_several_steps_per_call_are_counted():
    out = io.StringIO()
    _fit(ProgressCallback("toy", 12, stream=out), epochs=2, steps_per_execution=3)
    assert "12/12" in out.getvalue()


def test_a_resumed_training_begins_where_it_stopped():
    out = io.StringIO()
    _fit(ProgressCallback("toy", 24, start_step=12, stream=out), epochs=1)
    assert " 75 %  18/24" in out.getvalue()


def test_only_the_metrics_asked_for_are_shown():
    out = io.StringIO()
    _fit(ProgressCallback("toy", 6, metrics=["absent"], stream=out), epochs=1)
    assert "loss" not in out.getvalue()


def test_a_second_fit_shows_a_second_line():
    out = io.StringIO()
    callback = ProgressCallback("toy", 6, stream=out)
    _fit(callback, epochs=1)
    _fit(callback, epochs=1)
    assert out.getvalue().count("6/6") == 2


def test_wrong_counts_are_refused():
    with pytest.raises(UserError, match="`start_step`"):
        ProgressCallback("toy", 6, start_step=-1)
