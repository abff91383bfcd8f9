"""One page of any runs: results beside the papers' rows, comparisons, curves, pictures."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from burn_tf._checks import UserError
from burn_tf.report.charts import Chart, bar_chart
from burn_tf.report.page import Picture, Section, Table, write_sections
from burn_tf.report.pictures import Box, draw_boxes
from burn_tf.report.result_tables import reported_section, result_sections
from burn_tf.report.runs import Comparison, Record, Runs
from burn_tf.report.training_curves import Metrics, overlaid_curves, read_metrics, training_curves

DETECTIONS = "detections"
_SHOWN_DETECTIONS = 12
# From what a table.json holds to its rows and its notes as people read them.
Describe = Callable[[dict[str, Any]], tuple[Sequence[Mapping[str, Any]], Sequence[str]]]


def write_run_report(
    path: str | os.PathLike[str],
    runs: Runs,
    *,
    title: str = "",
    describe: Describe | None = None,
    extra: Sequence[Section] = (),
) -> list[Section]:
    """Writes the page of `runs`, whole or not at all.

    Args:
        path: of the file; its folder is made.
        runs: what to show, see `read_runs`.
        title: heading; "": what the runs are.
        describe: from a comparison's table to its rows and notes for people, which
            `burn_tf.compare` knows how to word; None: names, means of the probes, its own notes.
        extra: sections behind the results, such as nearest neighbours.

    Returns:
        The sections of the page, in their order.

    Raises:
        OSError: the file cannot be written.
        UserError: a detection in a record that no picture can be made of, or a damaged table.

    Example:
        >>> import pathlib, tempfile
        >>> record = Record(pathlib.Path("r.json"), "knn:5", {"top1": 91.5}, {}, "BURN")
        >>> page = pathlib.Path(tempfile.mkdtemp()) / "report.html"
        >>> [section.heading for section in write_run_report(page, Runs([record]))][0]
        'Nearest neighbours'
    """
    sections = [
        *result_sections(runs.records),
        *(_compared(one, describe or described_plainly) for one in runs.comparisons),
        *extra,
        *detection_sections(runs.records),
        *_trainings(runs),
        _provenance(runs.records),
        reported_section(),
    ]
    write_sections(path, title=title or _title(runs), summary=_summary(runs), sections=sections)
    return sections


def _title(runs: Runs) -> str:
    names = list(dict.fromkeys(record.model for record in runs.records))
    names += [str(comparison.table["title"]) for comparison in runs.comparisons]
    names += [f"pretraining {training.label}" for training in runs.trainings]
    return (
        f"{names[0]} and {len(names) - 1} more" if len(names) > 1 else "".join(names) or "No runs"
    )


def _summary(runs: Runs) -> dict[str, Any]:
    counts = {
        "results": len(runs.records),
        "models": len({record.model for record in runs.records}),
        "comparisons": len(runs.comparisons),
        "pretrainings": len(runs.trainings),
    }
    return {name: count for name, count in counts.items() if count}


def described_plainly(table: dict[str, Any]) -> tuple[list[dict[str, Any]], list[str]]:
    """Returns a comparison's rows with the mean of each probe, and its notes."""
    rows = [
        {"method": row["title"]}
        | {f"{name} %": row["probes"][name]["mean"] for name in table["probes"]}
        for row in table["rows"]
    ]
    return rows, list(table.get("notes", []))


def _compared(comparison: Comparison, describe: Describe) -> Section:
    try:
        return _comparison(comparison, describe)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            "`run` must be a table as `burn-tf compare` writes it: run the same comparison again. "
            f"Received: {comparison.label!r}, a damaged one ({type(error).__name__}: {error})"
        ) from error


