"""Runs a recipe in a work directory, and goes on where an earlier run stopped."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf._files import atomic_path, remove_unfinished
from burn_tf.data import Source, get_policy, load_source
from burn_tf.data.views import steps_per_epoch
from burn_tf.layers import mlp_head
from burn_tf.methods import SSLMethod
from burn_tf.methods.jigsaw import check_side
from burn_tf.recipes import Recipe, get_recipe
from burn_tf.training.building import (
    build_backbone,
    build_method,
    build_optimizer,
    enlarge_images,
    join_head,
)
from burn_tf.training.guard import TrainingGuard
from burn_tf.training.model_files import check_model_file, load_backbone
from burn_tf.training.run import Run, training_views
from burn_tf.training.signals import StopSignals
from burn_tf.training.teacher_cache import TeacherCache
from burn_tf.training.watch import Watch
from burn_tf.training.work_directory import claim, identity_of
from burn_tf.training.workers import Workers
from burn_tf.watching.run_files import BACKBONE_FILE, HEAD_FILES, TEACHER_FOLDER

CHECKPOINT_SECONDS = 120.0
DRY_RUN_BATCH = 8
# Kinds of shapes in the source synthetic:N.
_DRY_RUN_CLASSES = 4


def pretrain(
    recipe: Recipe,
    source: Source,
    workdir: str | os.PathLike[str],
    *,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    stream: TextIO = sys.stderr,
    label: str = "",
    workers: Workers | None = None,
    teacher_cache: TeacherCache | None = None,
    watch: Watch | None = None,
) -> tf.keras.Model:
    """Train the recipe's backbone on unlabelled images, or finish a run that was cut off.

    Under `workdir` this leaves `run.json` (recipe and data), `metrics.jsonl` (every step),
    `checkpoints/`, `backbone.keras`, `projector.keras` or `classifier.keras` where the method has
    one that students may learn from, and `teacher/` with the same files when the recipe trains its
    teacher first.

    Several workers call this with the same recipe and images; each gets the same backbone. The
    chief alone reads and writes `workdir`. How many they are may differ when a run goes on.

    Args:
        recipe: what to run.
        source: images; labels are read by `Supervised` alone.
        workdir: a new folder, or that of an earlier run of the same recipe on the same images.
        checkpoint_seconds: time between checkpoints; > 0.
        stream: where progress is printed.
        label: shown in front of the stage's name.
        workers: the processes that train together (`make_workers`); None: this one, on one device.
        teacher_cache: where the frozen teacher's features of fixed views are kept, for methods that
            have one; None: new views in every epoch, and the teacher runs in every step.
        watch: whether event files for TensorBoard are written and memory is checked; None: no and
            yes. The work directory is locked, and `summary.json` written at the end, in any case.

    Returns:
        The trained backbone [B, H, W, 3] -> [B, D].

    Raises:
        UserError: a work directory of another configuration, a recipe that `check_recipe` or
            `check_runnable` refuses, a batch that the replicas cannot share, a run that diverged.
        LostWorker: another worker has ended.
        StoppedBySignal: at SIGTERM or SIGINT; in training, after the step under way is saved.
    """
    workers = Workers() if workers is None else workers
    check_recipe(recipe)
    check_runnable(recipe, source, workers)
    if teacher_cache is not None:
        teacher_cache.draws(recipe)
    folder = Path(workdir)
    with workers.losses_named(), StopSignals(stream) as stop:
        _train(
            recipe,
            source,
            folder,
            checkpoint_seconds,
            stream,
            label,
            workers,
            stop,
            teacher_cache,
            Watch() if watch is None else watch,
        )
        return _written(folder / BACKBONE_FILE, workers)


def _train(
    recipe: Recipe,
    source: Source,
    folder: Path,
    seconds: float,
    stream: TextIO,
    label: str,
    workers: Workers,
    stop: StopSignals,
    cache: TeacherCache | None,
    watch: Watch,
) -> None:
    """Leave the models of the recipe in the folder, unless they are there."""
    wanted = identity_of(recipe, source, cache)
    workers.check_same("recipe and images", wanted)
    workers.from_chief(lambda: claim(folder, wanted))
    if workers.from_chief((folder / BACKBONE_FILE).exists):
        return
    with contextlib.ExitStack() as held:
        workers.from_chief(lambda: held.enter_context(watch.session(folder)))
        teacher, head = _teacher(recipe, source, folder, seconds, stream, workers, stop, watch)
        with _precision(recipe.precision):
            run = Run(recipe, source, folder, seconds, stream, label, workers, stop, cache, watch)
            method = run.train(teacher, head)
            if workers.is_chief:
                _save(recipe, method, folder, workers)
                watch.finish(folder, stream, label)
        workers.wait()


def _save(recipe: Recipe, method: SSLMethod, folder: Path, workers: Workers) -> None:
    for name in (*HEAD_FILES.values(), BACKBONE_FILE):
        remove_unfinished(folder / name)
    if recipe.method.head:
        head = getattr(method, recipe.method.head)
        with atomic_path(folder / HEAD_FILES[recipe.method.head]) as temporary:
            workers.own_copy(head).save(temporary)
    with atomic_path(folder / BACKBONE_FILE) as temporary:
        _kept(recipe, method, workers).save(temporary)


def _kept(recipe: Recipe, method: SSLMethod, workers: Workers) -> tf.keras.Model:
    """The backbone as it is kept: for images of the recipe's size."""
    if not recipe.any_size:
        return workers.own_copy(method.backbone)
    kept = build_backbone(recipe.backbone, recipe.views.image_size, recipe.stages[-1])
    kept.set_weights([weight.numpy() for weight in workers.local(method.backbone.weights)])
    return kept


