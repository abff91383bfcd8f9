"""From the folders of all runs to one table."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from burn_tf import __version__
from burn_tf._checks import UserError
from burn_tf.compare.entries import BASELINES, CLASSIFIER, METHODS, TEACHER, TEACHERS
from burn_tf.compare.plan import Plan, Run
from burn_tf.compare.presets import PRESETS, REPORTED, Variant
from burn_tf.compare.worker import FAILURE_FILE, RESULT_FILE
from burn_tf.evaluation.embedding import COLLAPSED_BELOW
from burn_tf.recipes.base import Views
from burn_tf.report import read_metrics
from burn_tf.report.numbers import format_duration
from burn_tf.report.training_curves import Metrics
from burn_tf.training.guard import TrainingStopped
from burn_tf.watching.run_files import METRICS_FILE

# With a deviation of 0.05 the mean direction holds more than 99 % of the features' squared length.
_TAIL = 0.05
_MEBIBYTE = 1 << 20


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a run's folder holds.

    Args:
        run: the run.
        result: its `result.json`, or None before it has finished.
        reason: why it failed, or None.
        metrics: its curves, or None where nothing was trained.
        broke_down: whether it was stopped for what its training came to, and would be again.
    """

    run: Run
    result: dict[str, Any] | None
    reason: str | None
    metrics: Metrics | None
    broke_down: bool = False

    @classmethod
    def read(cls, run: Run) -> Outcome:
        """Read the folder of `run`."""
        result = _read_json(run, RESULT_FILE)
        failure = _read_json(run, FAILURE_FILE) if result is None else None
        path = run.folder / METRICS_FILE
        metrics = read_metrics(path) if path.exists() else None
        if failure is None:
            return cls(run, result, None, metrics)
        broke_down = failure.get("kind") == TrainingStopped.__name__
        reason = failure.get("reason", "for a reason that was not written down")
        return cls(run, result, reason, metrics, broke_down)

    @property
    def is_final(self) -> bool:
        """Whether nothing is left to do, in this run of the comparison or a later one."""
        return self.result is not None or self.broke_down

    @property
    def has_ended(self) -> bool:
        """Whether there is a result, or a reason why not."""
        return self.result is not None or self.reason is not None

    def scores(self) -> dict[str, float]:
        """Top-1 % by probe; empty before the run has finished."""
        probes = self.result["probes"] if self.result else {}
        return {name: metrics["top1"] for name, metrics in probes.items()}

    def describe(self) -> str:
        """One line: the scores, or why there are none."""
        if self.reason is not None:
            return f"failed: {self.reason}"
        scores = ", ".join(f"{name} {value:.2f} %" for name, value in self.scores().items())
        return scores or "not finished"

    def feature_std(self) -> float | None:
        """Mean deviation of the features over the last steps of training."""
        if self.metrics is None or not self.metrics.stages:
            return None
        _, values = self.metrics.curve(list(self.metrics.stages)[-1], "feature_std")
        tail = values[-max(1, round(_TAIL * len(values))) :]
        return float(np.mean(tail)) if len(tail) and np.isfinite(tail).all() else None

    def collapsed(self) -> bool | None:
        """Whether the features came down to one direction; None where nothing was trained."""
        if not self.run.trained:
            return None
        deviations = [self.feature_std(), (self.result or {}).get("test_feature_std")]
        known = [value for value in deviations if value is not None]
        return min(known) < COLLAPSED_BELOW if known else None

    def images_per_second(self) -> float | None:
        """Images of a step by its median time, over the stages; tracing is left out."""
        if self.metrics is None or self.run.recipe is None:
            return None
        medians = []
        for stage in self.metrics.stages:
            _, times = self.metrics.curve(stage, "time")
            # Where a run was resumed, time begins anew.
            steps = np.diff(times)[np.diff(times) > 0]
            if len(steps):
                medians.append(float(np.median(steps)))
        return self.run.recipe.batch_size / float(np.mean(medians)) if medians else None


def _read_json(run: Run, name: str) -> dict[str, Any] | None:
    path = run.folder / name
    if not path.exists():
        return None
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise ValueError(f"a {type(found).__name__}")
        if name == RESULT_FILE:
            {probe: float(metrics["top1"]) for probe, metrics in found["probes"].items()}
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise UserError(f"{path} is damaged: delete it and run the same command again") from error
    return found


