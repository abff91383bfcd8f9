"""SVG and HTML text: elements, escaping, and the width a piece of text will take."""

from __future__ import annotations

import re
import unicodedata
from html import escape

FONT_SIZE = 12.0

# Widths in em of DejaVu Sans, which is wider than the usual system faces.
_EM_NARROW, _EM_LOWER, _EM_DIGIT, _EM_UPPER = 0.4, 0.62, 0.64, 0.72
_NARROW = frozenset(" .,:;'|!()[]fijlrtI-/")

# What XML 1.0 forbids; lone surrogates come from file names that are not UTF-8.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


def clean(text: object) -> str:
    """Returns `text` as a string that XML and UTF-8 can hold, unescaped."""
    return _FORBIDDEN.sub("\ufffd", str(text))


def escaped(text: object) -> str:
    """Returns `text` safe between tags and inside quoted attributes."""
    return escape(clean(text), quote=True)


def number(value: float) -> str:
    """Returns a coordinate with at most two decimals and no trailing zeros."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def element(name: str, content: str = "", **attributes: object) -> str:
    """Builds one element; `content` is markup already, attributes are escaped here.

    `class_` becomes `class` and other underscores become hyphens, so that
    `stroke_width=2` gives `stroke-width="2"`. Attributes of value None are left out.
    """
    parts = [name]
    for key, value in attributes.items():
        if value is None:
            continue
        shown = number(value) if isinstance(value, float) else escaped(value)
        parts.append(f'{key.rstrip("_").replace("_", "-")}="{shown}"')
    opening = " ".join(parts)
    return f"<{opening}>{content}</{name}>" if content else f"<{opening}/>"


def text_width(text: str, font_size: float = FONT_SIZE) -> float:
    """Estimates the pixels `text` takes in a sans-serif face; wide scripts count double."""
    ems = 0.0
    for character in text:
        if unicodedata.combining(character):
            continue
        ems += _ems(character)
    return ems * font_size


def _ems(character: str) -> float:
    if unicodedata.east_asian_width(character) in "WF" or character in "mwMW%@…":
        return 1.0
    if character in _NARROW:
        return _EM_NARROW
    if character.isdigit():
        return _EM_DIGIT
    return _EM_UPPER if character.isupper() else _EM_LOWER


def fit_text(text: str, width: float, font_size: float = FONT_SIZE) -> str:
    """Shortens `text` with an ellipsis until its estimated width is at most `width`."""
    text = " ".join(clean(text).split())
    if text_width(text, font_size) <= width:
        return text
    while text and text_width(text + "…", font_size) > width:
        text = text[:-1]
    return text.rstrip() + "…"


def label(
    text: str, x: float, y: float, *, anchor: str = "start", class_: str = "muted", **more: object
) -> str:
    """One text element; `class_` "muted" is for ticks, "ink" for names and values."""
    colour = "var(--ink,#1d2430)" if class_ == "ink" else "var(--muted,#5b6472)"
    style = f"fill:{colour}"
    return element(
        "text", escaped(text), x=x, y=y, text_anchor=anchor, style=style, class_=class_, **more
    )
