"""Views in the order of the images are those of `views_dataset`, pixel for pixel."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from burn_tf._checks import UserError
from burn_tf.data import Source, load_source, views_dataset
from burn_tf.data.fixed_views import fixed_views_dataset


@pytest.fixture(params=["in memory", "files"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Source:
    generator = np.random.default_rng(0)
    if request.param == "in memory":
        return Source.from_array(generator.integers(0, 256, (7, 20, 24, 3), dtype=np.uint8))
    for number in range(7):
        pixels = generator.integers(0, 256, (20, 22 + number, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    return load_source(str(tmp_path), split="all")


def test_equal_the_views_of_training(source: Source) -> None:
    """Draw 1 of view 1 is what the second epoch shows of it; labels say which image it is of."""
    size = {"image_size": 16, "seed": 3}
    indexed = dataclasses.replace(source, labels=np.arange(7))
    training = views_dataset(
        indexed, ["cifar", "msbreg"], num_views=2, batch_size=7, epochs=2, labels=True, **size
    )
    (_, wanted), order = list(training)[1]
    pieces = [(1, 5, 7), (1, 0, 5)]
    fixed = fixed_views_dataset(source, "msbreg", pieces, view=1, batch_size=3, **size)
    batches = [batch.numpy() for batch in fixed]
    assert [len(batch) for batch in batches] == [2, 3, 2]
    images = [5, 6, 0, 1, 2, 3, 4]
    by_image = {int(image): view for image, view in zip(order, wanted.numpy(), strict=True)}
    for image, view in zip(images, np.concatenate(batches), strict=True):
        np.testing.assert_allclose(view, by_image[image], atol=1e-4)


@pytest.mark.parametrize("piece", [(0, 0, 8), (0, 3, 3), (-1, 0, 2)])
def test_refuses_what_is_not_there(piece: tuple[int, int, int]) -> None:
    source = Source.from_array(np.zeros((7, 8, 8, 3), np.uint8))
    with pytest.raises(UserError, match=r"`(stop|first|draw)` must be a whole number"):
        fixed_views_dataset(source, "none", [piece], view=0, batch_size=2, image_size=8)
