"""One problem for every optimizer: fixed variables, and gradients that change at each update."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import tensorflow as tf

SHAPES = {"conv/kernel": (3, 3, 2, 4), "dense/kernel": (5, 3), "dense/bias": (3,), "scale": ()}


class Problem:
    """Start values, gradients per update, and ways to run an optimizer over them."""

    def __init__(self, updates: int = 6) -> None:
        rng = np.random.default_rng(0)
        self.start = {name: rng.standard_normal(shape) for name, shape in SHAPES.items()}
        self.gradients = [
            {name: rng.standard_normal(shape) for name, shape in SHAPES.items()}
            for _ in range(updates)
        ]

    def variables(self, dtype: str = "float32") -> list[tf.Variable]:
        return [tf.Variable(value, dtype=dtype, name=name) for name, value in self.start.items()]

    def run(
        self,
        optimizer: tf.keras.optimizers.Optimizer,
        variables: Sequence[tf.Variable],
        updates: slice = slice(None),
        graph: bool = True,
    ) -> list[np.ndarray]:
        apply = (
            tf.function(self._apply(optimizer, variables))
            if graph
            else (self._apply(optimizer, variables))
        )
        for gradients in self.gradients[updates]:
            apply(
                [
                    tf.constant(g, v.dtype)
                    for g, v in zip(gradients.values(), variables, strict=True)
                ]
            )
        return [variable.numpy() for variable in variables]

    def run_on(
        self,
        strategy: tf.distribute.Strategy,
        optimizer: tf.keras.optimizers.Optimizer,
        variables: Sequence[tf.Variable],
    ) -> list[list[np.ndarray]]:
        """Replica r gives (r + 1) / 3 of each gradient: their sum is the gradient."""
        apply = self._apply(optimizer, variables)

        @tf.function
        def step(gradients: list[tf.Tensor]) -> None:
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
            share = tf.cast(replica + 1, tf.float32) / 3
            apply([share * gradient for gradient in gradients])

        for gradients in self.gradients:
            tensors = [tf.constant(g, tf.float32) for g in gradients.values()]
            strategy.run(step, args=(tensors,))
        local = strategy.experimental_local_results
        return [[copy.numpy() for copy in local(variable)] for variable in variables]

    @staticmethod
    def _apply(optimizer: tf.keras.optimizers.Optimizer, variables: Sequence[tf.Variable]):
        def apply(gradients: Sequence[tf.Tensor]) -> None:
            optimizer.apply_gradients(zip(gradients, variables, strict=True))

        optimizer.build(variables)
        return apply


@pytest.fixture
def problem() -> Problem:
    return Problem()
