"""Images of a source as pixels, for what runs files."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


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
    import numpy as np

    from burn_tf import data

    source = data.load_source(name, split=split)
    last = source.num_images - 1
    chosen = source.subset(np.unique(np.linspace(0, last, min(count, last + 1)).astype(int)))
    batches = data.eval_dataset(chosen, image_size=side, batch_size=64, normalise=False)
    return np.concatenate([np.asarray(images) for images, _ in batches])
