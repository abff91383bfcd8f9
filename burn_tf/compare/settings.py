"""What the user asks of a comparison, checked before any data is read."""

from __future__ import annotations

import dataclasses
from typing import Any

from burn_tf._checks import UserError, check_choice, check_integer, check_range
from burn_tf.compare.entries import BASELINES, METHODS, RAW_PIXELS
from burn_tf.compare.presets import PRESETS, Variant
from burn_tf.evaluation import PROTOCOLS
from burn_tf.training.building import BACKBONES
from burn_tf.training.model_files import check_model_file
from burn_tf.training.teacher_cache import TeacherCache

# A table compares top-1 accuracies, which these do not give.
_WITHOUT_TOP1 = ("svm:voc07-fewshot", "embedding", "detect:voc", "segment:coco")
# These train the network itself.
_FINE_TUNING = "semi:"
STAGES = {"two": ("activations", "both"), "one": ("both",), "float": ("none",)}


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is compared and how. One of `methods` and `preset` is given.

    Args:
        data: a labelled source as `burn_tf.data.load_source` takes it.
        budget: epochs of each run, over all its stages; a multiple of their number.
        methods: names of `METHODS`, or "untrained", "raw_pixels"; without repetition.
        preset: name of one of `PRESETS`.
        seeds: one run of each method per seed.
        backbone: name of a backbone; None: that of the base recipe, or of the preset.
        width: scales its channels; None: as in the base recipe.
        stages: "two", "one" or "float"; None: "two" for binary networks, else "float".
        teacher: file of a float backbone; None: one is trained per seed where it is needed.
        probes: protocols of `burn_tf.evaluation` that give a top-1 accuracy.
        images: number of training images, drawn once for all; None: all.
        overrides: key=value settings of the base recipe.
        strict: stop at an image that cannot be read.
        checkpoint_seconds: time between checkpoints of a run.
        teacher_cache: where the frozen teachers' features are kept, where all that is compared
            learns from one; None: new views in every epoch.

    Raises:
        UserError: an unknown name, a repetition, a number out of range.
    """

    data: str
    budget: int
    methods: tuple[str, ...] = ()
    preset: str | None = None
    seeds: tuple[int, ...] = (1,)
    backbone: str | None = None
    width: float | None = None
    stages: str | None = None
    teacher: str | None = None
    probes: tuple[str, ...] = ("linear:fast", "knn:5")
    images: int | None = None
    overrides: tuple[str, ...] = ()
    strict: bool = False
    checkpoint_seconds: float = 120.0
    teacher_cache: TeacherCache | None = None

    def __post_init__(self) -> None:
        if bool(self.methods) == (self.preset is not None):
            received = "both" if self.methods else "neither"
            raise UserError(f"give one of `methods` and `preset`. Received: {received}")
        for name in ("methods", "seeds", "probes"):
            _check_distinct(name, getattr(self, name))
        for method in self.methods:
            check_choice("methods", method, [*METHODS, *BASELINES])
        for probe in self.probes:
            check_choice("probes", probe, [name for name in PROTOCOLS if name not in _WITHOUT_TOP1])
        self._check_pixels()
        for seed in self.seeds:
            check_integer("seeds", seed, low=0)
        self._check_optional()

    def _check_optional(self) -> None:
        if self.preset is not None:
            check_choice("preset", self.preset, PRESETS)
        if self.backbone is not None:
            check_choice("backbone", self.backbone, BACKBONES)
        if self.width is not None:
            check_range("width", self.width, low=0.0, low_open=True)
        if self.stages is not None:
            check_choice("stages", self.stages, STAGES)
        if self.teacher is not None:
            check_model_file(self.teacher)
        check_integer("budget", self.budget, low=1)

    def _check_pixels(self) -> None:
        tuned = [probe for probe in self.probes if probe.startswith(_FINE_TUNING)]
        if tuned and RAW_PIXELS in self.methods:
            raise UserError(
                f"`probes` that train the network have none to train in the row {RAW_PIXELS!r}: "
                f"leave one of the two out. Received: {tuned[0]!r}"
            )

    def record(self) -> dict[str, Any]:
        """What must be the same when a comparison goes on; methods and seeds may be added."""
        named = dataclasses.asdict(self)
        added = ("methods", "seeds", "checkpoint_seconds", "strict", "teacher", "teacher_cache")
        kept = {name: value for name, value in named.items() if name not in added}
        # The folder may be another one; the views are what a run learns from.
        views = None if self.teacher_cache is None else self.teacher_cache.views
        return {**kept, "cached_views": views}

    def variants(self) -> tuple[Variant, ...]:
        """The rows of the table: one per method, or those of the preset."""
        if self.preset is not None:
            return PRESETS[self.preset].variants
        return tuple(Variant(method, method) for method in self.methods)


def _check_distinct(name: str, values: tuple[Any, ...]) -> None:
    repeated = [value for value in values if values.count(value) > 1]
    if repeated:
        raise UserError(f"`{name}` must not name anything twice. Received: {repeated[0]!r} twice")
    if name != "methods" and not values:
        raise UserError(f"`{name}` must name at least one. Received: none")
