"""Values that change over training: functions of the number of optimizer updates made so far.

Each is a Keras `LearningRateSchedule`, hence serialisable, and may be called with a Python number,
a tensor or a variable. Before update 0 and after the last one they hold their end values.
"""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

from burn_tf._checks import check_choice, check_integer, check_range

FEATURE_WEIGHT_KINDS = ("cosine", "constant", "step")
SCALING_RULES = ("linear", "sqrt")
REFERENCE_BATCH = 256


def _fraction(step: tf.Tensor | int, total_steps: int) -> tf.Tensor:
    """step / total_steps as float32, kept within 0 and 1."""
    return tf.clip_by_value(tf.cast(step, tf.float32) / total_steps, 0.0, 1.0)


def _half_cosine(start: float, end: float, fraction: tf.Tensor) -> tf.Tensor:
    """From `start` at fraction 0 to `end` at fraction 1 along half a cosine wave."""
    return end - (end - start) * (tf.cos(math.pi * fraction) + 1.0) / 2.0


@tf.keras.utils.register_keras_serializable(package="burn_tf")
class FeatureWeight(tf.keras.optimizers.schedules.LearningRateSchedule):
    """BURN's weight lambda(t) of the feature term against the divergence term.

    With `t = step`, `T_max = total_steps`, `lambda_0 = start`, `lambda_T = end`:

        cosine:    lambda_T - (lambda_T - lambda_0) (cos(pi t / T_max) + 1) / 2
        constant:  lambda_T
        step:      lambda_0 for t < T_max / 2, then lambda_T

    Args:
        total_steps: optimizer updates in the stage, at least 1.
        start: lambda_0, in [0, 1]. Default 0.9, the paper's.
        end: lambda_T, in [0, 1]. Default 0.7, the paper's; the value of `"constant"` as well.
        kind: `"cosine"` (default, the paper's), `"constant"` or `"step"` (both its Table 7).

    Raises:
        ValueError: for an unknown kind or a number out of range.

    Example:
        >>> import burn_tf
        >>> weight = burn_tf.schedules.FeatureWeight(total_steps=100)
        >>> [round(float(weight(step)), 3) for step in (0, 50, 100)]
        [0.9, 0.8, 0.7]

    Source: Kim & Choi, CVPR 2022, sec. 3.3, eq. 3 and Table 7, arXiv 2110.08851.

    Departs from source: none.
    """

    def __init__(
        self, total_steps: int, start: float = 0.9, end: float = 0.7, kind: str = "cosine"
    ) -> None:
        self.total_steps = check_integer("total_steps", total_steps, low=1)
        self.start = check_range("start", start, low=0.0, high=1.0)
        self.end = check_range("end", end, low=0.0, high=1.0)
        self.kind = check_choice("kind", kind, FEATURE_WEIGHT_KINDS)

    def __call__(self, step: tf.Tensor | int) -> tf.Tensor:
        if self.kind == "constant":
            return tf.constant(self.end, tf.float32)
        if self.kind == "step":
            late = 2 * tf.cast(step, tf.int64) >= self.total_steps
            return tf.where(late, tf.constant(self.end), tf.constant(self.start))
        return _half_cosine(self.start, self.end, _fraction(step, self.total_steps))

    def get_config(self) -> dict[str, Any]:
        return {
            "total_steps": self.total_steps,
            "start": self.start,
            "end": self.end,
            "kind": self.kind,
        }


@tf.keras.utils.register_keras_serializable(package="burn_tf")
class EMADecay(tf.keras.optimizers.schedules.LearningRateSchedule):
    """Decay tau_t of a target network's moving average, from `base` to `end` along half a cosine.

    With `t = step`, `T = total_steps`:

        end - (end - base) (cos(pi t / T) + 1) / 2

    Args:
        total_steps: optimizer updates in the run, at least 1.
        base: at the start, in [0, 1]. Default 0.99; BYOL's paper trains 300 epochs with it, and
            1000 epochs with 0.996.
        end: at the end, in [0, 1]. Default 1.0, BYOL's. `end=base` keeps the decay constant.

    Raises:
        ValueError: for a number out of range.

    Example:
        >>> import burn_tf
        >>> decay = burn_tf.schedules.EMADecay(total_steps=10)
        >>> [round(float(decay(step)), 4) for step in (0, 5, 10)]
        [0.99, 0.995, 1.0]

    Source: Grill et al., NeurIPS 2020, sec. 3.3, arXiv 2006.07733; used by Moon et al. (MSBReg).

    Departs from source: none.
    """

    def __init__(self, total_steps: int, base: float = 0.99, end: float = 1.0) -> None:
        self.total_steps = check_integer("total_steps", total_steps, low=1)
        self.base = check_range("base", base, low=0.0, high=1.0)
        self.end = check_range("end", end, low=0.0, high=1.0)

    def __call__(self, step: tf.Tensor | int) -> tf.Tensor:
        return _half_cosine(self.base, self.end, _fraction(step, self.total_steps))

    def get_config(self) -> dict[str, Any]:
        return {"total_steps": self.total_steps, "base": self.base, "end": self.end}


