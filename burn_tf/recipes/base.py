"""What a recipe is: a tree of frozen dataclasses from which a run is built."""

from __future__ import annotations

import dataclasses
import sys
import types
import typing
from collections.abc import Callable, Sequence
from typing import Any

from burn_tf._checks import UserError, check_choice, check_integer, check_range, nearest
from burn_tf.recipes.options import MethodOptions

OPTIMIZERS = ("adam", "lars", "sgd")
# `burn_tf.schedules.SCALING_RULES`, without TensorFlow.
SCALE_RULES = ("linear", "sqrt")
# The float ones of `burn_tf.training.building.BACKBONES`, likewise.
FLOAT_BACKBONES = ("resnet18", "resnet50")
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")


@dataclasses.dataclass(frozen=True)
class Network:
    """A backbone builder and its arguments; `width` scales channels."""

    name: str = "reactnet_a"
    width: float = 1.0
    stem_strides: int = 2
    pad_values: float = 1.0
    estimator: str = "approx"
    embedding_units: int | None = None
    small_image_stem: bool = False


@dataclasses.dataclass(frozen=True)
class Views:
    """How images become views: policy name, views per image, side in pixels.

    `policy` names one policy for all views, or with commas one for each: "byol_1,byol_2".
    Multi-crop adds `local_views` small ones of `local_size` pixels, which learn and do not teach.
    """

    policy: str = "burn_paper"
    num_views: int = 1
    image_size: int = 224
    local_views: int = 0
    local_size: int = 96
    local_policy: str = "multicrop_local"

    def policies(self) -> list[str]:
        """The policy of each view, small ones last.

        Raises:
            UserError: for a number of names that is neither 1 nor `num_views`.
        """
        names = [name.strip() for name in self.policy.split(",")]
        if len(names) not in (1, self.num_views):
            raise UserError(
                f"`views.policy` must name one policy or `views.num_views` = {self.num_views} of "
                f"them. Received: {self.policy!r}"
            )
        large = names * self.num_views if len(names) == 1 else names
        return large + [self.local_policy] * self.local_views


@dataclasses.dataclass(frozen=True)
class Optimizer:
    """Optimizer and its schedule: linear warm-up, then cosine decay to 0 over each stage.

    The peak rate is `learning_rate`, or learning_rate * batch / 256 * num_views when `scale_rate`;
    with `scale_rule` "sqrt", the root of that factor. Biases and norms have `exempt_rate` times
    the rate with LARS. With SGD and `steady_predictor` a method's predictor keeps the peak rate.
    """

    name: str = "adam"
    learning_rate: float = 1e-3
    scale_rate: bool = False
    scale_rule: str = "linear"
    warmup_epochs: float = 0.0
    weight_decay: float = 0.0
    momentum: float = 0.9
    exempt_rate: float = 1.0
    steady_predictor: bool = False


@dataclasses.dataclass(frozen=True)
class Teacher:
    """Where the frozen teacher comes from: a saved model, or another recipe run before it.

    `head` is the file of the projector that `weights` were pretrained with, which S2-BNN needs, or
    of the classifier behind them, from which `Supervised` learns; a recipe run here brings its own,
    and has this recipe's batch size where its own is larger than the set of images. `image_size` is
    the side in pixels to which the teacher sees the views enlarged; None: as they are.
    """

    recipe: str | None = None
    weights: str | None = None
    head: str | None = None
    image_size: int | None = None