def _written(path: Path, workers: Workers) -> tf.keras.Model:
    """A model that the chief has written, on every worker."""
    if workers.count == 1:
        return load_backbone(path)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        copy.write_bytes(workers.file_from_chief(path))
        return load_backbone(copy)


def check_recipe(recipe: Recipe) -> None:
    """Raise where the recipe's method cannot be built as the recipe says; reads no data.

    Raises:
        UserError: for options out of range, too few views, views too small to be cut up, a batch
            that a loss cannot use, a teacher without the head that the method needs.
    """
    for policy in recipe.views.policies():
        get_policy(policy)
    if recipe.method.sees_pieces:
        check_side(recipe.views.image_size)
    teacher = _stand_in_teacher(recipe) if recipe.method.teacher else None
    options = recipe.teacher
    if recipe.method.teacher and (options is None or not (options.weights or options.recipe)):
        raise _no_teacher(recipe)
    _check_head(recipe)
    head = _stand_in_head() if recipe.method.teacher == "projector" else None
    build_method(recipe, teacher, 1, teacher_head=head, num_classes=2)
    build_optimizer(recipe, steps_per_epoch=1, total_steps=1)


def _no_teacher(recipe: Recipe) -> UserError:
    return UserError(
        f"recipe {recipe.name} needs a pretrained teacher: give --set teacher.weights=FILE,"
        " or train one first with --set teacher.recipe=NAME"
    )


def _brings_head(recipe: Recipe) -> bool:
    """Whether the teacher comes with the head that the method learns from."""
    options = recipe.teacher
    if options is None:
        return False
    if options.weights is not None or options.recipe is None:
        return options.head is not None
    return get_recipe(options.recipe).method.head == recipe.method.teacher


def _check_head(recipe: Recipe) -> None:
    """Raise for a teacher without the head that the method learns from.

    A file of weights may hold a classifier as a whole.
    """
    options, kind, name = recipe.teacher, recipe.method.teacher, recipe.method.method
    if kind not in HEAD_FILES or options is None or _brings_head(recipe):
        return
    if options.weights is not None:
        beside = Path(options.weights).with_name(HEAD_FILES[kind])
        if kind == "classifier" and beside.exists():
            raise UserError(
                f"{name} learns from a classifier, and teacher.weights is the backbone of one: set "
                f"teacher.head to {beside.name} beside it. Received: a backbone without head"
            )
        if kind == "projector":
            raise UserError(
                f"{name} learns from the projector that its teacher was pretrained with: set "
                f"teacher.head to it, {HEAD_FILES[kind]} where burn-tf pretrain made both. "
                "Received: a teacher without head"
            )
    elif options.recipe is not None:
        raise UserError(
            f"{name} learns from a teacher's {kind}, and {options.recipe} leaves none: set "
            f"teacher.recipe to another one. Received: teacher.recipe={options.recipe}"
        )


def check_runnable(recipe: Recipe, source: Source, workers: Workers | None = None) -> None:
    """Raise where the recipe, or that of its teacher, cannot run on this source.

    Asked before a work directory is claimed: a refused command leaves nothing behind.

    Raises:
        UserError: a batch larger than the source or one that the workers' replicas cannot share,
            a source without labels for a method that needs them, or a teacher that is missing.
    """
    steps_per_epoch(source, recipe.batch_size)
    if workers is not None:
        workers.check_batch(recipe.batch_size)
    if recipe.method.labels and source.labels is None:
        raise UserError(
            f"{recipe.method.method} needs labels: use class folders or a labelled set. "
            f"Received: {source.name!r} without labels"
        )
    if recipe.method.labels and source.labels is not None and int(source.labels.min()) < 0:
        raise UserError(
            f"{recipe.method.method} needs a label for every image: leave out those without one. "
            f"Received: {source.name!r} with {int((source.labels < 0).sum())} images without label"
        )
    if not recipe.method.teacher:
        return
    if recipe.teacher is not None and recipe.teacher.weights is not None:
        _check_teacher_files(recipe)
    elif recipe.teacher is not None and recipe.teacher.recipe is not None:
        check_runnable(_teacher_recipe(recipe, source), source, workers)
    else:
        raise _no_teacher(recipe)


