"""Files without some of their operators: the others run on what is stored in their place."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.export import ExportedModel
from burn_tf.export.flatbuffer import read_flatbuffer
from burn_tf.export.lce_profiler import without
from burn_tf.export.runtime import load_runtime


def test_all_others_stay_and_the_file_runs(exported: ExportedModel, images: np.ndarray) -> None:
    before = read_flatbuffer(exported.flatbuffer)
    changed = without(exported.flatbuffer, ["LceBconv2d", "LceQuantize"])
    after = read_flatbuffer(changed)
    gone = {"LceBconv2d", "LceQuantize"}
    assert gone <= set(before.counts())
    assert after.counts() == {k: v for k, v in before.counts().items() if k not in gone}
    stored = [op.outputs[0] for op in before.named("LceBconv2d")]
    held = {t.name: t for op in after.operators for t in op.inputs if t is not None}
    assert [held[t.name].shape for t in stored if t is not None] == [(1, 10, 10, 40)] * 2
    assert np.abs(held[stored[0].name].array()).mean() == pytest.approx(0.8, abs=0.05)
    assert load_runtime(exported.flatbuffer).run(images[:1]).shape == (1, 7)
    # Nothing of LCE is left in it, so that the stock runtime runs it too.
    assert np.isfinite(load_runtime(changed).run(images[:1])).all()


def test_what_does_not_depend_on_them_is_computed_as_before() -> None:
    def forward(x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.exp(x), tf.nn.relu(tf.abs(x) + tf.math.ceil(x))

    concrete = tf.function(forward, [tf.TensorSpec([1, 5])]).get_concrete_function()
    file = bytes(tf.lite.TFLiteConverter.from_concrete_functions([concrete]).convert())
    given = np.linspace(-2, 2, 5).astype(np.float32)[None]
    exact, changed = load_runtime(without(file, ["ABS"])).run_all(given)
    np.testing.assert_allclose(exact, np.exp(given), rtol=1e-5)
    wanted = np.maximum(np.abs(given) + np.ceil(given), 0)
    assert not np.allclose(changed, wanted)
    np.testing.assert_allclose(load_runtime(file).run_all(given)[1], wanted)


def test_a_kind_that_is_not_there(exported: ExportedModel) -> None:
    with pytest.raises(UserError, match=r"`kinds` must be among .*'LceBconv2d': 2.*\['EXP'\]"):
        without(exported.flatbuffer, ["EXP"])
