"""Pictures for pages and files: boxes drawn into pixels, and the text an image's `src` takes."""

from __future__ import annotations

import base64
import dataclasses
import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from burn_tf._checks import UserError, check_integer
from burn_tf.report.frame import LIGHT_COLOURS
from burn_tf.report.numbers import is_number
from burn_tf.report.png import data_uri

SMALL_SIDE = 64
_JPEG_QUALITY = 88
_TRUTH_COLOUR = "#ffffff"
_EDGES = ("left", "top", "right", "bottom")


@dataclasses.dataclass(frozen=True)
class Box:
    """A rectangle around an object.

    Args:
        left, top, right, bottom: edges in pixels from the picture's upper left corner; they may lie
            outside the picture.
        name: class of the object, may be empty.
        score: confidence from 0 to 1; None: not scored.
        truth: an annotation, not a detection.

    Raises:
        UserError: an edge or the score is not a finite number.

    Example:
        >>> Box(0, 0, 4, 3, "cat", 0.875).text()
        'cat 0.88'
    """

    left: float
    top: float
    right: float
    bottom: float
    name: str = ""
    score: float | None = None
    truth: bool = False

    def __post_init__(self) -> None:
        for field in (*_EDGES, "score"):
            value = getattr(self, field)
            if value is None and field == "score":
                continue
            if not is_number(value) or not math.isfinite(value):
                raise UserError(f"`{field}` of a box must be a finite number. Received: {value!r}")

    def text(self) -> str:
        """What stands at the box: name and score."""
        score = "" if self.score is None else f"{self.score:.2f}"
        return f"{self.name} {score}".strip()

    def to_record(self) -> dict[str, Any]:
        """The box as JSON types; `from_record` reads it."""
        return dataclasses.asdict(self)

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Box:
        """The inverse of `to_record`.

        Raises:
            UserError: an edge is missing, or there is a name that no box has.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        if not set(_EDGES) <= set(record) <= set(known):
            raise UserError(
                f"a box must have {', '.join(_EDGES)} and may have name, score, truth. "
                f"Received: {sorted(record)}"
            )
        return cls(**record)

    def scaled(self, factor: float) -> Box:
        """The box in a picture that is `factor` times as large."""
        edges = {field: getattr(self, field) * factor for field in _EDGES}
        return dataclasses.replace(self, **edges)


def boxes_of(
    edges: np.ndarray,
    classes: Sequence[int] | np.ndarray,
    *,
    class_names: Sequence[str] | None = None,
    scores: Sequence[float] | np.ndarray | None = None,
    truth: bool = False,
) -> list[Box]:
    """Returns the boxes of one picture from arrays, as sources and detectors hold them.

    Args:
        edges: [M, 4], left, top, right, bottom in pixels; M may be 0.
        classes: int [M].
        class_names: name of each class; None: its number.
        scores: [M], or None for annotations.
        truth: annotations, not detections.

    Raises:
        UserError: another number of boxes than of classes or scores.

    Example:
        >>> boxes_of(np.array([[0, 0, 4, 3]]), [1], class_names=["cat", "dog"])[0].name
        'dog'
    """
    edges = np.asarray(edges, np.float64).reshape(-1, 4)
    lengths = {len(edges), len(classes), len(edges if scores is None else scores)}
    if len(lengths) > 1:
        raise UserError(
            "`edges`, `classes` and `scores` must be of one length. "
            f"Received: {sorted(lengths)} entries"
        )
    names = [str(c) if class_names is None else class_names[int(c)] for c in classes]
    known = [None] * len(names) if scores is None else [float(score) for score in scores]
    return [
        Box(left, top, right, bottom, name, score, truth)
        for (left, top, right, bottom), name, score in zip(
            edges.tolist(), names, known, strict=True
        )
    ]


def draw_boxes(pixels: np.ndarray, boxes: Sequence[Box], *, max_side: int = 640) -> np.ndarray:
    """Draws boxes with name and score into a picture.

    Detections are coloured by their name, annotations white on black. What lies outside the
    picture is cut off; a box that is empty there is left out. A low score is drawn below a high
    one, annotations lowest.

    Args:
        pixels: uint8 [H, W, 3] or [H, W]; stays as it is.
        boxes: in pixels of `pixels`, in any order; none: the picture alone.
        max_side: larger pictures are made smaller to this many pixels first, at least 1
            (default 640: ours).

    Returns:
        uint8 [h, w, 3], max(h, w) <= max_side.

    Raises:
        UserError: `pixels` is not such an array or has no pixel.

    Example:
        >>> drawn = draw_boxes(np.zeros((40, 60, 3), np.uint8), [Box(10, 10, 30, 30, "cat", 0.9)])
        >>> drawn.shape, bool(drawn[10, 20].any())
        ((40, 60, 3), True)
    """
    check_integer("max_side", max_side, low=1)
    picture, factor = _canvas(pixels, max_side)
    width, height = picture.size
    draw = ImageDraw.Draw(picture)
    colours = _colours(boxes)
    order = sorted(boxes, key=lambda box: (not box.truth, box.score or 0.0))
    for box in order:
        inside = _inside(box.scaled(factor), width, height)
        if inside is not None:
            _draw_box(draw, inside, colours.get(box.name, LIGHT_COLOURS[0]), width, height)
    return np.asarray(picture)


def _canvas(pixels: np.ndarray, max_side: int) -> tuple[Image.Image, float]:
    if pixels.dtype != np.uint8 or pixels.shape[2:] not in ((), (3,)) or not pixels.size:
        raise UserError(
            "`pixels` must be uint8 of shape [H, W, 3] or [H, W], not empty. "
            f"Received: {pixels.dtype} {pixels.shape}"
        )
    picture = Image.fromarray(pixels).convert("RGB")
    factor = min(1.0, max_side / max(picture.size))
    if factor == 1.0:
        return picture, factor
    sides = [max(1, round(side * factor)) for side in picture.size]
    return picture.resize((sides[0], sides[1]), Image.Resampling.BILINEAR), factor


def _colours(boxes: Sequence[Box]) -> dict[str, str]:
    names = sorted({box.name for box in boxes if not box.truth})
    return {name: LIGHT_COLOURS[i % len(LIGHT_COLOURS)] for i, name in enumerate(names)}


def _inside(box: Box, width: int, height: int) -> Box | None:
    """The part of a box inside the picture, on its pixels; None where there is none."""
    left, right = max(box.left, 0.0), min(box.right, float(width))
    top, bottom = max(box.top, 0.0), min(box.bottom, float(height))
    if left >= right or top >= bottom:
        return None
    return dataclasses.replace(
        box, left=int(left), top=int(top), right=math.ceil(right) - 1, bottom=math.ceil(bottom) - 1
    )


def _draw_box(draw: ImageDraw.ImageDraw, box: Box, colour: str, width: int, height: int) -> None:
    line = max(1, round(max(width, height) / 200))
    if box.truth:
        _draw_frame(draw, box, "#000000", line + 2)
    _draw_frame(draw, box, _TRUTH_COLOUR if box.truth else colour, line)
    if box.text():
        _draw_tab(draw, box, _TRUTH_COLOUR if box.truth else colour, width, height)


def _draw_frame(draw: ImageDraw.ImageDraw, box: Box, colour: str, line: int) -> None:
    # Four filled bars: Pillow's own outline of a box of one pixel is two pixels high.
    left, top, right, bottom = box.left, box.top, box.right, box.bottom
    for bar in (
        (left, top, right, min(top + line - 1, bottom)),
        (left, max(bottom - line + 1, top), right, bottom),
        (left, top, min(left + line - 1, right), bottom),
        (max(right - line + 1, left), top, right, bottom),
    ):
        draw.rectangle(bar, fill=colour)


def _draw_tab(draw: ImageDraw.ImageDraw, box: Box, colour: str, width: int, height: int) -> None:
    """Name and score on a strip above the box (annotations: inside at its foot)."""
    font = ImageFont.load_default(size=max(11, round(max(width, height) / 32)))
    *_, right, bottom = draw.textbbox((0, 0), box.text(), font=font)
    wide, high = right + 6, bottom + 4
    x = max(0, min(box.left, width - wide))
    y = box.bottom - high if box.truth else box.top - high
    y = max(0, min(y, height - high))
    draw.rectangle((x, y, x + wide - 1, y + high - 1), fill=colour)
    ink = "#000000" if box.truth else "#ffffff"
    draw.text((x + 3, y + 1), box.text(), fill=ink, font=font)


def picture_uri(pixels: np.ndarray) -> str:
    """Returns a picture as text for the `src` of an image.

    Up to 64 pixels a side it is a PNG with every pixel as it is, above that a JPEG.

    Args:
        pixels: uint8 [H, W], [H, W, 1] or [H, W, 3].

    Raises:
        UserError: another dtype or shape, or no pixel at all.
    """
    if max(pixels.shape[:2], default=0) <= SMALL_SIDE:
        return data_uri(pixels)
    grey = pixels.ndim == 3 and pixels.shape[2] == 1
    picture, _ = _canvas(pixels[:, :, 0] if grey else pixels, max(pixels.shape[:2]))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=_JPEG_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode("ascii")
