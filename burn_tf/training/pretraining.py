"""Runs a recipe in a work directory, and goes on where an earlier run stopped."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf._files import atomic_path, atomic_write
from burn_tf.data import Source, get_policy, load_source, views_dataset
from burn_tf.data.views import steps_per_epoch
from burn_tf.layers import mlp_head
from burn_tf.methods import SSLMethod, next_stage
from burn_tf.recipes import Recipe, get_recipe
from burn_tf.recipes.options import BURNOptions
from burn_tf.report.progress import ProgressCallback
from burn_tf.training.building import (
    build_backbone,
    build_method,
    build_optimizer,
    enlarge_images,
)
from burn_tf.training.checkpoints import CheckpointStore, restore_variables
from burn_tf.training.guard import TrainingGuard
from burn_tf.training.metrics_log import MetricsLog
from burn_tf.training.periodic import PeriodicCheckpoint

RUN_FILE = "run.json"
METRICS_FILE = "metrics.jsonl"
BACKBONE_FILE = "backbone.keras"
PROJECTOR_FILE = "projector.keras"
TEACHER_FOLDER = "teacher"
CHECKPOINT_SECONDS = 120.0
DRY_RUN_BATCH = 8
# Kinds of shapes in the source synthetic:N.
_DRY_RUN_CLASSES = 4
PROGRESS_METRICS = ("loss", "feature_std", "feature_weight", "grad_norm", "learning_rate")


def pretrain(
    recipe: Recipe,
    source: Source,
    workdir: str | os.PathLike[str],
    *,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    stream: TextIO = sys.stderr,
    label: str = "",
) -> tf.keras.Model:
    """Train the recipe's backbone on unlabelled images, or finish a run that was cut off.

    Under `workdir` this leaves `run.json` (recipe and data), `metrics.jsonl` (every step),
    `checkpoints/`, `backbone.keras`, `projector.keras` where the method has a projector, and
    `teacher/` with the same files when the recipe trains its teacher first.

    Args:
        recipe: what to run.
        source: images; labels are read by `Supervised` alone.
        workdir: a new folder, or that of an earlier run of the same recipe on the same images.
        checkpoint_seconds: time between checkpoints; > 0.
        stream: where progress is printed.
        label: shown in front of the stage's name.

    Returns:
        The trained backbone [B, H, W, 3] -> [B, D].

    Raises:
        UserError: a work directory of another configuration, a recipe that `check_recipe` or
            `check_runnable` refuses, a run that diverged.
    """
    check_recipe(recipe)
    check_runnable(recipe, source)
    folder = Path(workdir)
    folder.mkdir(parents=True, exist_ok=True)
    _claim(folder, recipe, source)
    finished = folder / BACKBONE_FILE
    if finished.exists():
        return load_backbone(finished)
    teacher, head = _teacher(recipe, source, folder, checkpoint_seconds, stream)
    with _precision(recipe.precision):
        run = _Run(recipe, source, folder, checkpoint_seconds, stream, label)
        method = run.train(teacher, head)
        projector = getattr(method, "projector", None)
        if projector is not None:
            with atomic_path(folder / PROJECTOR_FILE) as temporary:
                projector.save(temporary)
        with atomic_path(finished) as temporary:
            _kept(recipe, method).save(temporary)
    return load_backbone(finished)


def _kept(recipe: Recipe, method: SSLMethod) -> tf.keras.Model:
    """The backbone as it is kept: for images of the recipe's size."""
    if not recipe.any_size:
        return method.backbone
    kept = build_backbone(recipe.backbone, recipe.views.image_size, recipe.stages[-1])
    kept.set_weights(method.backbone.get_weights())
    return kept


def total_steps(recipe: Recipe, source: Source) -> int:
    """Updates of one stage of the recipe on this source."""
    whole = recipe.epochs * steps_per_epoch(source, recipe.batch_size)
    return whole if recipe.max_steps is None else min(whole, recipe.max_steps)


def check_recipe(recipe: Recipe) -> None:
    """Raise where the recipe's method cannot be built as the recipe says; reads no data.

    Raises:
        UserError: for options out of range, too few views, a batch that a loss cannot use, a
            teacher without the head that the method needs.
    """
    for policy in recipe.views.policies():
        get_policy(policy)
    teacher = _stand_in_teacher(recipe) if recipe.method.teacher else None
    head = None
    if recipe.method.teacher == "head" and _has_head(recipe):
        head = _stand_in_head()
    build_method(recipe, teacher, 1, teacher_head=head, num_classes=2)


def _has_head(recipe: Recipe) -> bool:
    options = recipe.teacher
    if options is None:
        return False
    return options.head is not None if options.weights is not None else options.recipe is not None


