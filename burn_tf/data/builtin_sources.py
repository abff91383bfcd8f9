"""Sources that need no files: scikit-learn's scanned digits, and made-up shapes for tests."""

from __future__ import annotations

import numpy as np

from burn_tf._checks import UserError, check_integer
from burn_tf.data import folders
from burn_tf.data.sources import Source

_SIDE = 32
_MOST = 1_000_000
_SHAPES = ("circle", "square", "stripes", "cross")


def digits(split: str) -> Source:
    """1,797 scanned digits, 8 x 8, from the package scikit-learn."""
    from sklearn.datasets import load_digits  # scikit-learn takes a second to import

    data = load_digits()
    grey = np.rint(data.images * (255.0 / 16.0)).astype(np.uint8)  # 17 levels of grey, 0 to 16
    keep = folders.split_positions([str(i) for i in range(len(grey))], data.target.tolist(), split)
    names = [str(i) for i in range(10)]
    return Source.from_array(grey[keep], data.target[keep], names, name="digits", split=split)


def synthetic(number: str, split: str) -> Source:
    """Four kinds of shapes at random places, in random sizes and colours; the same ones every time.

    Args:
        number: how many, in digits.
        split: "train", "test" or "all".

    Raises:
        UserError: not a number, fewer than 2, or more than a million, which would fill the memory.
    """
    if not number.isdecimal():
        raise UserError(
            f"`data` must be synthetic:N with N a number of images. Received: 'synthetic:{number}'"
        )
    count = check_integer("N in synthetic:N", int(number[:9]), low=2, high=_MOST)
    generator = np.random.default_rng(20211021)
    labels = np.arange(count) % len(_SHAPES)
    pictures = np.stack([_shape(int(label), generator) for label in labels])
    keep = folders.split_positions([str(i) for i in range(count)], labels.tolist(), split)
    return Source.from_array(
        pictures[keep], labels[keep], _SHAPES, name=f"synthetic:{number}", split=split
    )


def _shape(label: int, generator: np.random.Generator) -> np.ndarray:
    centre, radius = generator.uniform(10, 22, 2), generator.uniform(5, 10)
    y, x = np.mgrid[:_SIDE, :_SIDE].astype(np.float64)
    y, x = y - centre[0], x - centre[1]
    mask = (
        np.hypot(y, x) < radius,
        np.maximum(abs(y), abs(x)) < radius,
        np.floor((y + 64) / (radius / 2)) % 2 == 0,
        np.minimum(abs(y), abs(x)) < radius / 3,
    )[label]
    bright, dark = generator.integers(128, 256, 3), generator.integers(0, 128, 3)
    noise = generator.normal(0, 8, (_SIDE, _SIDE, 3))
    return np.clip(np.where(mask[..., None], bright, dark) + noise, 0, 255).astype(np.uint8)
