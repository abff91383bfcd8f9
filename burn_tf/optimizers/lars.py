"""LARS: momentum with a rate of its own for every layer (You et al., 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from burn_tf._checks import check_range
from burn_tf.optimizers.parameter_groups import check_patterns, is_exempt


@tf.keras.utils.register_keras_serializable(package="burn_tf")
class LARS(tf.keras.optimizers.Optimizer):
    """Layer-wise adaptive rate scaling, as BYOL and its followers use it.

    With `beta = lars_weight_decay`, `eta = trust_coefficient`, `mu = momentum`:

        u = grad + beta w
        u = u * eta ||w|| / ||u||       (unchanged where either norm is 0)
        m = mu m + u
        w = w - learning_rate m         (nesterov: w - learning_rate (u + mu m))

    Exempt variables (of rank 1 or less: biases, norm parameters; or named by a pattern) have
    neither decay nor scaling: for them u = grad, at `exempt_rate` times the rate.

    Args:
        learning_rate: number or schedule. MSBReg's: base * batch / 256 * K.
        momentum: mu, in [0, 1). Default 0.9, the papers'.
        lars_weight_decay: beta, 0 or more. Default 1e-5, MSBReg's. (Keras' own `weight_decay` is
            another thing: it is decoupled from the gradient.)
        trust_coefficient: eta, above 0. Default 1e-3, You et al.'s and BYOL's.
        exempt: further exempt variables, regular expressions searched in their names. Default none.
        exempt_rate: share of the rate that exempt variables have, 0 or more. Default 1; Barlow
            Twins' authors give them a rate of their own.
        nesterov: whether to look ahead. Default False, the papers'.
        clipnorm, clipvalue, global_clipnorm: as in every Keras optimizer. Default none.
        name: of the optimizer.

    Raises:
        ValueError: for a number out of range, or a pattern that is no regular expression.

    Example:
        >>> import burn_tf, tensorflow as tf
        >>> optimizer = burn_tf.optimizers.LARS(0.4, lars_weight_decay=0.0)
        >>> weight = tf.Variable([[3.0, 4.0]])
        >>> _ = optimizer.apply_gradients([(tf.constant([[0.0, 50.0]]), weight)])
        >>> [round(value, 4) for value in weight.numpy().ravel().tolist()]
        [3.0, 3.998]

    Source: You, Gitman & Ginsburg, arXiv 1708.03888, Algorithm 1; Grill et al., arXiv 2006.07733,
    sec. 3.3.

    Departs from source: the rate multiplies the momentum buffer, and the norm is taken of the sum
    of gradient and decay (BYOL's form); You et al. put the rate into the buffer and add the norms.
    """

    def __init__(
        self,
        learning_rate: float | tf.keras.optimizers.schedules.LearningRateSchedule = 0.1,
        momentum: float = 0.9,
        lars_weight_decay: float = 1e-5,
        trust_coefficient: float = 1e-3,
        exempt: Sequence[str] = (),
        exempt_rate: float = 1.0,
        nesterov: bool = False,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        name: str = "LARS",
    ) -> None:
        super().__init__(
            name=name,
            weight_decay=None,
            clipnorm=clipnorm,
            clipvalue=clipvalue,
            global_clipnorm=global_clipnorm,
        )
        self._learning_rate = self._build_learning_rate(learning_rate)
        self.momentum = check_range("momentum", momentum, low=0.0, high=1.0, high_open=True)
        self.lars_weight_decay = check_range("lars_weight_decay", lars_weight_decay, low=0.0)
        self.trust_coefficient = check_range(
            "trust_coefficient", trust_coefficient, low=0.0, low_open=True
        )
        self.exempt = check_patterns("exempt", exempt)
        self.exempt_rate = check_range("exempt_rate", exempt_rate, low=0.0)
        self.nesterov = bool(nesterov)

    def build(self, var_list: Sequence[tf.Variable]) -> None:
        """Creates a momentum buffer for every variable, once."""
        super().build(var_list)
        if getattr(self, "_built", False):
            return
        self._built = True
        self._buffers = [self.add_variable_from_reference(variable, "m") for variable in var_list]

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable) -> None:
        """Updates one variable and its buffer."""
        buffer = self._buffers[self._index_dict[self._var_key(variable)]]
        update = tf.cast(tf.convert_to_tensor(gradient), variable.dtype)
        rate = tf.cast(self.learning_rate, variable.dtype)
        if is_exempt(variable, self.exempt):
            rate = rate * tf.constant(self.exempt_rate, variable.dtype)
        else:
            update = self._adapted(update, tf.convert_to_tensor(variable))
        momentum = tf.constant(self.momentum, variable.dtype)
        buffer.assign(momentum * buffer + update)
        direction = update + momentum * buffer if self.nesterov else buffer
        variable.assign_sub(rate * direction)

    def _adapted(self, gradient: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
        """Gradient with decay, scaled to `trust_coefficient` times the weight's norm."""
        update = gradient + tf.constant(self.lars_weight_decay, weight.dtype) * weight
        weight_norm, update_norm = tf.norm(weight), tf.norm(update)
        usable = tf.logical_and(weight_norm > 0, update_norm > 0)
        trust = tf.constant(self.trust_coefficient, weight.dtype) * weight_norm
        return update * tf.where(usable, trust / update_norm, tf.ones_like(trust))

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "learning_rate": self._serialize_hyperparameter(self._learning_rate),
            "momentum": self.momentum,
            "lars_weight_decay": self.lars_weight_decay,
            "trust_coefficient": self.trust_coefficient,
            "exempt": list(self.exempt),
            "exempt_rate": self.exempt_rate,
            "nesterov": self.nesterov,
            "clipnorm": self.clipnorm,
            "clipvalue": self.clipvalue,
            "global_clipnorm": self.global_clipnorm,
        }
