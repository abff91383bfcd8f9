"""The arithmetic of a padded 2-D convolution, arranged for training on CPUs.

Output and gradients are those of `tf.nn.conv2d`; only the way to them differs, where oneDNN is
slow. Measured for bfloat16 on 2 cores with AMX and other work beside it, best of 25, kernel
gradient first (benchmarks/train_step.py has the whole step):

    batch 16, 3x3, 1024 channels, 7x7 map     181 ms -> 19 ms as nine matrix products
    batch 128, 3x3, 512 channels, 2x2 map      72 ms ->  4 ms
        (output 26 -> 6 ms, input gradient 25 -> 6 ms)
    batch 128, 3x3, 1024 channels, 1x1 map    325 ms ->  7 ms
        (output 91 -> 6 ms, input gradient 90 -> 4 ms)
    batch 16, 1x1, 128 channels, 56x56 map     20 ms ->  8 ms

Reordering the kernel into and out of oneDNN's blocked layout is what takes the time there. On maps
above 14x14 and for strided kernels above 4 outputs the convolution kernels are the faster ones, and
kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

# Outputs per image (height x width) up to which matrix products win.
_PRODUCTS_FOR_ALL = 4
_PRODUCTS_FOR_KERNEL = 196


def same_padding(size: Any, kernel: int, stride: int) -> tuple[Any, Any]:
    """Pixels that Keras' `same` adds before and after an axis of `size` (int or scalar tensor)."""
    outputs = (size + stride - 1) // stride
    total = (outputs - 1) * stride + kernel - size
    total = tf.maximum(total, 0) if tf.is_tensor(total) else max(total, 0)
    return total // 2, total - total // 2


def conv2d_same(
    images: tf.Tensor, kernel: tf.Tensor, strides: Sequence[int], pad_value: float = 0.0
) -> tf.Tensor:
    """Convolution with `same` geometry and any border value.

    Args:
        images: [B, H, W, C_in].
        kernel: [h, w, C_in, C_out] of the same dtype.
        strides: down and across.
        pad_value: what surrounds the image.

    Returns:
        [B, ceil(H / stride), ceil(W / stride), C_out].
    """
    strides = tuple(int(stride) for stride in strides)
    size = images.shape[1:3]
    if not size.is_fully_defined() or tf.config.list_physical_devices("GPU"):
        return _pad_and_convolve(images, kernel, strides, pad_value)
    return _Convolution(size.as_list(), kernel.shape.as_list(), strides, pad_value)(images, kernel)


def _pad_and_convolve(
    images: tf.Tensor, kernel: tf.Tensor, strides: Sequence[int], pad_value: float
) -> tf.Tensor:
    if pad_value == 0.0:
        return tf.nn.conv2d(images, kernel, strides, "SAME")
    size = tf.shape(images)[1:3]
    borders = [same_padding(size[axis], kernel.shape[axis], strides[axis]) for axis in range(2)]
    value = tf.cast(pad_value, images.dtype)
    padded = tf.pad(images, [(0, 0), *borders, (0, 0)], constant_values=value)
    return tf.nn.conv2d(padded, kernel, strides, "VALID")


