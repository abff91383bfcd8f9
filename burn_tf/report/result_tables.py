"""Results of evaluations, a section per task, each beside the rows of the papers' tables."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from burn_tf.report.charts import Chart, bar_chart
from burn_tf.report.page import Section, Table
from burn_tf.report.reported import MARK, REPORTED, Reported, reported_rows
from burn_tf.report.runs import Record
from burn_tf.report.spread import HEADLINE, Spread, few_shot_chart

OURS = "measured here"
_TASKS = {
    "linear": "Linear evaluation",
    "knn": "Nearest neighbours",
    "svm": "Support vector machines",
    "semi": "Fine-tuning on few labels",
    "transfer": "Transfer to other data",
    "detect": "Object detection",
    "segment": "Instance segmentation",
    "embedding": "Geometry of the features",
}
_METRICS = {
    "top1": "top-1 %",
    "top5": "top-5 %",
    "map11": "mAP %, 11 points",
    "map": "mAP %, all points",
    "ap": "AP %",
    "ap50": "AP50 %",
    "ap75": "AP75 %",
    "ap50_voc07": "AP50 %, 11 points",
}
_HEADLINES = ("top1", "map11", "map", "ap")
_FLAGS = ("collapsed",)


def metric_name(metric: str) -> str:
    """Returns a metric's name for people, with its unit."""
    k = _shots_of(metric)
    if k is not None:
        return f"mAP %, k = {k}"
    return _METRICS.get(metric, metric.replace("_", " "))


def _shots_of(metric: str) -> int | None:
    """Images per class of a metric over few of them."""
    few, _, k = metric.partition("_k")
    return int(k) if few == HEADLINE and k.isdecimal() else None


def _rank(metric: str) -> tuple[int, int]:
    """Where a metric's column stands: the usual ones, few images before many, then others."""
    if metric in _METRICS:
        return 0, list(_METRICS).index(metric)
    k = _shots_of(metric)
    return (2, 0) if k is None else (1, k)


def result_sections(records: Sequence[Record]) -> list[Section]:
    """Builds a section per task: ours and the papers' rows in one table, bars, grids.

    Args:
        records: results; their order is kept within a task.

    Returns:
        Sections in the order in which the papers treat the tasks, unknown ones at the end.
    """
    tasks = list(dict.fromkeys([*_TASKS, *(record.task for record in records)]))
    groups = {task: [r for r in records if r.task == task] for task in tasks}
    return [_section(task, group) for task, group in groups.items() if group]


def _section(task: str, records: Sequence[Record]) -> Section:
    quoted = [row for row in _quoted(records) if row.metrics]
    rows = [_our_row(record) for record in records] + [_their_row(row) for row in quoted]
    shown = {m for record in records for m in record.metrics}
    shown |= {m for row in quoted for m in row.metrics}
    table = Table(_same_columns(rows, shown), quoted=range(len(records), len(rows)))
    few_shots = few_shot_chart(records)
    charts = [*_bars(task, records), *([few_shots] if few_shots else [])]
    inner = [inner for record in records for inner in _inner_tables(record)]
    return Section(
        _TASKS.get(task, task),
        tables=[table],
        charts=charts,
        folded={name: [inner_table] for name, inner_table in inner},
    )


def _quoted(records: Sequence[Record]) -> list[Reported]:
    return list(
        {id(row): row for record in records for row in reported_rows(record.protocol)}.values()
    )


def _our_row(record: Record) -> dict[str, Any]:
    names = {"model": record.model, "protocol": record.protocol, "data": record.data}
    figures = {
        metric_name(metric): bool(value) if metric in _FLAGS else float(value)
        for metric, value in record.metrics.items()
    }
    return {**names, **figures, "figures": OURS}


def _their_row(row: Reported) -> dict[str, Any]:
    figures = {metric_name(metric): float(value) for metric, value in row.metrics.items()}
    names = {"model": f"{row.method} (authors)", "protocol": row.protocol, "data": row.data}
    return {**names, **figures, "figures": row.mark}


def _same_columns(
    rows: Sequence[Mapping[str, Any]], metrics: Collection[str]
) -> list[dict[str, Any]]:
    """The rows with the figures right behind the name, where a phone shows them at once."""
    names = [metric_name(metric) for metric in sorted(metrics, key=lambda m: (_rank(m), m))]
    columns = ["model", *names, "protocol", "data", "figures"]
    return [{column: row.get(column) for column in columns} for row in rows]


def _bars(task: str, records: Sequence[Record]) -> list[Chart]:
    """The task's first figure, a bar per model and protocol; ours only."""
    metric = next((m for m in _HEADLINES if any(m in record.metrics for record in records)), "")
    shown = [record for record in records if metric in record.metrics]
    if len(shown) < 2:
        return []
    found = {(r.protocol, _place(r)): r.metrics[metric] for r in shown}
    protocols, labels = (list(dict.fromkeys(names)) for names in zip(*found, strict=True))
    values = {p: [found.get((p, name)) for name in labels] for p in protocols}
    return [bar_chart(f"{_TASKS.get(task, task)}: {metric_name(metric)}", labels, values)]


def _place(record: Record) -> str:
    return ", ".join(filter(None, [record.model, record.data]))


def _inner_tables(record: Record) -> list[tuple[str, Table]]:
    """Lists of settings and their figures that a record keeps, such as a grid."""
    found = []
    for name, value in record.provenance.items():
        is_table = isinstance(value, list) and value and all(isinstance(v, dict) for v in value)
        if not is_table or name == "detections":
            continue
        rows = [_flat(row) for row in value]
        found.append((f"{record.model}, {record.protocol}: {name.replace('_', ' ')}", Table(rows)))
    return found


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row whose inner mappings are columns: metrics by their names, draws by mean and spread."""
    flat: dict[str, Any] = {}
    for key, value in row.items():
        name, spread = metric_name(key), Spread.from_record(value)
        if spread is not None:
            flat[name] = spread.mean
            flat[f"deviation of {name}"] = spread.deviation
            flat[f"95 % interval of {name}"] = spread.interval()
        elif isinstance(value, Mapping):
            flat |= {metric_name(inner): one for inner, one in value.items()}
        else:
            flat[name] = value
    return flat


def reported_section() -> Section:
    """Builds the section of all that the authors report, folded, each table marked as theirs."""
    tables = {f"{title} ({MARK})": [_their_table(rows)] for title, rows in REPORTED.items()}
    note = "None of these figures was measured here; the networks are pretrained on ImageNet."
    return Section("What the authors report", folded=tables, notes=[note])


def _their_table(rows: Sequence[Reported]) -> Table:
    metrics = {metric for row in rows for metric in row.metrics}
    shown = _same_columns([_their_row(row) for row in rows], metrics)
    return Table(shown, quoted=range(len(rows)))
