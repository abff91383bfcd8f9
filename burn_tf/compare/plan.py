"""From what the user asked for to a list of runs: a recipe, a folder and a seed for each."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from burn_tf._checks import UserError, check_integer
from burn_tf.compare import entries
from burn_tf.compare.entries import METHODS, Sizes
from burn_tf.compare.presets import PRESETS, Variant
from burn_tf.compare.settings import STAGES, Settings
from burn_tf.data import Source, load_source
from burn_tf.evaluation import EvaluationData, get_protocol
from burn_tf.evaluation.splits import check_labels
from burn_tf.methods.base import feature_dim
from burn_tf.recipes import Recipe, get_recipe, override
from burn_tf.recipes.base import FLOAT_BACKBONES, Network, Teacher
from burn_tf.recipes.options import SupervisedOptions
from burn_tf.training.building import build_backbone
from burn_tf.training.model_files import load_backbone, network_digests
from burn_tf.training.run import total_steps
from burn_tf.watching.run_files import BACKBONE_FILE, HEAD_FILES

_SMALL_PIXELS = 64
_MIN_BATCHES = 4
_SUBSET_SEED = 0
# What belongs to each run, or has a flag of its own, is not for --set.
_NOT_SET = (
    "backbone.name",
    "backbone.width",
    "epochs",
    "method.",
    "seed",
    "stages",
    "teacher.",
    "views.local",
    "views.num_views",
)


@dataclasses.dataclass(frozen=True)
class Run:
    """One row's run with one seed.

    Args:
        row: name of the row.
        seed: of everything random in it.
        folder: where it keeps its files.
        recipe: what is trained, or for "untrained" what would be; None: raw pixels.
        trained: whether anything is trained.
    """

    row: str
    seed: int
    folder: Path
    recipe: Recipe | None
    trained: bool

    @property
    def label(self) -> str:
        """The run's name for people."""
        return f"{self.row}, seed {self.seed}"


def load_splits(data: str, images: int | None, strict: bool) -> tuple[Source, Source]:
    """The training images (a part of them, drawn once for all methods and seeds) and the test."""
    train, test = (load_source(data, split=split, strict=strict) for split in ("train", "test"))
    if images is None:
        return train, test
    check_integer("images", images, low=2, high=train.num_images)
    order = np.random.default_rng(_SUBSET_SEED).permutation(train.num_images)
    return train.subset(np.sort(order[:images])), test


