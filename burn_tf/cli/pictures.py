"""Images of a source as pixels, for what runs files and for what shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from burn_tf.data import Source


def load_pixels(name: str, split: str, side: int, count: int) -> np.ndarray:
    """Images of a source, spread over it.

    Args:
        name: digits, a folder, tfds:NAME or list:FILE.
        split: "train" or "test".
        side: pixels.
        count: how many at most.

    Returns:
        uint8 [N, side, side, 3].
    """
    from burn_tf import data

    return pixels_of(spread_over(data.load_source(name, split=split), count), side)


def spread_over(source: Source, count: int) -> Source:
    """At most `count` images of a source, at equal distances."""
    import numpy as np

    last = source.num_images - 1
    return source.subset(np.unique(np.linspace(0, last, min(count, last + 1)).astype(int)))


def pixels_of(source: Source, side: int) -> np.ndarray:
    """All images of a source, uint8 [N, side, side, 3]."""
    import numpy as np

    from burn_tf import data

    batches = data.eval_dataset(source, image_size=side, batch_size=64, normalise=False)
    return np.concatenate([np.asarray(images) for images, _ in batches])