def _check_teacher_files(recipe: Recipe) -> None:
    """Raise where a file that the teacher is to be read from is missing."""
    options = recipe.teacher
    if options is None or not recipe.method.teacher:
        return
    heads = [options.head] if recipe.method.teacher in HEAD_FILES else []
    for path in (options.weights, *heads):
        if path is not None:
            check_model_file(path)


def dry_run(recipe: Recipe) -> dict[str, float]:
    """Two updates of the recipe's first stage on made-up images.

    A batch has at most 8 of them, or as many as the method's loss needs.

    Returns:
        The last update's figures by name.

    Raises:
        UserError: for a recipe that cannot be built, or that names a teacher without the head that
            the method needs.
    """
    _check_head(recipe)
    _check_teacher_files(recipe)
    with _precision(recipe.precision):
        teacher = _stand_in_teacher(recipe) if recipe.method.teacher else None
        head = _stand_in_head() if recipe.method.teacher == "projector" else None
        method = build_method(recipe, teacher, 2, teacher_head=head, num_classes=_DRY_RUN_CLASSES)
        batch = _few_images(recipe, method)
        small = dataclasses.replace(recipe, batch_size=batch, epochs=1)
        optimizer = build_optimizer(small, steps_per_epoch=2, total_steps=2)
        method.compile(optimizer, accumulate=recipe.accumulate)
        views = training_views(small, load_source(f"synthetic:{3 * batch}"), epochs=1).take(2)
        history = method.fit(views, verbose=0, callbacks=[TrainingGuard()])
    return {name: float(values[-1]) for name, values in history.history.items()}


def _few_images(recipe: Recipe, method: SSLMethod) -> int:
    """The smallest share of the recipe's batch that its micro-batches can still be made of."""
    count = recipe.accumulate
    least = max(DRY_RUN_BATCH, method.minimum_batch() * count, 2 * count * (count > 1))
    if count == 1:
        return min(recipe.batch_size, least)
    sizes = range(least, recipe.batch_size)
    shares = [size for size in sizes if size % count == 0 and recipe.batch_size % size == 0]
    return shares[0] if shares else recipe.batch_size


@contextlib.contextmanager
def _precision(policy: str) -> Iterator[None]:
    before = tf.keras.mixed_precision.global_policy()
    tf.keras.mixed_precision.set_global_policy(policy)
    try:
        yield
    finally:
        tf.keras.mixed_precision.set_global_policy(before)


def _teacher(
    recipe: Recipe,
    source: Source,
    folder: Path,
    seconds: float,
    stream: TextIO,
    workers: Workers,
    stop: StopSignals,
    watch: Watch,
) -> tuple[tf.keras.Model | None, tf.keras.Model | None]:
    """The teacher and its projector, as far as the recipe's method needs them.

    A backbone and its classifier are one teacher.
    """
    options = recipe.teacher
    if not recipe.method.teacher or options is None:
        return None, None
    head: tf.keras.Model | None = None
    home = folder / TEACHER_FOLDER
    head_file = HEAD_FILES.get(recipe.method.teacher)
    if options.weights is None:
        inner = _teacher_recipe(recipe, source)
        _train(inner, source, home, seconds, stream, "teacher ", workers, stop, None, watch)
    with workers.scope():
        if options.weights is not None:
            teacher = load_backbone(options.weights)
            if head_file is not None and options.head is not None:
                head = load_backbone(options.head)
        else:
            teacher = _written(home / BACKBONE_FILE, workers)
            head = None if head_file is None else _written(home / head_file, workers)
        if head is not None and recipe.method.teacher == "classifier":
            teacher, head = join_head(teacher, head), None
        if options.image_size is not None:
            teacher = enlarge_images(teacher, recipe.views.image_size, options.image_size)
    return teacher, head


def _teacher_recipe(recipe: Recipe, source: Source) -> Recipe:
    """The recipe that trains the teacher, in batches of `recipe` where images are too few for its.

    No setting reaches the teacher's recipe, so the batch that the user can choose has to serve.
    """
    inner = get_recipe(str(recipe.teacher and recipe.teacher.recipe))
    if inner.batch_size <= source.num_images:
        return inner
    return dataclasses.replace(inner, batch_size=recipe.batch_size)


def _stand_in_teacher(recipe: Recipe) -> tf.keras.Model:
    size = recipe.views.image_size
    images = tf.keras.Input((size, size, 3))
    return tf.keras.Model(images, tf.keras.layers.GlobalAveragePooling2D()(images), name="stand_in")


def _stand_in_head() -> tf.keras.Model:
    return mlp_head(3, [], 8, norm="none", name="stand_in_head")
