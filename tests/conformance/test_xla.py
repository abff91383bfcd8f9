"""Steps compile with XLA, which TPUs need: no shape may depend on a value."""

from __future__ import annotations

import pytest
import tensorflow as tf

from tests.conformance import cases, trained

# XLA draws other numbers from the same seeds.
DRAWS = {"InfoMin", "MSBReg"}


# By the micro-batches of an update.
OPTIMIZERS = {1: "FusedAdam", 2: "LARS"}


def _logs(case: cases.MethodCase, accumulate: int, jit_compile: bool) -> dict[str, float]:
    method = cases.build(case)
    optimizer = cases.build(cases.OPTIMIZERS[OPTIMIZERS[accumulate]])
    method.compile(optimizer, accumulate=accumulate)
    (views,) = trained.views_of(case)
    logs = tf.function(method.train_step, jit_compile=jit_compile)(views)
    assert int(method.update_step) == 1
    return {name: float(value) for name, value in logs.items()}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("accumulate", "precision", "tolerance"), [(1, "mixed_bfloat16", 0.1), (2, "float32", 0.01)]
)
@pytest.mark.parametrize("name", cases.METHODS)
def test_step_compiles(name: str, accumulate: int, precision: str, tolerance: float) -> None:
    tf.keras.mixed_precision.set_global_policy(precision)
    compiled = _logs(cases.METHODS[name], accumulate, jit_compile=True)
    plain = _logs(cases.METHODS[name], accumulate, jit_compile=False)
    assert compiled.keys() == plain.keys()
    assert compiled["grad_norm"] > 0
    tolerance = 0.5 if name in DRAWS else tolerance
    assert compiled["loss"] == pytest.approx(plain["loss"], rel=tolerance, abs=tolerance / 5)