class _Convolution:
    """One geometry: map size, kernel [h, w, C_in, C_out], strides and border value."""

    def __init__(
        self, size: Sequence[int], kernel: Sequence[int], strides: Sequence[int], pad_value: float
    ) -> None:
        self.size, self.kernel, self.strides = size, kernel, strides
        self.pad_value = pad_value
        self.borders = [same_padding(*axis) for axis in zip(size, kernel[:2], strides, strict=True)]
        self.outputs = [-(-edge // stride) for edge, stride in zip(size, strides, strict=True)]
        area = self.outputs[0] * self.outputs[1]
        point = tuple(kernel[:2]) == (1, 1)
        self.by_products = area <= _PRODUCTS_FOR_ALL
        dense = tuple(strides) == (1, 1) and (point or area <= _PRODUCTS_FOR_KERNEL)
        self.kernel_gradient_by_products = self.by_products or dense

    def __call__(self, images: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        @tf.custom_gradient
        def convolve(images: tf.Tensor, kernel: tf.Tensor) -> Any:
            padded = self._pad(images)

            def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
                return (
                    self._image_gradient(tf.shape(images), kernel, upstream),
                    self._kernel_gradient(padded, upstream),
                )

            return self._output(padded, kernel), gradient

        return convolve(images, kernel)

    def _pad(self, images: tf.Tensor) -> tf.Tensor:
        if all(border == (0, 0) for border in self.borders):
            return images
        value = tf.cast(self.pad_value, images.dtype)
        return tf.pad(images, [(0, 0), *self.borders, (0, 0)], constant_values=value)

    def _taps(self) -> list[tuple[int, int]]:
        return [(row, column) for row in range(self.kernel[0]) for column in range(self.kernel[1])]

    def _seen_by(self, padded: tf.Tensor, row: int, column: int) -> tf.Tensor:
        """The pixels [B, h_out, w_out, C_in] that one kernel position meets."""
        ends = [(count - 1) * s + 1 for count, s in zip(self.outputs, self.strides, strict=True)]
        down, across = self.strides
        return padded[:, row : row + ends[0] : down, column : column + ends[1] : across]

    def _patches(self, padded: tf.Tensor) -> tf.Tensor:
        pieces = [self._seen_by(padded, *tap) for tap in self._taps()]
        width = len(pieces) * self.kernel[2]
        return tf.reshape(tf.concat(pieces, axis=-1), [-1, width])

    def _output(self, padded: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        if not self.by_products:
            return tf.nn.conv2d(padded, kernel, self.strides, "VALID")
        matrix = tf.reshape(kernel, [-1, self.kernel[3]])
        return tf.reshape(
            tf.matmul(self._patches(padded), matrix), [-1, *self.outputs, self.kernel[3]]
        )

    def _image_gradient(
        self, shape: tf.Tensor, kernel: tf.Tensor, upstream: tf.Tensor
    ) -> tf.Tensor:
        if self.by_products:
            return self._folded(kernel, upstream)
        # The border takes no gradient, so this is that of `same` zero padding.
        return tf.raw_ops.Conv2DBackpropInput(
            input_sizes=shape,
            filter=kernel,
            out_backprop=upstream,
            strides=[1, *self.strides, 1],
            padding="SAME",
        )

    def _folded(self, kernel: tf.Tensor, upstream: tf.Tensor) -> tf.Tensor:
        matrix = tf.reshape(kernel, [-1, self.kernel[3]])
        rows = tf.matmul(tf.reshape(upstream, [-1, self.kernel[3]]), matrix, transpose_b=True)
        pieces = tf.split(
            tf.reshape(rows, [-1, *self.outputs, rows.shape[-1]]), len(self._taps()), axis=-1
        )
        return tf.add_n(
            [self._put_back(piece, *tap) for piece, tap in zip(pieces, self._taps(), strict=True)]
        )

    def _put_back(self, piece: tf.Tensor, row: int, column: int) -> tf.Tensor:
        """Adjoint of `_pad` and `_seen_by`: [B, h_out, w_out, C_in] to [B, H, W, C_in]."""
        for axis, offset in ((1, row), (2, column)):
            piece = self._spread(piece, axis, offset - self.borders[axis - 1][0])
        return piece

    def _spread(self, piece: tf.Tensor, axis: int, start: int) -> tf.Tensor:
        stride, size = self.strides[axis - 1], self.size[axis - 1]
        kept = [
            index for index in range(self.outputs[axis - 1]) if 0 <= start + index * stride < size
        ]
        lines = {start + index * stride: index for index in kept}
        source = [tf.gather(piece, index, axis=axis) for index in range(self.outputs[axis - 1])]
        empty = tf.zeros_like(source[0])
        return tf.stack(
            [source[lines[line]] if line in lines else empty for line in range(size)], axis=axis
        )

    def _kernel_gradient(self, padded: tf.Tensor, upstream: tf.Tensor) -> tf.Tensor:
        if not self.kernel_gradient_by_products:
            return tf.raw_ops.Conv2DBackpropFilter(
                input=padded,
                filter_sizes=self.kernel,
                out_backprop=upstream,
                strides=[1, *self.strides, 1],
                padding="VALID",
            )
        rows = tf.reshape(upstream, [-1, self.kernel[3]])
        seen = [
            tf.reshape(self._seen_by(padded, *tap), [-1, self.kernel[2]]) for tap in self._taps()
        ]
        products = [tf.matmul(patch, rows, transpose_a=True) for patch in seen]
        return tf.reshape(tf.concat(products, axis=0), self.kernel)