class Plan:
    """All runs of a comparison, checked before anything is written.

    Args:
        settings: what is compared.
        folder: the work directory.

    Raises:
        UserError: data that a probe cannot use (no labels, fewer images than neighbours), a budget
            that the stages cannot share, or a setting that the base recipe refuses.
    """

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self.folder = folder
        self._only_shown = False
        self.variants = settings.variants()
        self.train, self.test = load_splits(settings.data, settings.images, settings.strict)
        self.base = self._base()
        self.image_size = self.base.views.image_size
        data = EvaluationData(self.train, self.test, self.image_size)
        try:
            check_labels(data)
        except UserError as error:
            if settings.images is None:
                raise
            raise UserError(f"{error}; more `images` may have all classes") from error
        for name in settings.probes:
            get_protocol(name).check(data)
        for variant in self.variants:
            self._check_budget(self._stages(variant))
        self._check_optimizer_is_used()
        built = build_backbone(self.base.backbone, self.image_size, "none")
        self.feature_dim = feature_dim(built, "backbone")
        self.runs = self._runs()
        self.teacher_digests = self._given_teacher()
        self._check_cache()

    def check_teacher_is_used(self) -> None:
        """Raise where the user gave a teacher and no row learns from it."""
        if self.settings.teacher is not None and not self.shares_teacher:
            raise UserError(
                "`teacher` must be left out where no row learns from it. Received: "
                f"{self.settings.teacher!r} for "
                f"{', '.join(variant.name for variant in self.variants)}"
            )

    def with_added(self, methods: Sequence[str], seeds: Sequence[int]) -> Plan:
        """The same plan with further rows (where no preset names them) and seeds, to be shown.

        What is only shown need not be there to be run again, such as a teacher's head.
        """
        settings = self.settings
        methods = () if settings.preset else tuple(dict.fromkeys([*methods, *settings.methods]))
        seeds = tuple(dict.fromkeys([*seeds, *settings.seeds]))
        plan = copy.copy(self)
        plan.settings = dataclasses.replace(settings, methods=methods, seeds=seeds)
        plan.variants = plan.settings.variants()
        plan._only_shown = True
        plan.runs = plan._runs()
        return plan

    @property
    def shares_teacher(self) -> bool:
        """Whether some method learns from the float teacher without labels."""
        return entries.TEACHER in self._teachers(self.runs)

    @property
    def shares_classifier(self) -> bool:
        """Whether some method learns from the float classifier."""
        return entries.CLASSIFIER in self._teachers(self.runs)

    def _base(self) -> Recipe:
        recipe = get_recipe(_base_name(self.settings.data, self.train))
        network = self._network(recipe)
        for setting in self.settings.overrides:
            _check_override(setting)
        recipe = dataclasses.replace(recipe, backbone=network, max_steps=None)
        return override(_fitted(recipe, self.train), self.settings.overrides)

    def _network(self, base: Recipe) -> Network:
        preset = PRESETS[self.settings.preset].backbone if self.settings.preset else None
        name = self.settings.backbone or preset or base.backbone.name
        network = base.backbone
        if name in FLOAT_BACKBONES:
            network = get_recipe(_teacher_name(base)).backbone
        width = network.width if self.settings.width is None else self.settings.width
        return dataclasses.replace(network, name=name, width=width)

    def _stages(self, variant: Variant) -> tuple[str, ...]:
        """What is binary in each of a row's stages."""
        is_float = self.base.backbone.name in FLOAT_BACKBONES
        asked = self.settings.stages
        if variant.stages is not None:
            if asked is not None:
                raise UserError(
                    f"`stages` is part of the preset {self.settings.preset!r}: leave it out. "
                    f"Received: {asked!r}"
                )
            asked = variant.stages
        if is_float and asked not in (None, "float"):
            raise UserError(
                f"`stages` must be 'float' for {self.base.backbone.name}, which has no binary "
                f"layer. Received: {asked!r}"
            )
        return STAGES[asked or ("float" if is_float else "two")]

    def _check_budget(self, stages: tuple[str, ...]) -> None:
        if self.settings.budget % len(stages):
            raise UserError(
                f"`budget` must be epochs that {len(stages)} stages can share evenly, such as "
                f"{len(stages) * (self.settings.budget // len(stages) + 1)}. "
                f"Received: {self.settings.budget}"
            )

    def _check_cache(self) -> None:
        cache = self.settings.teacher_cache
        for run in self.runs:
            if cache is None or not run.trained or run.recipe is None:
                continue
            if run.row in entries.TEACHERS:
                continue
            if teacher_of(run) is None:
                raise UserError(
                    "`teacher_cache` must be left out where a method without a frozen teacher is "
                    "compared: it would see new views in every epoch and the others would not. "
                    f"Received: {run.row}"
                )
            cache.draws(run.recipe)

    def _check_optimizer_is_used(self) -> None:
        trained = [METHODS[v.method] for v in self.variants if v.method in METHODS]
        for setting in self.settings.overrides:
            if _is_optimizers(setting) and all(entry.optimizer is not None for entry in trained):
                raise UserError(
                    "`--set` takes no optimizer where every row has its own or is not trained. "
                    f"Received: {setting!r}"
                )

    def _given_teacher(self) -> dict[str, str] | None:
        """Digests of the user's teacher, which is read once so that no row fails for it."""
        given = self.settings.teacher
        if given is None:
            return None
        teacher = load_backbone(given)
        feature_dim(teacher, "teacher")
        side = teacher.input_shape[1]
        if side not in (None, self.image_size):
            raise UserError(
                f"`teacher` must take images of {self.image_size} px a side. Received: {side}"
            )
        return network_digests({"weights": teacher})

    def _runs(self) -> tuple[Run, ...]:
        seeds = self.settings.seeds
        runs = [
            self._run(variant, seed)
            for seed in seeds
            for variant in self.variants
            # Pixels are the same for every seed.
            if variant.method != entries.RAW_PIXELS or seed == seeds[0] or self._only_shown
        ]
        wanted = self._teachers(runs)
        if self.settings.teacher is not None:
            wanted.discard(entries.TEACHER)
        teachers = [
            self._teacher_run(row, seed)
            for row in entries.TEACHERS
            if row in wanted
            for seed in seeds
        ]
        return (*teachers, *runs)

    def _teachers(self, runs: Iterable[Run]) -> set[str]:
        """Rows of the float networks that some run learns from."""
        return {row for run in runs if (row := teacher_of(run)) is not None}

    def _run(self, variant: Variant, seed: int) -> Run:
        folder = self.folder / f"{variant.name}-{seed}"
        if variant.method == entries.RAW_PIXELS:
            return Run(variant.name, seed, folder, None, trained=False)
        recipe = dataclasses.replace(
            self.base,
            name=f"compare_{variant.name}",
            seed=seed,
            stages=self._stages(variant),
            epochs=self.settings.budget // len(self._stages(variant)),
            max_steps=self._cut(len(self._stages(variant))),
            teacher=None,
        )
        if variant.method == entries.UNTRAINED:
            return Run(variant.name, seed, folder, recipe, trained=False)
        return Run(variant.name, seed, folder, self._with_method(recipe, variant), trained=True)

    def _cut(self, stages: int) -> int | None:
        """Updates of each of so many stages, where `max_steps` cuts every row's alike."""
        steps = self.base.max_steps
        most = max(len(self._stages(variant)) for variant in self.variants)
        return None if steps is None else steps * most // stages

    def _with_method(self, recipe: Recipe, variant: Variant) -> Recipe:
        entry = METHODS[variant.method]
        steps = total_steps(recipe, self.train)
        sizes = Sizes(self.feature_dim, recipe.batch_size, self.train.num_images, steps)
        options = dataclasses.replace(entry.options(sizes), **variant.options)
        return dataclasses.replace(
            recipe,
            method=options,
            views=entry.views(recipe.views, variant.num_views),
            optimizer=entry.optimizer or recipe.optimizer,
            teacher=self._teacher(recipe.seed, options.teacher) if options.teacher else None,
        )

    def _teacher(self, seed: int, kind: str) -> Teacher:
        row = _teacher_row(kind)
        given = self.settings.teacher if row == entries.TEACHER else None
        file = Path(given or self._teacher_folder(row, seed) / BACKBONE_FILE).resolve()
        head = file.with_name(HEAD_FILES[kind]) if kind in HEAD_FILES else None
        if given and head is not None and not head.exists() and not self._only_shown:
            raise UserError(
                f"S2-BNN needs {head.name} beside the `teacher`, where `burn-tf pretrain` leaves "
                f"it: give such a file, or leave s2bnn out. Received: {given!r}"
            )
        return Teacher(weights=str(file), head=None if head is None else str(head))

    def _teacher_folder(self, row: str, seed: int) -> Path:
        return self.folder / f"{row}-{seed}"

    def _teacher_run(self, row: str, seed: int) -> Run:
        """A float network of a seed: as many epochs as each method, on the same images."""
        recipe = get_recipe(_teacher_name(self.base))
        if row == entries.CLASSIFIER:
            recipe = dataclasses.replace(
                recipe,
                name="compare_classifier",
                method=SupervisedOptions(),
                views=dataclasses.replace(recipe.views, num_views=1),
            )
        recipe = dataclasses.replace(
            recipe,
            views=dataclasses.replace(
                recipe.views, policy=self.base.views.policy, image_size=self.image_size
            ),
            epochs=self.settings.budget,
            max_steps=self._cut(1),
            seed=seed,
        )
        folder = self._teacher_folder(row, seed)
        return Run(row, seed, folder, _fitted(recipe, self.train), trained=True)


