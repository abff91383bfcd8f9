"""Cards: what a model is, how it was trained and what it scores, as Markdown."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from burn_tf._checks import UserError
from zoo import manifest
from zoo.manifest import Entry, Metric, WeightFile, get_entry

BEGIN, END = "<!-- facts: written by zoo.publish -->", "<!-- end of facts -->"


def card(name: str) -> str:
    """The card of a model, as Markdown.

    Args:
        name: one of `list_models()`.

    Raises:
        UserError: an unknown name; the nearest one is named.
    """
    return card_path(get_entry(name).name).read_text(encoding="utf-8")


def card_path(name: str) -> Path:
    """Where the card of a model is."""
    return manifest.FOLDER / "cards" / f"{name}.md"


def new_card(entry: Entry) -> str:
    """A card with its facts and room for prose around them."""
    return f"# {entry.name}\n\n{entry.summary}\n\n{facts(entry)}\n"


def with_facts(text: str, entry: Entry) -> str:
    """The card `text` with the facts of `entry` in place of those it has.

    Raises:
        UserError: the marks around the facts are gone.
    """
    before, found_begin, rest = text.partition(BEGIN)
    _, found_end, after = rest.partition(END)
    if not (found_begin and found_end):
        raise UserError(
            f"the card of {entry.name} must have the lines {BEGIN!r} and {END!r}: put them back. "
            f"Received: {text[:60]!r}"
        )
    return f"{before}{facts(entry)}{after}"


def facts(entry: Entry) -> str:
    """What the manifest knows of an entry, between the marks."""
    parts = [_usage(entry), _table("| | |", _rows(entry)), *_figures(entry), *_floor(entry)]
    return "\n\n".join([BEGIN, *parts, END])


def _usage(entry: Entry) -> str:
    return "\n".join(
        [
            "```python",
            "from burn_tf import zoo",
            "",
            f'backbone = zoo.load("{entry.name}", pooling="avg")  # [B, {entry.feature_dim}]',
            f'images = zoo.get_entry("{entry.name}").preprocess_input(pixels)  # RGB, 0 to 255',
            "```",
        ]
    )


def _rows(entry: Entry) -> list[tuple[str, ...]]:
    values = entry.input
    constants = f"(pixel / {values.scale:g} - {_list(values.mean)}) / {_list(values.std)}"
    rows: list[tuple[str, ...]] = [
        ("method", entry.method),
        ("recipe", " ".join([f"`{entry.recipe}`", *(f"`{word}`" for word in entry.settings)])),
        ("data", entry.data),
        ("teacher", entry.teacher),
        ("network", _network(entry)),
        ("input", f"{values.size} x {values.size} pixels, RGB; {constants}"),
        ("features", str(entry.feature_dim)),
        ("licence", entry.licence),
        ("origin", entry.origin),
        ("paper", f"[{entry.paper.title}]({entry.paper.url})"),
    ]
    return rows + [(f"file, {file.variant}", _file(file)) for file in entry.files]


def _network(entry: Entry) -> str:
    network = entry.network
    parts = [network.name, f"width {network.width:g}", f"stem stride {network.stem_strides}"]
    parts += [f"pad value {network.pad_values:+g}" if network.pad_values else "pad value 0"]
    parts += [f"embedding {network.embedding_units}"] if network.embedding_units else []
    return ", ".join(parts)


def _file(file: WeightFile) -> str:
    return f"`{file.name}`, {file.size:,} bytes, SHA-256 `{file.sha256}`"


def _figures(entry: Entry) -> list[str]:
    if not entry.metrics:
        return []
    rows = [
        (m.subject, m.data, m.protocol, m.metric, f"{m.value:.2f}", _provenance(m))
        for m in entry.metrics
    ]
    return [_table("| features of | data | protocol | figure | % | from |", rows)]


def _provenance(metric: Metric) -> str:
    if metric.reported is not None:
        return f"reported: {metric.reported.source}"
    assert metric.measured is not None
    made = metric.measured
    return f"measured {made.date}, `{made.command}`, commit {made.commit[:7]}, {made.machine}"


def _floor(entry: Entry) -> list[str]:
    floor = entry.floor
    if floor is None:
        return []
    return [
        f"Floor held by a test: {floor.protocol} {floor.metric} of at least {floor.value:g} % on "
        f"{floor.data}, fitted on {floor.train_images:,} images, scored on {floor.test_images:,}."
    ]


def _table(head: str, rows: Iterable[tuple[str, ...]]) -> str:
    rule = "|" + "---|" * (head.count("|") - 1)
    lines = [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows]
    return "\n".join([head, rule, *lines])


def _list(values: tuple[float, ...]) -> str:
    return f"({', '.join(f'{value:g}' for value in values)})"
