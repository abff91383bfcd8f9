"""The stages of one recipe in one work directory, by one process or by several."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.data import Source, views_dataset
from burn_tf.data.views import steps_per_epoch
from burn_tf.methods import SSLMethod, next_stage
from burn_tf.recipes import Recipe
from burn_tf.recipes.options import BURNOptions
from burn_tf.report.progress import ProgressCallback
from burn_tf.training.building import build_method, build_optimizer
from burn_tf.training.checkpoints import CheckpointStore, newest_whole, restore_variables
from burn_tf.training.effective_batch import describe_batch
from burn_tf.training.guard import TrainingGuard
from burn_tf.training.metrics_log import MetricsLog
from burn_tf.training.periodic import PeriodicCheckpoint
from burn_tf.training.signals import StoppedBySignal, StopSignals, Told
from burn_tf.training.stop_together import StopTogether
from burn_tf.training.teacher_cache import CachedFeatures, TeacherCache
from burn_tf.training.waiting import log_waiting
from burn_tf.training.watch import Watch
from burn_tf.training.workers import Workers
from burn_tf.watching.run_files import METRICS_FILE

PROGRESS_METRICS = ("loss", "feature_std", "feature_weight", "grad_norm", "learning_rate")


def total_steps(recipe: Recipe, source: Source) -> int:
    """Updates of one stage of the recipe on this source."""
    whole = recipe.epochs * steps_per_epoch(source, recipe.batch_size)
    return whole if recipe.max_steps is None else min(whole, recipe.max_steps)


def training_views(
    recipe: Recipe,
    source: Source,
    epochs: int,
    start_step: int = 0,
    shards: int = 1,
    shard: int = 0,
    draws: int | None = None,
) -> tf.data.Dataset:
    """Batches of the recipe's views from update `start_step` on; one share of each, if asked.

    With `draws`, views repeat after so many epochs, and their places come behind them.
    """
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
        shards=shards,
        shard=shard,
        draws=draws,
        places=draws is not None,
    )


class Run:
    """The stages of one recipe in one work directory.

    Args:
        recipe: what to run.
        source: images.
        folder: the work directory, which the chief alone reads and writes.
        checkpoint_seconds: time between checkpoints; > 0.
        stream: where the chief prints its progress.
        label: shown in front of the stage's name.
        workers: the processes that train together.
        stop: what ends the run.
        cache: where the teacher's features are kept; None: the teacher runs in every step.
        watch: what is done beside training; None: its defaults.
    """

    def __init__(
        self,
        recipe: Recipe,
        source: Source,
        folder: Path,
        checkpoint_seconds: float,
        stream: TextIO,
        label: str,
        workers: Workers,
        stop: StopSignals,
        cache: TeacherCache | None = None,
        watch: Watch | None = None,
    ) -> None:
        self.recipe = recipe
        self.source = source
        self.folder = folder
        self.checkpoint_seconds = checkpoint_seconds
        self.stream = stream
        self.label = label
        self.workers = workers
        self.steps_per_epoch = steps_per_epoch(source, recipe.batch_size)
        self.total_steps = total_steps(recipe, source)
        self.stop = stop
        self.cache = cache
        self.watch = Watch() if watch is None else watch
        self.features: CachedFeatures | None = None

    def train(self, teacher: tf.keras.Model | None, head: tf.keras.Model | None) -> SSLMethod:
        """All stages, from wherever the newest checkpoint stands."""
        self.features = self._cached_features(teacher)
        tf.keras.utils.set_random_seed(self.recipe.seed)
        classes = None if self.source.labels is None else int(self.source.labels.max()) + 1
        with self.workers.scope():
            method = build_method(
                self.recipe,
                teacher,
                self.total_steps,
                teacher_head=head,
                num_classes=classes,
                given_features=self.features is not None,
            )
        if self.workers.is_chief:
            said = describe_batch(self.recipe, method, self.workers.replicas)
            print(f"{self.label}{said}", file=self.stream)
        first = self.workers.from_chief(self._latest_stage)
        for index in range(len(self.recipe.stages)):
            if index > 0:
                method = self._following(method, index)
            if index >= first:
                self._stage(index, method)
        return method

    def _cached_features(self, teacher: tf.keras.Model | None) -> CachedFeatures | None:
        """What the chief has computed, or found, and the others then find."""
        cache = self.cache
        found: list[CachedFeatures] = []
        if cache is None or teacher is None:
            return None

        def look(fill: bool) -> None:
            found.append(cache.features(teacher, self.recipe, self.source, self.stream, fill))

        self.workers.from_chief(lambda: look(fill=True))
        if not found:
            look(fill=False)
        return found[0]

    def _latest_stage(self) -> int:
        """The stage to go on with; checkpoints that are damaged are named and set aside."""
        index, found = newest_whole([self._store(i) for i in range(len(self.recipe.stages))])
        if found is not None:
            place = f"{found.path.parent.name}/{found.path.name}"
            for warning in found.warnings:
                print(f"burn-tf: warning: {warning}; going on from {place}", file=self.stream)
        return index

    def _store(self, index: int) -> CheckpointStore:
        return CheckpointStore(self.folder / "checkpoints" / f"stage{index + 1}")

    def _following(self, method: SSLMethod, index: int) -> SSLMethod:
        options = self.recipe.method
        restart: Sequence[str] = ()
        if isinstance(options, BURNOptions) and options.restart_teacher_classifier:
            restart = ("teacher_classifier",)
        with self.workers.scope():
            return next_stage(method, self.recipe.stages[index], restart, self.total_steps)

    def _stage(self, index: int, method: SSLMethod) -> None:
        stage = f"stage{index + 1}"
        store = self._store(index)
        with self.workers.scope():
            optimizer = build_optimizer(self.recipe, self.steps_per_epoch, self.total_steps)
            method.compile(optimizer, accumulate=self.recipe.accumulate)
        variables = [*method.weights, *optimizer.variables]
        local = self.workers.local(variables)
        self.workers.from_chief(lambda: self._restore(store, local))
        self.workers.take_weights(variables)
        done = int(method.update_step.numpy())
        together = [StopTogether(self.workers, self.stop)] if self.workers.count > 1 else []
        callbacks: list[tf.keras.callbacks.Callback] = [TrainingGuard(), *together]
        if self.workers.is_chief:
            # A signal that came to the chief alone, since the last update, waits for the next one.
            stop = together[0] if together else self.stop
            callbacks += self._records(stage, store, local, done, stop)
        try:
            if done < self.total_steps:
                self._fit(method, done, callbacks)
        except StoppedBySignal:
            for one in together:
                one.leave()
            raise
        if index > 0 and self.workers.is_chief:
            self._store(index - 1).clear()

    def _fit(
        self, method: SSLMethod, done: int, callbacks: list[tf.keras.callbacks.Callback]
    ) -> None:
        left = self.total_steps - done

        def share(shards: int, shard: int) -> tf.data.Dataset:
            recipe = self.recipe
            given = (recipe, self.source, recipe.epochs, done, shards, shard)
            if self.cache is None or self.features is None:
                return training_views(*given).take(left)
            views = training_views(*given, draws=self.cache.draws(recipe))
            return self.features.attach(views).take(left)

        views = self.workers.batches(share, self.recipe.batch_size)
        # Only a dataset of one process knows its length.
        steps = None if self.workers.replicas == 1 else left
        stream = self.stream if self.workers.is_chief else None
        log_waiting(method)
        self.watch.check_memory(method, views, self.recipe.batch_size, stream, self.label)
        with self.stop.noted():
            method.fit(views, epochs=1, steps_per_epoch=steps, verbose=0, callbacks=callbacks)

    def _records(
        self,
        stage: str,
        store: CheckpointStore,
        variables: Sequence[tf.Variable],
        done: int,
        stop: Told,
    ) -> list[tf.keras.callbacks.Callback]:
        """What the chief writes and shows while a stage trains."""
        log = MetricsLog(self.folder / METRICS_FILE, stage)
        log.drop_after(done)
        metadata = {"stage": stage, "total_steps": self.total_steps}
        seconds = self.checkpoint_seconds
        saver = PeriodicCheckpoint(store, variables, metadata, seconds, stop)
        progress = ProgressCallback(
            f"{self.label}{stage}",
            self.total_steps,
            start_step=done,
            metrics=PROGRESS_METRICS,
            stream=self.stream,
        )
        return [log, *self.watch.callbacks(self.folder, stage), saver, progress]

    def _restore(self, store: CheckpointStore, variables: Sequence[tf.Variable]) -> None:
        found = store.newest()
        if found is None:
            return
        restore_variables(variables, found.arrays, str(found.path))
        if found.metadata["total_steps"] != self.total_steps:
            raise UserError(
                f"{found.path} is of a run of another length: use another work directory"
            )