def teacher_of(run: Run) -> str | None:
    """Row of the float network that a run learns from, or None."""
    if not run.trained or run.recipe is None or run.recipe.teacher is None:
        return None
    return _teacher_row(run.recipe.method.teacher)


def _teacher_row(kind: str) -> str:
    return entries.CLASSIFIER if kind == "classifier" else entries.TEACHER


def _base_name(data: str, train: Source) -> str:
    if data == "digits":
        return "burn_digits"
    small = max(train.image(0).shape[:2]) <= _SMALL_PIXELS
    return "burn_cifar10" if small else "burn_pictures"


def _teacher_name(base: Recipe) -> str:
    name = base.teacher.recipe if base.teacher is not None else None
    if name is None:
        raise UserError(f"recipe {base.name} names no recipe of a teacher. Received: {name}")
    return name


def _check_override(setting: str) -> None:
    key = setting.partition("=")[0].strip()
    if key.startswith(_NOT_SET):
        raise UserError(
            f"`--set` of a comparison takes what all runs share, such as batch_size or "
            f"optimizer.learning_rate. Received: {setting!r}"
        )


def _is_optimizers(setting: str) -> bool:
    return setting.strip().startswith("optimizer.")


def _fitted(recipe: Recipe, source: Source) -> Recipe:
    """The recipe with a batch that a small collection fills a few times."""
    most = max(2, source.num_images // _MIN_BATCHES)
    return dataclasses.replace(recipe, batch_size=min(recipe.batch_size, most))