def check_runnable(recipe: Recipe, source: Source) -> None:
    """Raise where the recipe, or that of its teacher, cannot run on this source.

    Asked before a work directory is claimed: a refused command leaves nothing behind.

    Raises:
        UserError: a batch larger than the source, a source without labels for a method that needs
            them, or a teacher that is missing.
    """
    steps_per_epoch(source, recipe.batch_size)
    if recipe.method.labels and source.labels is None:
        raise UserError(
            f"{recipe.method.method} needs labels: use class folders or a labelled set. "
            f"Received: {source.name!r} without labels"
        )
    if not recipe.method.teacher:
        return
    if recipe.teacher is not None and recipe.teacher.weights is not None:
        check_model_file(recipe.teacher.weights)
        if recipe.method.teacher == "head" and recipe.teacher.head is not None:
            check_model_file(recipe.teacher.head)
    elif recipe.teacher is not None and recipe.teacher.recipe is not None:
        check_runnable(get_recipe(recipe.teacher.recipe), source)
    else:
        raise UserError(
            f"recipe {recipe.name} needs a pretrained teacher: give --set teacher.weights=FILE,"
            " or train one first with --set teacher.recipe=NAME"
        )


def dry_run(recipe: Recipe) -> dict[str, float]:
    """Two updates of the recipe's first stage on made-up images.

    A batch has at most 8 of them, or as many as the method's loss needs.

    Returns:
        The last update's figures by name.
    """
    with _precision(recipe.precision):
        teacher = _stand_in_teacher(recipe) if recipe.method.teacher else None
        head = _stand_in_head() if recipe.method.teacher == "head" else None
        method = build_method(recipe, teacher, 2, teacher_head=head, num_classes=_DRY_RUN_CLASSES)
        batch = min(recipe.batch_size, max(DRY_RUN_BATCH, method.minimum_batch()))
        small = dataclasses.replace(recipe, batch_size=batch, epochs=1)
        method.compile(build_optimizer(small, steps_per_epoch=2, total_steps=2))
        views = _views(small, load_source(f"synthetic:{3 * batch}"), epochs=1).take(2)
        history = method.fit(views, verbose=0, callbacks=[TrainingGuard()])
    return {name: float(values[-1]) for name, values in history.history.items()}


@contextlib.contextmanager
def _precision(policy: str) -> Iterator[None]:
    before = tf.keras.mixed_precision.global_policy()
    tf.keras.mixed_precision.set_global_policy(policy)
    try:
        yield
    finally:
        tf.keras.mixed_precision.set_global_policy(before)


