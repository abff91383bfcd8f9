"""A first convolution for images with another number of channels than it was trained on."""

from __future__ import annotations

import numpy as np

from burn_tf._checks import UserError, check_integer


def adapt_input_channels(kernel: np.ndarray, channels: int) -> np.ndarray:
    """A first convolution's kernel for images of `channels` channels.

    With K the kernel, c its own and n the new number of channels:

        n < c:   every channel gets  sum_c K / n          (grey images: the sum)
        n > c:   the first c get  K c / n,  the others  sum_c K / n

    Either way an image whose channels are all equal is answered as before.

    Args:
        kernel: [kh, kw, channels, filters], any float dtype.
        channels: of the new images, >= 1.

    Returns:
        [kh, kw, `channels`, filters] of the dtype of `kernel`; `kernel` itself where n = c.

    Raises:
        UserError: `kernel` is not of rank 4, or `channels` is not a whole number >= 1.

    Example:
        >>> import numpy as np
        >>> from burn_tf.convert import adapt_input_channels
        >>> adapt_input_channels(np.ones([1, 1, 3, 1], "float32"), 1).ravel().tolist()
        [3.0]
    """
    check_integer("channels", channels, low=1)
    if kernel.ndim != 4:
        raise UserError(f"`kernel` must have rank 4. Received: shape {kernel.shape}")
    own = kernel.shape[2]
    if channels == own:
        return kernel
    wide = kernel.astype(np.float64)
    share = wide.sum(axis=2, keepdims=True) / channels
    if channels < own:
        adapted = np.repeat(share, channels, axis=2)
    else:
        others = np.repeat(share, channels - own, axis=2)
        adapted = np.concatenate([wide * own / channels, others], axis=2)
    return adapted.astype(kernel.dtype)
