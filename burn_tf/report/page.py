"""One HTML file that shows a run: summary, table, charts. It needs no network and no script."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from burn_tf._files import atomic_write
from burn_tf.report.frame import DARK_COLOURS, LIGHT_COLOURS, Chart
from burn_tf.report.numbers import format_column, format_value, is_number
from burn_tf.report.png import data_uri
from burn_tf.report.svg import escaped

_TILE_CHARACTERS = 18
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def _scheme(colours: Sequence[str], **variables: str) -> str:
    named = [f"--{name}:{value}" for name, value in variables.items()]
    return ";".join(named + [f"--series-{i + 1}:{c}" for i, c in enumerate(colours)])


_LIGHT = _scheme(
    LIGHT_COLOURS, page="#f4f6f9", card="#fff", ink="#1d2430", muted="#5b6472",
    grid="#e3e7ee", axis="#9aa3b2", accent="#3566d6",
)  # fmt: skip
_DARK = _scheme(
    DARK_COLOURS, page="#12151b", card="#1b2029", ink="#e8ecf3", muted="#a3adbd",
    grid="#2c3340", axis="#5d6778", accent="#7ea6ff",
)  # fmt: skip

_STYLE = (
    ":root{color-scheme:light dark;" + _LIGHT + "}"
    "@media (prefers-color-scheme:dark){:root{"
    + _DARK
    + "}}"
    + """
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:16px/1.5 system-ui,-apple-system,
 "Segoe UI",Roboto,"DejaVu Sans",sans-serif;-webkit-text-size-adjust:100%}
main{max-width:1080px;margin:0 auto;padding:20px 14px 48px}
h1{font-size:1.6rem;line-height:1.2;margin:8px 0 18px;overflow-wrap:anywhere}
h2{font-size:1.1rem;margin:32px 0 10px}
h3{font-size:.95rem;margin:0 0 8px;font-weight:600}
.card{background:var(--card);border:1px solid var(--grid);border-radius:12px;padding:14px}
.tiles{display:grid;grid-template-columns:repeat(auto-fill,minmax(138px,1fr));gap:10px;margin:0}
.tiles div{padding:10px 12px}
dt{color:var(--muted);font-size:.8rem;overflow-wrap:anywhere}
dd{margin:0;font-size:1.15rem;font-weight:600;font-variant-numeric:tabular-nums}
.facts{margin:10px 0 0}
.facts div{display:grid;grid-template-columns:minmax(6rem,13rem) 1fr;gap:2px 12px;padding:5px 0}
.facts div+div{border-top:1px solid var(--grid)}
@media (max-width:560px){.facts div{grid-template-columns:1fr}.card{padding:12px 10px}}
.facts dd{font-size:.9rem;font-weight:400;overflow-wrap:anywhere}
.scroll{overflow-x:auto;padding:4px 0}
.scroll+.charts{margin-top:14px}
table{border-collapse:collapse;width:100%;font-size:.9rem;font-variant-numeric:tabular-nums}
th,td{padding:8px 10px;text-align:left;white-space:nowrap}
thead th{color:var(--muted);font-weight:600;font-size:.8rem}
tbody tr{border-top:1px solid var(--grid)}
tbody th{font-weight:600;white-space:normal;min-width:8rem}
.number{text-align:right}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,400px),1fr));gap:14px}
figure{margin:0;min-width:0}
figure svg{display:block;width:100%;height:auto;max-width:480px;margin:0 auto}
.note,.notes{color:var(--muted);font-size:.8rem}
.note{margin:8px 0 0}
.notes{padding-left:1.2rem;overflow-wrap:anywhere}
.gallery{display:grid;grid-template-columns:repeat(auto-fill,minmax(84px,1fr));gap:10px}
.gallery figure{font-size:.75rem;color:var(--muted);text-align:center;overflow-wrap:anywhere}
.gallery img{width:100%;height:auto;border-radius:6px;image-rendering:pixelated;display:block}
:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
@media print{body{background:#fff}.card{break-inside:avoid}}
"""
)


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
    """Writes a self-contained HTML page, whole or not at all.

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
        _summary(_flat(summary)),
        _section("Results", _table(table) + _charts(scatters)),
        _section("Training", _charts(curves)),
        _section("Pictures", _gallery(gallery or ())),
        _section("Notes", _notes(notes)),
    ]
    atomic_write(path, _document(title, "".join(sections)))


def _document(title: str, body: str) -> str:
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f"<title>{escaped(title)}</title><style>{_STYLE}</style></head>\n"
        f"<body><main><h1>{escaped(title)}</h1>{body}</main></body></html>\n"
    )


def _section(heading: str, content: str) -> str:
    return f"<section><h2>{heading}</h2>{content}</section>\n" if content else ""


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


def _summary(facts: Mapping[str, Any]) -> str:
    texts = {name.replace("_", " "): _text(value) for name, value in facts.items()}
    tiles = {name: text for name, text in texts.items() if len(text) <= _TILE_CHARACTERS}
    lines = {name: text for name, text in texts.items() if name not in tiles}
    return _facts(tiles, "tiles", ' class="card"') + _facts(lines, "facts card", "")


def _facts(facts: Mapping[str, str], class_: str, each: str) -> str:
    items = "".join(
        f"<div{each}><dt>{escaped(name)}</dt><dd>{escaped(text)}</dd></div>"
        for name, text in facts.items()
    )
    return f'<dl class="{class_}">{items}</dl>\n' if items else ""


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
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
    body = "".join(_row([column[i] for column in written], classes) for i in range(len(rows)))
    return (
        '<div class="card scroll" tabindex="0" role="region" aria-label="Results">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _row(texts: Sequence[str], classes: Sequence[str]) -> str:
    first = f'<th scope="row"{classes[0]}>{escaped(texts[0])}</th>'
    rest = (
        f"<td{class_}>{escaped(text)}</td>"
        for text, class_ in zip(texts[1:], classes[1:], strict=True)
    )
    return f"<tr>{first}{''.join(rest)}</tr>"


def _charts(charts: Sequence[Chart]) -> str:
    figures = "".join(_figure(chart) for chart in charts)
    return f'<div class="charts">{figures}</div>' if figures else ""


def _figure(chart: Chart) -> str:
    note = f'<p class="note">{escaped(chart.note)}</p>' if chart.note else ""
    heading = f"<figcaption><h3>{escaped(chart.title)}</h3></figcaption>"
    return f'<figure class="card">{heading}{chart.svg}{note}</figure>\n'


def _gallery(pictures: Sequence[tuple[str, np.ndarray]]) -> str:
    figures = "".join(
        f'<figure><img alt="{escaped(caption)}" src="{data_uri(pixels)}">'
        f"<figcaption>{escaped(caption)}</figcaption></figure>"
        for caption, pixels in pictures
    )
    return f'<div class="card gallery">{figures}</div>' if figures else ""


def _notes(notes: Sequence[str]) -> str:
    items = "".join(f"<li>{escaped(note)}</li>" for note in notes)
    return f'<ul class="notes">{items}</ul>' if items else ""