def summary(plan: Plan) -> dict[str, Any]:
    """What all rows share."""
    # The package holds the converters, which a worker has no use for.
    from burn_tf.export.machine import describe_machine

    settings, base = plan.settings, plan.base
    preset = PRESETS[settings.preset] if settings.preset else None
    machine = describe_machine()
    return {
        "title": preset.title if preset else f"Methods side by side on {settings.data}",
        "preset": settings.preset,
        "data": settings.data,
        "train_images": plan.train.num_images,
        "test_images": plan.test.num_images,
        "image_size": plan.image_size,
        "backbone": f"{base.backbone.name}, width {base.backbone.width:g}",
        "feature_dim": plan.feature_dim,
        "epochs": settings.budget,
        "max_steps_per_stage": base.max_steps,
        "batch_size": base.batch_size,
        "views": base.views.policy,
        "optimizer": f"{base.optimizer.name}, rate {base.optimizer.learning_rate:g}",
        "precision": base.precision,
        "settings": list(settings.overrides),
        "cached_views": None if settings.teacher_cache is None else settings.teacher_cache.views,
        "seeds": list(settings.seeds),
        "probes": list(settings.probes),
        "teacher": settings.teacher or "trained here" if plan.shares_teacher else "none",
        "versions": {"burn_tf": __version__, **machine.versions},
        "machine": f"{machine.cpu}, {machine.cores} cores",
        "notes": _notes(plan),
    }


def _notes(plan: Plan) -> list[str]:
    settings = plan.settings
    notes = [
        "Mean and sample deviation over seeds. Time is that of pretraining over all interruptions, "
        "peak memory that of its process.",
        "Feature std: deviation of the test images' features, of unit length; 1 is an even spread.",
        f"Collapsed: the features' deviation is below {COLLAPSED_BELOW:g} at the end of training "
        "or on the test images; over 99 % of all features' length is then one direction.",
    ]
    if settings.overrides:
        notes.append(f"Set for all rows: {', '.join(settings.overrides)}.")
    if any(dataclasses.asdict(plan.base.regularizer).values()):
        notes.append("The regulariser's weights are added to a method's own, as MSBReg has them.")
    if settings.teacher_cache is not None:
        notes.append(
            f"Every image is shown in {settings.teacher_cache.views} fixed views, in turns."
        )
    if plan.shares_teacher:
        where = (
            "from --teacher"
            if settings.teacher
            else f"trained by MSBReg for the same {settings.budget} epochs, once per seed, "
            + _float_training(plan, TEACHER)
        )
        notes.append(f"The float teacher is {where}; its time is in no other row.")
    if plan.shares_classifier:
        notes.append(
            f"The float classifier is trained with labels for the same {settings.budget} epochs, "
            f"once per seed, {_float_training(plan, CLASSIFIER)}; its time is in no other row."
        )
    methods = dict.fromkeys(variant.method for variant in plan.variants)
    notes += dict.fromkeys(METHODS[m].note for m in methods if m in METHODS and METHODS[m].note)
    for variant in plan.variants:
        own = METHODS[variant.method].optimizer if variant.method in METHODS else None
        if own is not None:
            rate = f"{own.name}, rate {own.learning_rate:g}"
            notes.append(
                f"{variant.name} has an optimizer of its own, which nothing is set for: {rate}, "
                "without warm-up."
            )
    if settings.preset:
        preset = PRESETS[settings.preset]
        notes += [preset.note] if preset.note else []
        if any(variant.reported is not None for variant in preset.variants):
            notes.append(f"The column `reported` is {REPORTED}; all other figures are ours.")
    return notes


def _float_training(plan: Plan, row: str) -> str:
    """How a float network is trained where that is its recipe's affair."""
    recipe = next(run.recipe for run in plan.runs if run.row == row)
    if recipe is None:
        raise ValueError(f"row {row} has no recipe")
    rate = f"{recipe.optimizer.name} at {recipe.optimizer.learning_rate:g}"
    return f"with its own batch of {recipe.batch_size} and {rate}"