def _comparison(comparison: Comparison, describe: Describe) -> Section:
    table = dict(comparison.table)
    names = [row["title"] for row in table["rows"]]
    bars = []
    for probe in table["probes"]:
        means = [row["probes"][probe]["mean"] for row in table["rows"]]
        bars.append(bar_chart(f"Top-1 accuracy, {probe}", names, {probe: means}, unit=" %"))
    rows, notes = describe(table)
    return Section(
        str(table["title"]),
        tables=[Table(rows)],
        charts=[*bars, *overlaid_curves(comparison.curves)],
        notes=notes,
    )


def _trainings(runs: Runs) -> list[Section]:
    sections = []
    if len(runs.trainings) > 1:
        metrics: dict[str, Metrics] = {t.label: read_metrics(t.file) for t in runs.trainings}
        sections.append(Section("Trainings side by side", charts=overlaid_curves(metrics)))
    for training in runs.trainings:
        charts: Sequence[Chart] = training_curves(training.file)
        sections.append(Section(f"Training of {training.label}", charts=charts))
    return sections


def _provenance(records: Sequence[Record]) -> Section:
    """What each record says of how it was made; tables of rows stand with the results."""
    folded = {}
    for record in records:
        facts = {k: v for k, v in record.provenance.items() if not _is_rows(v)}
        folded[f"{record.model}, {record.protocol}, {record.file.name}"] = facts
    return Section("How the figures were made", folded=folded)


def _is_rows(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(entry, dict) for entry in value)


def detection_record(
    image: str | os.PathLike[str], boxes: Sequence[Box], caption: str = ""
) -> dict[str, Any]:
    """Returns one entry of `provenance["detections"]`, which a report draws.

    Args:
        image: path of the picture; a relative one counts from the record's file.
        boxes: detections and annotations, in pixels of the picture.
        caption: stands under it; "": the picture's name.

    Example:
        >>> detection_record("000012.jpg", [Box(0, 0, 9, 9, "car", 0.5)])["image"]
        '000012.jpg'
    """
    entry = {"image": os.fspath(image), "caption": caption, "boxes": [b.to_record() for b in boxes]}
    plain: dict[str, Any] = json.loads(json.dumps(entry))
    return plain


def detection_sections(records: Sequence[Record]) -> list[Section]:
    """Builds a section of pictures with boxes for each record that keeps detections.

    Raises:
        UserError: an entry that is no `detection_record`. A picture that is not there any more is
            said in a note.
    """
    sections = []
    for record in records:
        entries = record.provenance.get(DETECTIONS) or []
        if not isinstance(entries, list):
            raise _no_detections(record, entries)
        drawn = [_drawn(record, entry) for entry in entries[:_SHOWN_DETECTIONS]]
        pictures = [one for one in drawn if isinstance(one, Picture)]
        notes = [one for one in drawn if isinstance(one, str)]
        if len(entries) > _SHOWN_DETECTIONS:
            notes.append(f"{_SHOWN_DETECTIONS} of {len(entries)} pictures.")
        heading = f"Detections of {record.model}, {record.protocol}"
        if entries:
            sections.append(Section(heading, pictures=pictures, notes=notes))
    return sections


def _drawn(record: Record, entry: Any) -> Picture | str:
    try:
        boxes = [Box.from_record(box) for box in entry["boxes"]]
        file = record.file.parent / Path(entry["image"])
    except (KeyError, TypeError) as error:
        raise _no_detections(record, entry) from error
    try:
        with Image.open(file) as image:
            pixels = np.asarray(image.convert("RGB"))
    except OSError as error:
        return f"The picture {entry['image']} cannot be shown: {error.strerror or error}."
    found = sum(not box.truth for box in boxes)
    counted = f"{found} detection{'' if found == 1 else 's'}"
    return Picture(f"{entry.get('caption') or file.name}: {counted}", draw_boxes(pixels, boxes))


def _no_detections(record: Record, received: Any) -> UserError:
    return UserError(
        f"`{DETECTIONS}` of {str(record.file)!r} must be a list of records with image and boxes. "
        f"Received: {received!r}"
    )
