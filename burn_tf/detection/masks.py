"""Masks of objects: COCO's outlines to pixels, pixels to what a mask head learns, and back."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np

from burn_tf._checks import UserError

# Numbers of three corners: with fewer, COCO's code takes a polygon for a box.
_SHORTEST_POLYGON = 6


def coco_module(name: str) -> ModuleType:
    """`pycocotools.NAME`, which is not needed by anything else and so not always installed.

    Raises:
        UserError: it is not installed.
    """
    try:
        return importlib.import_module(f"pycocotools.{name}")
    except ModuleNotFoundError as error:
        raise UserError(
            "COCO's outlines and its average precision need pycocotools: pip install pycocotools. "
            f"Received: {error}"
        ) from error


def outline_mask(outline: Any, height: int, width: int) -> np.ndarray:
    """Pixels of one of COCO's outlines.

    Args:
        outline: a list of polygons (x, y, x, y, ..), or run lengths, plain or compressed.
        height: of the image, in pixels.
        width: of the image, in pixels.

    Returns:
        uint8 [height, width], 1 inside.

    Raises:
        UserError: run lengths of an image of another size, or no outline at all.

    Example:
        >>> outline_mask([[1, 0, 3, 0, 3, 2, 1, 2]], 2, 4).tolist()
        [[0, 1, 1, 0], [0, 1, 1, 0]]
    """
    api = coco_module("mask")
    if isinstance(outline, list):
        polygons = [polygon for polygon in outline if len(polygon) >= _SHORTEST_POLYGON]
        if not polygons:
            return np.zeros((height, width), np.uint8)
        return api.decode(api.merge(api.frPyObjects(polygons, height, width)))
    size = outline.get("size") if isinstance(outline, Mapping) else outline
    if not isinstance(outline, Mapping) or list(size or ()) != [height, width]:
        raise UserError(
            f"an outline must be polygons, or run lengths of size [{height}, {width}]. "
            f"Received: {size!r}"
        )
    plain = isinstance(outline["counts"], list)
    return api.decode(api.frPyObjects(outline, height, width) if plain else outline)


def encode_mask(mask: np.ndarray) -> dict[str, Any]:
    """Compressed run lengths of a mask [height, width], as `outline_mask` reads them."""
    runs: dict[str, Any] = coco_module("mask").encode(np.asfortranarray(mask, np.uint8))
    return runs


def crop_mask(mask: np.ndarray, box: np.ndarray, size: int) -> np.ndarray:
    """The part of a mask inside a box, at a size that does not depend on the box.

    Args:
        mask: [H, W].
        box: (x_min, y_min, x_max, y_max) in pixels, the image spanning 0..W and 0..H.
        size: rows and columns of the result.

    Returns:
        float32 [size, size], bilinear between the centres of pixels, which are at k + 0.5.
    """
    left, top, right, bottom = (float(edge) for edge in box)
    steps = (np.arange(size) + 0.5) / size
    return _sample(mask, top + steps * (bottom - top), left + steps * (right - left))


def paste_mask(
    values: np.ndarray, box: np.ndarray, height: int, width: int, threshold: float = 0.5
) -> np.ndarray:
    """The inverse of `crop_mask`: what a mask head says of a box, as pixels of the image.

    Args:
        values: [S, S] from 0 to 1.
        box: (x_min, y_min, x_max, y_max) in pixels; it may reach out of the image.
        height: of the image.
        width: of the image.
        threshold: a pixel belongs to the object from this value on. Default 0.5.

    Returns:
        bool [height, width]; no pixel is set whose centre is outside the box.
    """
    mask = np.zeros((height, width), bool)
    left, top, right, bottom = (float(edge) for edge in box)
    rows, columns = _centres(top, bottom, height), _centres(left, right, width)
    if len(rows) and len(columns):
        size = len(values)
        down = (rows + 0.5 - top) / (bottom - top) * size
        across = (columns + 0.5 - left) / (right - left) * size
        mask[np.ix_(rows, columns)] = _sample(values, down, across) >= threshold
    return mask


def _centres(low: float, high: float, length: int) -> np.ndarray:
    """Numbers of the pixels whose centres lie inside low..high."""
    first, last = max(0, int(np.ceil(low - 0.5))), min(length, int(np.ceil(high - 0.5)))
    return np.arange(first, max(first, last))


def _sample(values: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Bilinear values at a grid of points; beyond the outermost centres they stay as they are."""
    upper, lower, down = _neighbours(rows, values.shape[0])
    before, after, across = _neighbours(columns, values.shape[1])
    lines = np.asarray(values[upper], np.float32) * (1 - down)[:, None]
    lines += np.asarray(values[lower], np.float32) * down[:, None]
    return lines[:, before] * (1 - across) + lines[:, after] * across


def _neighbours(points: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The two pixels beside each point, and the second one's share."""
    places = np.clip(np.asarray(points, np.float64) - 0.5, 0, length - 1)
    first = np.floor(places).astype(np.int64)
    return first, np.minimum(first + 1, length - 1), (places - first).astype(np.float32)
