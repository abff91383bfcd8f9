"""Reads what `burn-tf evaluate`, `compare` and `pretrain` leave behind, for one report."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from burn_tf._checks import UserError
from burn_tf._files import read_whole
from burn_tf.report.numbers import is_number
from burn_tf.report.training_curves import Metrics, read_metrics

# In a result's provenance: what shows that the images are not of the set that the protocol names.
OTHER_DATA = "other_data"
# Names that burn_tf.compare and burn_tf.training give their files.
_TABLE_FILE, _METRICS_FILE = "table.json", "metrics.jsonl"
KINDS = (
    "a JSON file of `burn-tf evaluate`, the table.json or work directory of `burn-tf compare`, or "
    "a work directory of `burn-tf pretrain`"
)


@dataclasses.dataclass(frozen=True)
class Record:
    """One result of an evaluation.

    Args:
        file: it was read from.
        protocol: name of the protocol.
        metrics: finite numbers by name.
        provenance: what they depend on.
        model: name for people, different for records that could be mixed up.
    """

    file: Path
    protocol: str
    metrics: Mapping[str, float]
    provenance: Mapping[str, Any]
    model: str = ""

    @property
    def task(self) -> str:
        """The kind of protocol: what stands before the colon."""
        return self.protocol.partition(":")[0]

    @property
    def data(self) -> str:
        """Name of the labelled images it was scored on, or "" where the record has none.

        Where the protocol names a set of images and these are others, it is said.
        """
        if OTHER_DATA in self.provenance:
            return str(self.provenance[OTHER_DATA])
        data = self.provenance.get("data", {})
        test = data.get("test", {}) if isinstance(data, Mapping) else {}
        return str(test.get("name", "")) if isinstance(test, Mapping) else ""


@dataclasses.dataclass(frozen=True)
class Comparison:
    """The table of a comparison, and the curves of its runs where they are beside it."""

    label: str
    table: Mapping[str, Any]
    curves: Mapping[str, Metrics]


@dataclasses.dataclass(frozen=True)
class Training:
    """A pretraining: its name and its `metrics.jsonl`."""

    label: str
    file: Path


@dataclasses.dataclass(frozen=True)
class Runs:
    """Everything that a report shows."""

    records: Sequence[Record] = ()
    comparisons: Sequence[Comparison] = ()
    trainings: Sequence[Training] = ()


def read_runs(paths: Sequence[str | os.PathLike[str]]) -> Runs:
    """Reads runs of all kinds.

    Args:
        paths: at least one, each once: see `KINDS`. A file of `evaluate` holds one result or a
            list of them.

    Returns:
        Runs, in the order given. Results of one model get the file's name added where nothing
        else tells them apart.

    Raises:
        UserError: none given, one given twice, nothing there, or something else than a run.
    """
    if not paths:
        raise UserError(f"`run` must be {KINDS}. Received: none")
    places = [Path(path) for path in paths]
    again = [str(place) for place, n in Counter(map(Path.resolve, places)).items() if n > 1]
    if again:
        raise UserError(f"`run` must name each run once. Received: {again[0]!r} twice")
    labels = _labels(places)
    records: list[Record] = []
    comparisons: list[Comparison] = []
    trainings: list[Training] = []
    for place, label in zip(places, labels, strict=True):
        if place.is_dir() and not (place / _TABLE_FILE).is_file():
            trainings.append(_training(place, label))
            continue
        file = place / _TABLE_FILE if place.is_dir() else place
        content = _parsed(file)
        if isinstance(content, dict) and {"title", "rows", "probes"} <= set(content):
            comparisons.append(_comparison(file, label, content))
        else:
            entries = content if isinstance(content, list) else [content]
            if not entries:
                raise _refusal(file, "which holds no result")
            records += [_record(file, entry) for entry in entries]
    return Runs(_named(records), comparisons, trainings)


def _labels(places: Sequence[Path]) -> list[str]:
    """The last part of each path, or all of it where others end alike."""
    names = [place.resolve().name for place in places]
    count = Counter(names)
    return [n if count[n] == 1 else str(p) for n, p in zip(names, places, strict=True)]


def _refusal(path: Path, received: str) -> UserError:
    return UserError(f"`run` must be {KINDS}. Received: {str(path)!r}, {received}")


def _training(folder: Path, label: str) -> Training:
    file = folder / _METRICS_FILE
    if not file.is_file():
        raise _refusal(folder, f"a folder without {_METRICS_FILE} or {_TABLE_FILE}")
    if not read_metrics(file).stages:
        raise _refusal(folder, f"whose {_METRICS_FILE} has no readable line")
    return Training(label, file)


def _parsed(file: Path) -> Any:
    if not file.exists():
        raise _refusal(file, "which does not exist")
    try:
        return json.loads(read_whole(file))
    except (ValueError, RecursionError) as error:
        raise _refusal(file, f"which is not JSON ({error})") from error


def _comparison(file: Path, label: str, table: dict[str, Any]) -> Comparison:
    try:
        folders = {
            f"{row['title']}, seed {seed}": file.parent / f"{row['row']}-{seed}" / _METRICS_FILE
            for row in table["rows"]
            for seed in table.get("seeds", [])
        }
    except (KeyError, TypeError) as error:
        raise _refusal(file, "a damaged table") from error
    found = {name: read_metrics(path) for name, path in folders.items() if path.is_file()}
    return Comparison(label, table, found)


def _record(file: Path, entry: Any) -> Record:
    fields = ("protocol", "metrics", "provenance")
    if not isinstance(entry, dict) or not set(fields) <= set(entry):
        raise _refusal(file, f"which lacks {', '.join(fields)}")
    protocol, metrics, provenance = (entry[field] for field in fields)
    if not isinstance(metrics, dict) or not isinstance(provenance, dict):
        raise _refusal(file, "whose metrics or provenance are no JSON object")
    for name, value in metrics.items():
        if not is_number(value) or not _is_finite(value):
            raise _refusal(file, f"whose metric {name!r} is {value!r}")
    return Record(file, str(protocol), metrics, provenance)


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # A whole number beyond any float.
        return False


def _named(records: Sequence[Record]) -> list[Record]:
    """The records with names for their models that no two of one table share."""
    names = [str(record.provenance.get("backbone", record.file.stem)) for record in records]
    keys = [(n, r.protocol, r.data) for n, r in zip(names, records, strict=True)]
    mixed = {name for (name, _, _), count in Counter(keys).items() if count > 1}
    files = dict(zip([r.file for r in records], _file_names(records), strict=True))
    return [
        dataclasses.replace(
            record, model=f"{name} ({files[record.file]})" if name in mixed else name
        )
        for name, record in zip(names, records, strict=True)
    ]


def _file_names(records: Sequence[Record]) -> list[str]:
    stems = {file: file.stem for file in {record.file for record in records}}
    count = Counter(stems.values())
    return [
        stems[record.file] if count[stems[record.file]] == 1 else str(record.file)
        for record in records
    ]