@dataclasses.dataclass(frozen=True)
class Regularizer:
    """Weights of terms added to any method's own: `burn_tf.methods.EmbeddingRegularizer`."""

    centroid: float = 0.0
    singular_value: float = 0.0
    brownian: float = 0.0
    uniformity: float = 0.0


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A whole pretraining: method, networks, views, optimizer, stages.

    `stages` says what is binary in each stage ("none", "activations", "both"); `epochs` is the
    length of each of them, cut at `max_steps` updates where that is given. An update learns from
    `batch_size` images, over all replicas, in `accumulate` micro-batches one after the other.
    """

    name: str
    method: MethodOptions
    backbone: Network
    views: Views
    optimizer: Optimizer
    batch_size: int
    epochs: int
    stages: tuple[str, ...]
    teacher: Teacher | None = None
    regularizer: Regularizer = Regularizer()
    max_steps: int | None = None
    precision: str = "float32"
    seed: int = 0
    accumulate: int = 1

    def __post_init__(self) -> None:
        check_integer("batch_size", self.batch_size, low=2)
        check_integer("epochs", self.epochs, low=1)
        check_integer("accumulate", self.accumulate, low=1)
        if self.max_steps is not None:
            check_integer("max_steps", self.max_steps, low=1)
        check_choice("precision", self.precision, PRECISIONS)
        check_choice("optimizer.name", self.optimizer.name, OPTIMIZERS)
        check_range("optimizer.learning_rate", self.optimizer.learning_rate, low=0.0)
        check_range(
            "optimizer.momentum", self.optimizer.momentum, low=0.0, high=1.0, high_open=True
        )
        check_range("optimizer.weight_decay", self.optimizer.weight_decay, low=0.0)
        check_range("optimizer.warmup_epochs", self.optimizer.warmup_epochs, low=0.0)
        check_range("optimizer.exempt_rate", self.optimizer.exempt_rate, low=0.0)
        if self.optimizer.exempt_rate != 1.0 and self.optimizer.name != "lars":
            raise UserError(
                "`optimizer.exempt_rate` must be 1 but for optimizer.name=lars. "
                f"Received: {self.optimizer.exempt_rate} with {self.optimizer.name}"
            )
        if self.optimizer.steady_predictor:
            self._check_steady_predictor()
        check_choice("optimizer.scale_rule", self.optimizer.scale_rule, SCALE_RULES)
        if not self.stages:
            raise UserError("`stages` must name at least one stage. Received: ()")
        for stage in self.stages:
            check_choice("stages", stage, ("none", "activations", "both"))
        if self.teacher is not None and self.teacher.image_size is not None:
            check_integer("teacher.image_size", self.teacher.image_size, low=self.views.image_size)
        check_integer("views.num_views", self.views.num_views, low=1)
        check_integer("views.local_views", self.views.local_views, low=0)

    def _check_steady_predictor(self) -> None:
        if self.optimizer.name != "sgd" or not self.method.predicts:
            raise UserError(
                "`optimizer.steady_predictor` must be false but for optimizer.name=sgd and a "
                f"method with a predictor. Received: {self.optimizer.name} and {self.method.method}"
            )

    @property
    def any_size(self) -> bool:
        """Whether the backbone sees images of several sizes while it learns."""
        return self.views.local_views > 0 or self.method.sees_pieces

    def to_dict(self) -> dict[str, Any]:
        """Nested plain values, for JSON and comparison."""
        return dataclasses.asdict(self)


_Condition = tuple[Callable[[Recipe], bool], str]
_IS_RESNET: _Condition = (lambda recipe: recipe.backbone.name in FLOAT_BACKBONES, "a ResNet")
_IS_REACTNET: _Condition = (lambda recipe: not _IS_RESNET[0](recipe), "a ReActNet")
_IS_MULTICROP: _Condition = (lambda recipe: recipe.views.local_views > 0, "views.local_views")
# What not every recipe reads, when it does, and how that is called.
_READ: dict[str, _Condition] = {
    "backbone.small_image_stem": _IS_RESNET,
    "backbone.stem_strides": _IS_REACTNET,
    "backbone.pad_values": _IS_REACTNET,
    "backbone.estimator": _IS_REACTNET,
    "backbone.embedding_units": _IS_REACTNET,
    "optimizer.momentum": (
        lambda recipe: recipe.optimizer.name in ("lars", "sgd"),
        "optimizer.name=sgd or lars",
    ),
    "optimizer.scale_rule": (
        lambda recipe: recipe.optimizer.scale_rate,
        "optimizer.scale_rate=true",
    ),
    "teacher": (lambda recipe: bool(recipe.method.teacher), "a method that learns from a teacher"),
    "views.local_size": _IS_MULTICROP,
    "views.local_policy": _IS_MULTICROP,
}


def override(recipe: Recipe, settings: Sequence[str]) -> Recipe:
    """The recipe with all `key=value` settings applied; keys are dotted: `optimizer.name=lars`.

    Raises:
        UserError: for a setting without "=", an unknown key (the nearest is named), a value of the
            wrong type, or a setting that the recipe does not read then.
    """
    changes: dict[str, Any] = {}
    for setting in settings:
        key, separator, text = setting.partition("=")
        if not separator:
            raise UserError(f"`--set` takes key=value. Received: {setting!r}")
        known = [name for name in setting_keys(recipe) if name != "name"]
        if key.strip() not in known:
            raise UserError(f"unknown key {key.strip()!r} in the recipe.{_suggest(key, known)}")
        *groups, last = key.strip().split(".")
        config, group = recipe, changes
        for name in groups:
            config, group = getattr(config, name), group.setdefault(name, {})
        group[last] = _parse(typing.get_type_hints(type(config))[last], text.strip(), key.strip())
    recipe = _changed(recipe, changes)
    for setting in settings:
        _check_read(recipe, setting)
    return recipe


def _check_read(recipe: Recipe, setting: str) -> None:
    """Raise for a setting that would do nothing."""
    given = setting.partition("=")[0].strip()
    for key, (is_read, where) in _READ.items():
        if (given == key or given.startswith(f"{key}.")) and not is_read(recipe):
            raise UserError(
                f"`--set` takes {key} only with {where}, else nothing reads it. "
                f"Received: {setting!r}"
            )


def setting_keys(config: Any, prefix: str = "") -> list[str]:
    """Every dotted key that `override` accepts for this recipe."""
    keys = []
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            keys += setting_keys(value, f"{prefix}{field.name}.")
        else:
            keys.append(prefix + field.name)
    return keys


def _changed(config: Any, changes: dict[str, Any]) -> Any:
    """All changes at once: some are right together alone."""
    values = {
        name: _changed(getattr(config, name), value) if isinstance(value, dict) else value
        for name, value in changes.items()
    }
    return dataclasses.replace(config, **values)


def _suggest(key: str, known: Sequence[str]) -> str:
    # A key without its group is the commonest slip.
    last = {name.split(".")[-1]: name for name in known}
    guess = nearest(key, known) or last.get(nearest(key.split(".")[-1], last) or "")
    return f" Did you mean {guess!r}?" if guess else f" Known keys: {', '.join(known)}"


_WANTED = {int: "a whole number of at most 32 bits", float: "a finite number"}
_GREATEST = {int: 2**31 - 1, float: sys.float_info.max}


def _parse(kind: Any, text: str, key: str) -> Any:
    members = typing.get_args(kind) if isinstance(kind, types.UnionType) else (kind,)
    if type(None) in members and text.lower() == "none":
        return None
    target = next(member for member in members if member is not type(None))
    if typing.get_origin(target) is tuple:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if target is bool:
        words = {"true": True, "1": True, "false": False, "0": False}
        return words[check_choice(key, text.lower(), words)]
    try:
        value = target(text)
    except ValueError as error:
        wanted = _WANTED.get(target, target.__name__)
        raise UserError(f"`{key}` must be {wanted}. Received: {text!r}") from error
    if target in _WANTED and not abs(value) <= _GREATEST[target]:
        raise UserError(f"`{key}` must be {_WANTED[target]}. Received: {text!r}")
    return value