@tf.keras.utils.register_keras_serializable(package="burn_tf")
class WarmupCosine(tf.keras.optimizers.schedules.LearningRateSchedule):
    """Learning rate that rises linearly from 0 to `base`, then falls to `end` along half a cosine.

    With `t = step`, `W = warmup_steps`, `T = total_steps`:

        t < W:   base t / W
        t >= W:  end + (base - end) (cos(pi (t - W) / (T - W)) + 1) / 2

    Args:
        base: highest rate, 0 or more.
        warmup_steps: W, 0 (none) to `total_steps`. The papers' warm-up lasts 10 epochs.
        total_steps: optimizer updates in the run, at least 1.
        end: last rate, 0 or more. Default 0.0, both papers'.

    Raises:
        ValueError: for a number out of range.

    Example:
        >>> import burn_tf
        >>> rate = burn_tf.schedules.WarmupCosine(0.4, warmup_steps=10, total_steps=110)
        >>> [round(float(rate(step)), 3) for step in (0, 5, 10, 60, 110)]
        [0.0, 0.2, 0.4, 0.2, 0.0]

    Source: BURN's authors' code (arXiv 2110.08851); Moon et al. (MSBReg), experimental settings.

    Departs from source: the rate changes at every update, not once an epoch.
    """

    def __init__(self, base: float, warmup_steps: int, total_steps: int, end: float = 0.0) -> None:
        self.base = check_range("base", base, low=0.0)
        self.total_steps = check_integer("total_steps", total_steps, low=1)
        self.warmup_steps = check_integer("warmup_steps", warmup_steps, low=0, high=total_steps)
        self.end = check_range("end", end, low=0.0)

    def __call__(self, step: tf.Tensor | int) -> tf.Tensor:
        step = tf.cast(step, tf.float32)
        rising = self.base * _fraction(step, max(self.warmup_steps, 1))
        falling_steps = max(self.total_steps - self.warmup_steps, 1)
        falling = _half_cosine(
            self.base, self.end, _fraction(step - self.warmup_steps, falling_steps)
        )
        return tf.where(step < self.warmup_steps, rising, falling)

    def get_config(self) -> dict[str, Any]:
        return {
            "base": self.base,
            "warmup_steps": self.warmup_steps,
            "total_steps": self.total_steps,
            "end": self.end,
        }


def scaled_learning_rate(base: float, batch: int, views: int = 1, rule: str = "linear") -> float:
    """Learning rate for a batch size, from one that is given for a batch of 256.

        linear:  base * batch / 256 * views
        sqrt:    base * sqrt(batch / 256 * views)

    Args:
        base: rate for a batch of 256 with one view, 0 or more.
        batch: images per update over all replicas and accumulated steps, at least 1.
        views: K, views per image that count as images of their own. Default 1; MSBReg's is its K.
        rule: `"linear"` (default, MSBReg's) or `"sqrt"`.

    Returns:
        The rate, a Python float.

    Raises:
        ValueError: for an unknown rule or a number out of range.

    Example:
        >>> import burn_tf
        >>> burn_tf.schedules.scaled_learning_rate(0.4, batch=512, views=4)
        3.2

    Source: Moon et al. (MSBReg), experimental settings; Goyal et al., arXiv 1706.02677.

    Departs from source: none.
    """
    check_choice("rule", rule, SCALING_RULES)
    base = check_range("base", base, low=0.0)
    images = check_integer("batch", batch, low=1) * check_integer("views", views, low=1)
    factor = images / REFERENCE_BATCH
    return base * (factor if rule == "linear" else math.sqrt(factor))
