"""SGD whose schedule some variables do not follow."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import tensorflow as tf

from burn_tf._checks import UserError, check_range


@tf.keras.utils.register_keras_serializable(package="burn_tf")
class SteadySGD(tf.keras.optimizers.SGD):
    """SGD with momentum that keeps one rate for chosen variables while the others' falls.

    With `mu = momentum`, `beta = weight_decay`:

        w = w - r beta w;   v = mu v - r grad;   w = w + v
        r = steady_rate for the variables given to `keep_steady`, else learning_rate

    A `burn_tf` method whose predictor should be kept steady gives it at `compile`: SimSiam.

    Args:
        learning_rate: number or schedule.
        momentum: mu, in [0, 1). Default 0.9, the papers'.
        steady_rate: of the chosen variables, above 0; None: `learning_rate`, a number then.
        weight_decay: beta, decoupled as in every Keras optimizer. Default none.
        clipnorm, clipvalue, global_clipnorm: as in every Keras optimizer. Default none.
        name: of the optimizer.

    Raises:
        ValueError: for a number out of range, or no `steady_rate` beside a schedule.

    Example:
        >>> import burn_tf, tensorflow as tf
        >>> optimizer = burn_tf.optimizers.SteadySGD(0.0, steady_rate=0.5, momentum=0.0)
        >>> moved, kept = tf.Variable(1.0), tf.Variable(1.0)
        >>> optimizer.keep_steady([moved])
        >>> _ = optimizer.apply_gradients([(tf.constant(1.0), moved), (tf.constant(1.0), kept)])
        >>> float(moved), float(kept)
        (0.5, 1.0)

    Source: Chen & He (SimSiam), CVPR 2021, sec. 4.2, "predictor", arXiv 2011.10566.

    Departs from source: decay goes past the momentum; see `burn_tf.recipes.imagenet`.
    """

    def __init__(
        self,
        learning_rate: float | tf.keras.optimizers.schedules.LearningRateSchedule = 0.01,
        momentum: float = 0.9,
        steady_rate: float | None = None,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        name: str = "SteadySGD",
    ) -> None:
        check_range("momentum", momentum, low=0.0, high=1.0, high_open=True)
        clips = {"clipnorm": clipnorm, "clipvalue": clipvalue, "global_clipnorm": global_clipnorm}
        common = {"weight_decay": weight_decay, "jit_compile": False, "name": name}
        super().__init__(learning_rate, momentum, **common, **clips)
        if steady_rate is None:
            if not isinstance(learning_rate, (int, float)):
                raise UserError("`steady_rate` must be given beside a schedule. Received: None")
            steady_rate = float(learning_rate)
        self.steady_rate = check_range("steady_rate", steady_rate, low=0.0, low_open=True)
        self._steady: set[Any] = set()

    def keep_steady(self, variables: Iterable[tf.Variable]) -> None:
        """Choose the variables that have `steady_rate`, in place of those chosen before."""
        self._steady = {self._var_key(variable) for variable in variables}

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable) -> None:
        """Updates one variable and its velocity."""
        if self._var_key(variable) not in self._steady:
            super().update_step(gradient, variable)
            return
        gradient = tf.cast(tf.convert_to_tensor(gradient), variable.dtype)
        rate = tf.constant(self.steady_rate, variable.dtype)
        if self.weight_decay is not None and super()._use_weight_decay(variable):
            variable.assign_sub(rate * tf.cast(self.weight_decay, variable.dtype) * variable)
        velocity = self.momentums[self._index_dict[self._var_key(variable)]]
        velocity.assign(tf.constant(self.momentum, variable.dtype) * velocity - rate * gradient)
        variable.assign_add(velocity)

    def _use_weight_decay(self, variable: tf.Variable) -> bool:
        # Keras would take the schedule's rate for it.
        steady = self._var_key(variable) in self._steady
        return not steady and bool(super()._use_weight_decay(variable))

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        kept = ("name", "learning_rate", "momentum", "weight_decay")
        clips = ("clipnorm", "clipvalue", "global_clipnorm")
        return {name: config[name] for name in (*kept, *clips)} | {"steady_rate": self.steady_rate}
