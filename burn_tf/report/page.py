"""One HTML file that shows runs: facts, tables, charts, pictures. No network, no script."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from burn_tf._files import atomic_write
from burn_tf.report.frame import Chart
from burn_tf.report.numbers import format_column, format_value, is_number
from burn_tf.report.pictures import SMALL_SIDE, picture_uri
from burn_tf.report.style import STYLE
from burn_tf.report.svg import escaped

_TILE_CHARACTERS = 18
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


@dataclasses.dataclass(frozen=True)
class Table:
    """Rows of figures.

    Args:
        rows: values by column; columns are the union of the keys in order, the first names the row.
        title: heading of the table, may be empty.
        quoted: numbers of the rows whose figures are someone else's; they are drawn apart.
    """

    rows: Sequence[Mapping[str, Any]]
    title: str = ""
    quoted: Collection[int] = ()


@dataclasses.dataclass(frozen=True)
class Picture:
    """Pixels with words.

    Args:
        caption: stands under the picture and is what screen readers say.
        pixels: uint8 [H, W] or [H, W, 3].
        other: drawn with a dashed frame, as something that does not belong.
    """

    caption: str
    pixels: np.ndarray
    other: bool = False


@dataclasses.dataclass(frozen=True)
class Strip:
    """A picture and, beside it, those it is to be compared with."""

    first: Picture
    others: Sequence[Picture]


@dataclasses.dataclass(frozen=True)
class Section:
    """A heading and what stands under it, in this order. One without content is left out.

    Args:
        heading: plain text.
        tables: tables.
        charts: charts side by side.
        strips: pictures in rows.
        gallery: small pictures.
        pictures: large pictures.
        folded: facts by name under a line to open, by that line; tables of rows among them.
        notes: plain sentences.
    """

    heading: str
    tables: Sequence[Table] = ()
    charts: Sequence[Chart] = ()
    strips: Sequence[Strip] = ()
    gallery: Sequence[Picture] = ()
    pictures: Sequence[Picture] = ()
    folded: Mapping[str, Mapping[str, Any] | Sequence[Table]] = dataclasses.field(
        default_factory=dict
    )
    notes: Sequence[str] = ()


def write_report(
    path: str | os.PathLike[str],
    *,
    title: str,
    summary: Mapping[str, Any],
    table: Sequence[Mapping[str, Any]],
    curves: Sequence[Chart],
    scatters: Sequence[Chart],
    notes: Sequence[str],
    gallery: Sequence[tuple[str, np.ndarray]] | None = None,
) -> None:
    """Writes a self-contained HTML page of one run, whole or not at all.

    Args:
        path: of the file; its folder is made.
        title: heading and window title.
        summary: facts by name. Short ones become tiles, long ones lines; an inner mapping gives
            `outer: inner` names.
        table: rows; columns are the union of their keys in order, the first names the row.
        curves: charts of the training, see `training_curves`.
        scatters: charts of the results: embedding, bars.
        notes: plain sentences at the end.
        gallery: (caption, uint8 pixels [H, W] or [H, W, 3]); None: no such section.

    Raises:
        OSError: the file cannot be written.

    Example:
        >>> import tempfile, pathlib
        >>> page = pathlib.Path(tempfile.mkdtemp()) / "report.html"
        >>> rows = [{"model": "BURN", "top-1 %": 95.1}]
        >>> write_report(page, title="Digits", summary={"seconds": 4.5}, table=rows,
        ...              curves=[], scatters=[], notes=[])
        >>> "95.1" in page.read_text(encoding="utf-8")
        True
    """
    sections = [
        Section("Results", tables=[Table(table)], charts=scatters),
        Section("Training", charts=curves),
        Section("Pictures", gallery=[Picture(*entry) for entry in gallery or ()]),
        Section("Notes", notes=notes),
    ]
    write_sections(path, title=title, summary=summary, sections=sections)


def write_sections(
    path: str | os.PathLike[str],
    *,
    title: str,
    summary: Mapping[str, Any],
    sections: Sequence[Section],
) -> None:
    """Writes a self-contained HTML page of any sections, whole or not at all.

    Args:
        path: of the file; its folder is made.
        title: heading and window title.
        summary: facts by name, as in `write_report`.
        sections: in their order on the page.

    Raises:
        OSError: the file cannot be written.
        UserError: pixels that are no picture.
    """
    body = _summary(_flat(summary)) + "".join(_section(section) for section in sections)
    atomic_write(path, _document(title, body))


def _document(title: str, body: str) -> str:
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f"<title>{escaped(title)}</title><style>{STYLE}</style></head>\n"
        f"<body><main><h1>{escaped(title)}</h1>{body}</main></body></html>\n"
    )


def _section(section: Section) -> str:
    content = "".join(
        [
            *(_table(table, section.heading) for table in section.tables),
            _charts(section.charts),
            *(_strip(strip) for strip in section.strips),
            _gallery(section.gallery),
            _gallery(section.pictures, " wide"),
            *(_folded(name, facts) for name, facts in section.folded.items()),
            _notes(section.notes),
        ]
    )
    return f"<section><h2>{escaped(section.heading)}</h2>{content}</section>\n" if content else ""


def _folded(name: str, content: Mapping[str, Any] | Sequence[Table]) -> str:
    if isinstance(content, Mapping):
        shown = _lines(_flat(content))
    else:
        shown = "".join(_table(table, name) for table in content)
    return f'<details class="card"><summary>{escaped(name)}</summary>{shown}</details>\n'


def _flat(facts: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in facts.items():
        if isinstance(value, Mapping):
            flat.update(_flat(value, f"{prefix}{name}: "))
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def _text(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(format_value(item) for item in value)
    return format_value(value)


def _texts(facts: Mapping[str, Any]) -> dict[str, str]:
    return {name.replace("_", " "): _text(value) for name, value in facts.items()}


def _lines(facts: Mapping[str, Any]) -> str:
    return _facts(_texts(facts), "facts", "")


def _summary(facts: Mapping[str, Any]) -> str:
    texts = _texts(facts)
    tiles = {name: text for name, text in texts.items() if len(text) <= _TILE_CHARACTERS}
    lines = {name: text for name, text in texts.items() if name not in tiles}
    return _facts(tiles, "tiles", ' class="card"') + _facts(lines, "facts card", "")


def _facts(facts: Mapping[str, str], class_: str, each: str) -> str:
    items = "".join(
        f"<div{each}><dt>{escaped(name)}</dt><dd>{escaped(text)}</dd></div>"
        for name, text in facts.items()
    )
    return f'<dl class="{class_}">{items}</dl>\n' if items else ""


def _table(table: Table, heading: str) -> str:
    rows = table.rows
    columns = list(dict.fromkeys(key for row in rows for key in row))
    if not columns:
        return ""
    written = [format_column([row.get(column) for row in rows]) for column in columns]
    numeric = [any(is_number(row.get(column)) for row in rows) for column in columns]
    classes = [' class="number"' if is_one else "" for is_one in numeric]
    head = "".join(
        f'<th scope="col"{class_}>{escaped(column)}</th>'
        for column, class_ in zip(columns, classes, strict=True)
    )
    body = "".join(
        _row([column[i] for column in written], classes, i in table.quoted)
        for i in range(len(rows))
    )
    caption = f"<caption>{escaped(table.title)}</caption>" if table.title else ""
    name = escaped(table.title or heading)
    return (
        f'<div class="card scroll" tabindex="0" role="region" aria-label="{name}">'
        f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _row(texts: Sequence[str], classes: Sequence[str], quoted: bool) -> str:
    first = f'<th scope="row"{classes[0]}>{escaped(texts[0])}</th>'
    rest = (
        f"<td{class_}>{escaped(text)}</td>"
        for text, class_ in zip(texts[1:], classes[1:], strict=True)
    )
    class_ = ' class="quoted"' if quoted else ""
    return f"<tr{class_}>{first}{''.join(rest)}</tr>"


def _charts(charts: Sequence[Chart]) -> str:
    figures = "".join(_figure(chart) for chart in charts)
    return f'<div class="charts">{figures}</div>' if figures else ""


def _figure(chart: Chart) -> str:
    note = f'<p class="note">{escaped(chart.note)}</p>' if chart.note else ""
    heading = f"<figcaption><h3>{escaped(chart.title)}</h3></figcaption>"
    return f'<figure class="card">{heading}{chart.svg}{note}</figure>\n'


def _picture(picture: Picture) -> str:
    caption = escaped(picture.caption)
    small = max(picture.pixels.shape[:2], default=0) <= SMALL_SIDE
    drawn = f'<img alt="{caption}" src="{picture_uri(picture.pixels)}"'
    drawn += ' class="pixels">' if small else ">"
    class_ = ' class="other"' if picture.other else ""
    return f"<figure{class_}>{drawn}<figcaption>{caption}</figcaption></figure>"


def _gallery(pictures: Sequence[Picture], kind: str = "") -> str:
    figures = "".join(_picture(picture) for picture in pictures)
    return f'<div class="card gallery{kind}">{figures}</div>' if figures else ""


def _strip(strip: Strip) -> str:
    others = "".join(_picture(picture) for picture in strip.others)
    beside = f'<div class="gallery">{others}</div>'
    return f'<div class="card strip">{_picture(strip.first)}{beside}</div>\n'


def _notes(notes: Sequence[str]) -> str:
    items = "".join(f"<li>{escaped(note)}</li>" for note in notes)
    return f'<ul class="notes">{items}</ul>' if items else ""