def table_rows(plan: Plan, outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """One entry per row of the table, with the values of each seed."""
    groups: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault(outcome.run.row, []).append(outcome)
    variants = {variant.name: variant for variant in plan.variants}
    return [
        {
            "row": name,
            "title": _title(group[0].run, variants.get(name)),
            **_statistics(group, plan.settings.probes),
            "reported_top1": variants[name].reported if name in variants else None,
        }
        for name, group in groups.items()
    ]


def _title(run: Run, variant: Variant | None) -> str:
    if variant is None:
        return TEACHERS[run.row]
    if variant.method in BASELINES or run.recipe is None:
        return BASELINES[variant.method]
    title = run.recipe.method.method
    form = METHODS[variant.method].form
    if run.row != variant.method:
        form = run.row.replace("_", " ")
    return f"{title}, {form}" if form else title


def _view_count(views: Views) -> str:
    """Of each image in a step; small ones after a plus."""
    return f"{views.num_views}+{views.local_views}" if views.local_views else f"{views.num_views}"


def _statistics(outcomes: Sequence[Outcome], probes: Sequence[str]) -> dict[str, Any]:
    results = [outcome.result for outcome in outcomes if outcome.result is not None]
    trained = results if outcomes[0].run.trained else []
    scores = [outcome.scores() for outcome in outcomes if outcome.result is not None]
    ended = [outcome for outcome in outcomes if outcome.is_final]
    collapsed = [value for o in ended if (value := o.collapsed()) is not None]
    recipe = outcomes[0].run.recipe
    return {
        "stages": list(recipe.stages) if recipe else [],
        "views": _view_count(recipe.views) if recipe and outcomes[0].run.trained else None,
        "runs": len(outcomes),
        "finished": len(results),
        "probes": {probe: _spread([score[probe] for score in scores]) for probe in probes},
        "seconds": _mean([result["seconds"] for result in trained]),
        "images_per_second": _mean([outcome.images_per_second() for outcome in ended]),
        "peak_bytes": max((int(result["peak_bytes"]) for result in trained), default=None),
        "feature_std": _mean([outcome.feature_std() for outcome in ended]),
        "test_feature_std": _mean([result["test_feature_std"] for result in results]),
        "collapsed": sum(collapsed) if collapsed else None,
        "failures": {str(o.run.seed): o.reason for o in outcomes if o.reason is not None},
        "broke_down": [str(o.run.seed) for o in outcomes if o.broke_down],
    }


def _spread(values: Sequence[float]) -> dict[str, Any]:
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {"mean": _mean(values), "deviation": deviation, "values": list(values)}


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def shown(table: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows as people read them, for the terminal and the page."""
    return [_shown_row(row, table) for row in table["rows"]]


def _shown_row(row: dict[str, Any], table: dict[str, Any]) -> dict[str, Any]:
    cells: dict[str, Any] = {"method": row["title"]}
    for probe in table["probes"]:
        cells[f"{probe} %"] = _plus_minus(row["probes"][probe])
    if any(other["reported_top1"] is not None for other in table["rows"]):
        reported = row["reported_top1"]
        cells["reported"] = "" if reported is None else f"{reported:.2f} (authors)"
    elif table["preset"] and PRESETS[table["preset"]].is_published:
        cells["reported"] = "not known here"
    seconds, peak, speed = row["seconds"], row["peak_bytes"], row["images_per_second"]
    cells["time"] = "" if seconds is None else format_duration(seconds)
    cells["img/s"] = None if speed is None else round(speed)
    cells["peak MiB"] = None if peak is None else round(peak / _MEBIBYTE)
    cells["views"] = row["views"]
    deviation = row["test_feature_std"]
    cells["feature std"] = "" if deviation is None else f"{deviation:.3f}"
    cells["collapsed"] = _share(row["collapsed"], row["runs"])
    cells["runs"] = f"{row['finished']} of {row['runs']}"
    return cells


def _plus_minus(spread: dict[str, Any]) -> str:
    if spread["mean"] is None:
        return ""
    mean = f"{spread['mean']:.2f}"
    return mean if spread["deviation"] is None else f"{mean} ± {spread['deviation']:.2f}"


def _share(count: int | None, runs: int) -> str:
    if count is None:
        return ""
    return "no" if count == 0 else f"{count} of {runs}"


def failure_lines(table: dict[str, Any]) -> list[str]:
    """One line per run that failed, and what becomes of those that broke down."""
    lines = [
        f"{row['title']}, seed {seed} failed: {reason}"
        for row in table["rows"]
        for seed, reason in row["failures"].items()
    ]
    stopped = [
        f"{row['row']}-{seed}" for row in table["rows"] for seed in row.get("broke_down", [])
    ]
    if stopped:
        lines.append(
            "Trained again, these would break down again, and are left as they are unless their "
            f"folders are deleted: {', '.join(stopped)}"
        )
    return lines