def load_backbone(path: str | os.PathLike[str]) -> tf.keras.Model:
    """A model saved by `pretrain`, or any Keras model file whose output is [B, D].

    Raises:
        UserError: when the file is missing or not a Keras model.
    """
    check_model_file(path)
    try:
        return tf.keras.models.load_model(path, compile=False)
    except (ValueError, OSError, TypeError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(f"{path} cannot be read as a Keras model: {first}") from error


def check_model_file(path: str | os.PathLike[str]) -> None:
    """Raise unless something lies at `path`."""
    if not Path(path).exists():
        raise UserError(f"there is no model at {path}: check the path")


def _claim(folder: Path, recipe: Recipe, source: Source) -> None:
    """Record what this work directory is for, or refuse one that is for something else."""
    wanted = {"recipe": recipe.to_dict(), "data": source.fingerprint, "images": source.num_images}
    wanted = json.loads(json.dumps(wanted))
    record = folder / RUN_FILE
    if not record.exists():
        atomic_write(record, json.dumps(wanted, indent=2) + "\n")
        return
    try:
        found = json.loads(record.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise UserError(f"{record} is damaged: delete it, or use another work directory") from error
    if found != wanted:
        differing = ", ".join(_differences(found, wanted)) or "format"
        raise UserError(
            f"{folder} belongs to a run of another configuration (differs in {differing}): use "
            "another work directory or delete it"
        )


def _differences(found: Any, wanted: Any, prefix: str = "") -> list[str]:
    if not (isinstance(found, dict) and isinstance(wanted, dict)):
        return [] if found == wanted else [prefix.rstrip(".")]
    keys = sorted({*found, *wanted})
    return [
        name
        for key in keys
        for name in _differences(found.get(key), wanted.get(key), f"{prefix}{key}.")
    ]


def _teacher(
    recipe: Recipe, source: Source, folder: Path, seconds: float, stream: TextIO
) -> tuple[tf.keras.Model | None, tf.keras.Model | None]:
    """The teacher and its projector, as far as the recipe's method needs them."""
    options = recipe.teacher
    if not recipe.method.teacher or options is None:
        return None, None
    if options.weights is not None:
        teacher, head_file = load_backbone(options.weights), options.head
    else:
        home = folder / TEACHER_FOLDER
        teacher = pretrain(
            get_recipe(str(options.recipe)),
            source,
            home,
            checkpoint_seconds=seconds,
            stream=stream,
            label="teacher ",
        )
        head_file = str(home / PROJECTOR_FILE)
    head = load_backbone(str(head_file)) if recipe.method.teacher == "head" else None
    if options.image_size is not None:
        teacher = enlarge_images(teacher, recipe.views.image_size, options.image_size)
    return teacher, head


def _stand_in_teacher(recipe: Recipe) -> tf.keras.Model:
    size = recipe.views.image_size
    images = tf.keras.Input((size, size, 3))
    return tf.keras.Model(images, tf.keras.layers.GlobalAveragePooling2D()(images), name="stand_in")


def _stand_in_head() -> tf.keras.Model:
    return mlp_head(3, [], 8, norm="none", name="stand_in_head")


def _views(recipe: Recipe, source: Source, epochs: int, start_step: int = 0) -> tf.data.Dataset:
    views = recipe.views
    return views_dataset(
        source,
        views.policies(),
        num_views=views.num_views + views.local_views,
        batch_size=recipe.batch_size,
        image_size=[views.image_size] * views.num_views + [views.local_size] * views.local_views,
        labels=recipe.method.labels,
        seed=recipe.seed,
        epochs=epochs,
        start_step=start_step,
    )


class _Run:
    """The stages of one recipe in one work directory."""

    def __init__(
        self,
        recipe: Recipe,
        source: Source,
        folder: Path,
        checkpoint_seconds: float,
        stream: TextIO,
        label: str,
    ) -> None:
        self.recipe = recipe
        self.source = source
        self.folder = folder
        self.checkpoint_seconds = checkpoint_seconds
        self.stream = stream
        self.label = label
        self.steps_per_epoch = steps_per_epoch(source, recipe.batch_size)
        self.total_steps = total_steps(recipe, source)

    def train(self, teacher: tf.keras.Model | None, head: tf.keras.Model | None) -> SSLMethod:
        """All stages, from wherever the newest checkpoint stands."""
        tf.keras.utils.set_random_seed(self.recipe.seed)
        classes = None if self.source.labels is None else int(self.source.labels.max()) + 1
        method = build_method(
            self.recipe, teacher, self.total_steps, teacher_head=head, num_classes=classes
        )
        first = self._latest_stage()
        for index in range(len(self.recipe.stages)):
            if index > 0:
                method = self._following(method, index)
            if index >= first:
                self._stage(index, method)
        return method

    def _latest_stage(self) -> int:
        return max((i for i in range(len(self.recipe.stages)) if self._store(i).paths()), default=0)

    def _store(self, index: int) -> CheckpointStore:
        return CheckpointStore(self.folder / "checkpoints" / f"stage{index + 1}")

    def _following(self, method: SSLMethod, index: int) -> SSLMethod:
        options = self.recipe.method
        restart: Sequence[str] = ()
        if isinstance(options, BURNOptions) and options.restart_teacher_classifier:
            restart = ("teacher_classifier",)
        return next_stage(method, self.recipe.stages[index], restart, self.total_steps)

    def _stage(self, index: int, method: SSLMethod) -> None:
        stage = f"stage{index + 1}"
        store = self._store(index)
        optimizer = build_optimizer(self.recipe, self.steps_per_epoch, self.total_steps)
        method.compile(optimizer)
        variables = [*method.weights, *optimizer.variables]
        self._restore(store, variables)
        done = int(method.update_step.numpy())
        log = MetricsLog(self.folder / METRICS_FILE, stage)
        log.drop_after(done)
        if done < self.total_steps:
            metadata = {"stage": stage, "total_steps": self.total_steps}
            saver = PeriodicCheckpoint(store, variables, metadata, self.checkpoint_seconds)
            progress = ProgressCallback(
                f"{self.label}{stage}",
                self.total_steps,
                start_step=done,
                metrics=PROGRESS_METRICS,
                stream=self.stream,
            )
            views = _views(self.recipe, self.source, self.recipe.epochs, start_step=done)
            views = views.take(self.total_steps - done)
            method.fit(
                views, epochs=1, verbose=0, callbacks=[TrainingGuard(), log, saver, progress]
            )
        if index > 0:
            self._store(index - 1).clear()

    def _restore(self, store: CheckpointStore, variables: Sequence[tf.Variable]) -> None:
        found = store.newest()
        if found is None:
            return
        metadata, arrays, path, warnings = found
        for warning in warnings:
            print(f"burn-tf: warning: {warning}; going on from {path.name}", file=self.stream)
        restore_variables(variables, arrays, str(path))
        if metadata["total_steps"] != self.total_steps:
            raise UserError(f"{path} is of a run of another length: use another work directory")
