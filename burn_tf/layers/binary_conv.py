"""Convolution whose kernel can be binary."""

from __future__ import annotations

from typing import Any

import larq as lq
import tensorflow as tf

from burn_tf._checks import check_choice
from burn_tf._compat import NamedBuild
from burn_tf.layers.convolution import conv2d_same, same_padding
from burn_tf.layers.quantizers import ScaledSign, scaled_sign

BINARIZE_MODES = ("none", "activations", "both")
PAD_VALUES = (0.0, 1.0)
_OWN_ARGUMENTS = (
    "filters",
    "kernel_size",
    "strides",
    "pad_values",
    "kernel_initializer",
    "kernel_regularizer",
    "kernel_constraint",
)


@tf.keras.utils.register_keras_serializable(package="burn_tf")
class BinaryConv2D(NamedBuild, lq.layers.QuantConv2D):
    """Convolution of binary activations: `y = x * q(W)`, padded as `same`, without a bias.

    q is `ScaledSign` in mode "both" and the identity otherwise; the activations are made binary by
    an `RSign` in front of this layer. The latent kernel is kept and quantised in float32 under
    every mixed dtype policy, then cast to the dtype of the input.

    Args:
        filters: number of output channels, >= 1.
        kernel_size: edge of the kernel in pixels, or two of them.
        strides: 1, 2, .. or two of them; sampled as Keras samples `same`. Default 1.
        binarize: "none", "activations" (BURN's stage 1: real kernel) or "both" (default).
        pad_values: 0.0 (the authors') or 1.0 (default: the fastest in mobile kernels).
        kernel_initializer: default "glorot_normal" (ours).
        kernel_regularizer: default None.
        kernel_constraint: default None (the authors have none).

    Call arguments:
        inputs: [B, H, W, channels]; the output is [B, ceil(H/stride), ceil(W/stride), filters].

    Raises:
        UserError: a `binarize` or `pad_values` that is not listed.

    Example:
        >>> import tensorflow as tf
        >>> from burn_tf.layers import BinaryConv2D
        >>> BinaryConv2D(8, 3, strides=2)(tf.ones([1, 5, 5, 4])).shape
        TensorShape([1, 3, 3, 8])

    Source: ReActNet, Liu et al., ECCV 2020, arXiv 2003.03488; BURN sec. 3.4, arXiv 2110.08851.
    Departs from source: strided kernels sample as Keras does (mirrored on even sizes).
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | tuple[int, int],
        strides: int | tuple[int, int] = 1,
        binarize: str = "both",
        pad_values: float = 1.0,
        kernel_initializer: Any = "glorot_normal",
        kernel_regularizer: Any = None,
        kernel_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        self.binarize = check_choice("binarize", binarize, BINARIZE_MODES)
        super().__init__(
            filters,
            kernel_size,
            strides=strides,
            padding="same",
            pad_values=float(check_choice("pad_values", pad_values, PAD_VALUES)),
            use_bias=False,
            kernel_initializer=kernel_initializer,
            kernel_regularizer=kernel_regularizer,
            kernel_constraint=kernel_constraint,
            **kwargs,
        )
        # Given to Larq's constructor it would warn of a missing clip, which the authors lack too.
        self.kernel_quantizer = ScaledSign(name="scaled_sign") if binarize == "both" else None

    def add_weight(self, name: str | None = None, **kwargs: Any) -> Any:
        """Keep the kernel from being rounded to half precision before it is quantised."""
        if name == "kernel":
            kwargs["experimental_autocast"] = False
        return super().add_weight(name=name, **kwargs)

    def _convolved_kernel(self, dtype: Any, training: bool) -> tf.Tensor:
        latent = tf.convert_to_tensor(getattr(self.kernel, "latent_variable", self.kernel))
        if self.binarize == "both":
            return scaled_sign(latent, dtype, training)
        return tf.cast(latent, dtype)

    def _padded(self, inputs: tf.Tensor) -> tf.Tensor:
        sizes = [
            static if static is not None else tf.shape(inputs)[axis]
            for axis, static in enumerate(inputs.shape[1:3].as_list(), start=1)
        ]
        pixels = [
            same_padding(*axis) for axis in zip(sizes, self.kernel_size, self.strides, strict=True)
        ]
        return tf.pad(inputs, [(0, 0), *pixels, (0, 0)], constant_values=self.pad_values)

    def call(self, inputs: tf.Tensor, training: Any = None) -> tf.Tensor:
        kernel = self._convolved_kernel(inputs.dtype, training is True)
        if training is True:
            return conv2d_same(inputs, kernel, self.strides, self.pad_values)
        native = self.pad_values == 0 or self.kernel_size == (1, 1)
        return tf.nn.conv2d(
            inputs if native else self._padded(inputs),
            kernel,
            strides=self.strides,
            padding="SAME" if native else "VALID",
        )

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        inherited = {key: config[key] for key in ("name", "trainable", "dtype") if key in config}
        own = {key: config[key] for key in _OWN_ARGUMENTS}
        return {**inherited, **own, "binarize": self.binarize}
