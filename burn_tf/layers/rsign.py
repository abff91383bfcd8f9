"""Binary activation with a learned threshold per channel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import larq as lq
import tensorflow as tf

from burn_tf._checks import check_choice
from burn_tf._compat import NamedBuild
from burn_tf.layers.fusion import channel_sum, fused

ESTIMATORS = ("approx", "ste")


def _convertible(inputs: tf.Tensor, shift: tf.Tensor) -> tf.Tensor:
    """The pattern that the mobile converter replaces by its own sign."""
    return tf.cast(lq.math.sign(tf.cast(inputs, shift.dtype) + shift), inputs.dtype)


@fused
def _shifted_sign(inputs: tf.Tensor, shift: tf.Tensor) -> tf.Tensor:
    """A selection compiles to code 2 times as fast as two signs."""
    one = tf.ones([], inputs.dtype)
    return tf.where(inputs + shift >= 0, one, -one)


def _approx_gradient(inputs: tf.Tensor, shift: tf.Tensor, upstream: tf.Tensor) -> tf.Tensor:
    return tf.nn.relu(2 - 2 * tf.abs(inputs + shift)) * upstream


def _ste_gradient(inputs: tf.Tensor, shift: tf.Tensor, upstream: tf.Tensor) -> tf.Tensor:
    return tf.where(tf.abs(inputs + shift) <= 1, upstream, tf.zeros_like(upstream))


_GRADIENTS: dict[str, Callable[..., tf.Tensor]] = {
    "approx": fused(_approx_gradient),
    "ste": fused(_ste_gradient),
}


def shifted_sign(
    inputs: tf.Tensor, shift: tf.Tensor, estimator: str, training: bool = False
) -> tf.Tensor:
    """`sign(x + b_c)` with the gradient of `estimator`; True for `training` may compile it."""
    forward = _shifted_sign if training else _convertible

    @tf.custom_gradient
    def binarize(values: tf.Tensor, offset: tf.Tensor) -> Any:
        def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            downstream = _GRADIENTS[estimator](values, offset, upstream)
            return downstream, tf.cast(channel_sum(downstream), offset.dtype)

        return forward(values, offset), gradient

    return binarize(inputs, shift)


@tf.keras.utils.register_keras_serializable(package="burn_tf")
class RSign(NamedBuild):
    """Sign after a learned shift per channel: `RSign(x) = sign(x + b_c)`, sign(0) = +1.

    With u = x + b_c, in float32 or wider, the gradient is `2 - 2|u|` for |u| < 1 ("approx",
    ReActNet's) or 1 for |u| <= 1 ("ste", BURN's), else 0. The shift starts at 0.

    Args:
        estimator: "approx" (default, the paper's) or "ste" (the authors' BURN code).
        binarize: False passes the shifted value u on without the sign. Default True.

    Call arguments:
        inputs: [..., channels], any float dtype; the output has the same shape and dtype.

    Raises:
        UserError: `estimator` is neither of the two.

    Example:
        >>> import tensorflow as tf
        >>> from burn_tf.layers import RSign
        >>> RSign()(tf.constant([[-0.5, 0.0, 2.0]])).numpy().tolist()
        [[-1.0, 1.0, 1.0]]

    Source: ReActNet, Liu et al., ECCV 2020, sec. 4.2, arXiv 2003.03488.
    Departs from source: sign(0) is +1, not 0, as Larq and its mobile engine have it.
    """

    def __init__(self, estimator: str = "approx", binarize: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.estimator = check_choice("estimator", estimator, ESTIMATORS)
        self.binarize = bool(binarize)

    def build(self, input_shape: Any) -> None:
        # Rounded to half precision, a threshold would turn signs over that it should not.
        self.shift = self.add_weight(
            "shift", shape=[input_shape[-1]], initializer="zeros", experimental_autocast=False
        )
        super().build(input_shape)

    def call(self, inputs: tf.Tensor, training: Any = None) -> tf.Tensor:
        shift = tf.convert_to_tensor(self.shift)
        if not self.binarize:
            return tf.cast(tf.cast(inputs, shift.dtype) + shift, inputs.dtype)
        return shifted_sign(inputs, shift, self.estimator, training is True)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return tf.TensorShape(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "estimator": self.estimator, "binarize": self.binarize}
