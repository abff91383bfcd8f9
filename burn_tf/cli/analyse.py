"""Draw one of the papers' analyses in small: table, charts and the numbers behind them.

KIND is one of
  feature_weight  lambda(t) of BURN's loss over a stage, all kinds of schedule
  ema             a moving average as target, of float and of binary weights
  gradients       gradient norms of BURN's first updates: KL alone, with cosine, L1, L2
  embedding       alignment, uniformity, effective rank and deviation of --models' features
  collapse        heads with layer norm and with batch norm, with and without MSBReg's terms
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from absl import flags as absl_flags

from burn_tf._checks import UserError, check_choice
from burn_tf.cli import models
from burn_tf.cli.data import DATA_HELP
from burn_tf.cli.targets import check_different_files, check_file_target

if TYPE_CHECKING:
    from burn_tf.analysis import Analysis
    from burn_tf.data import Source
    from burn_tf.recipes import Recipe

POSITIONAL = ("kind",)
# The flags of each kind, --html and --json aside.
_FLAGS = {
    "feature_weight": ("updates", "start", "end"),
    "ema": ("updates", "decays", "seed"),
    "gradients": ("data", "recipe", "set", "updates", "teacher_updates", "seed", "strict"),
    "embedding": ("data", "models", "image_size", "images", "policy", "seed", "strict"),
    "collapse": ("data", "recipe", "set", "updates", "optimizer", "seed", "strict"),
}
# What a kind of analysis chooses itself, and why a setting of it would do nothing.
_BOTH = {
    "seed": "give --seed",
    "accumulate": "its batches are not divided",
    "precision": "it runs in float32",
}
_NOT_SET = {
    "gradients": {**_BOTH, "method.feature_loss": "it sets all of them side by side"},
    "collapse": {
        **_BOTH,
        "optimizer": "it has two of its own, without schedule: give --optimizer",
        "epochs": "give --updates",
        "max_steps": "give --updates",
        "method.head_norm": "it sets both side by side",
        "method.brownian_weight": "it sets it where L_b is on",
        "method.singular_value_weight": "it sets it where L_s is on",
    },
}
_UPDATES = {"feature_weight": 1000, "ema": 1000, "gradients": 40, "collapse": 100}
_DIGITS = "digits"


def register(flags: absl_flags.FlagValues) -> None:
    """The flags of `burn-tf analyse`."""
    absl_flags.DEFINE_string("kind", None, f"one of {', '.join(_FLAGS)}", flag_values=flags)
    for name, text in {
        "html": "file to write the page with charts to",
        "json": "file to write table and curves to",
        "models": f"embedding: comma-separated, each {models.MODEL_HELP}; or {models.RAW_PIXELS}",
        "policy": "embedding: augmentation of the two views; default: by data and image size",
    }.items():
        absl_flags.DEFINE_string(name, None, text, flag_values=flags)
    absl_flags.DEFINE_string("data", _DIGITS, DATA_HELP, flag_values=flags)
    _register_numbers(flags)
    absl_flags.DEFINE_string(
        "recipe",
        None,
        "gradients: a BURN recipe, collapse: an MSBReg recipe; default: burn_digits, msbreg_digits "
        "for digits, burn_pictures, msbreg_pictures for all else",
        flag_values=flags,
    )
    absl_flags.DEFINE_enum(
        "optimizer",
        "sgd",
        ["sgd", "adam"],
        "collapse: sgd, whose steps vanish with the gradients, or adam, whose steps do not",
        flag_values=flags,
    )
    absl_flags.DEFINE_multi_string(
        "set", [], "key=value that replaces one of the recipe's", flag_values=flags
    )
    absl_flags.DEFINE_boolean(
        "strict", False, "stop at an image that cannot be read", flag_values=flags
    )


def _register_numbers(flags: absl_flags.FlagValues) -> None:
    for name, default, low, text in (
        (
            "updates",
            None,
            1,
            "length of the stage, of the simulation or of each run; default: "
            + ", ".join(f"{kind} {count}" for kind, count in _UPDATES.items()),
        ),
        ("teacher_updates", 200, 1, "gradients: of the teacher that the recipe trains"),
        ("image_size", None, 1, "embedding: pixels, needed where a model takes any size"),
        ("images", 1000, 2, "embedding: how many held-out images at most"),
        ("seed", 0, 0, "of the walk, of the views, of the runs"),
    ):
        absl_flags.DEFINE_integer(name, default, text, lower_bound=low, flag_values=flags)
    for name, value in (("start", 0.9), ("end", 0.7)):
        absl_flags.DEFINE_float(
            name, value, f"feature_weight: lambda at the {name}", flag_values=flags
        )
    absl_flags.DEFINE_list(
        "decays", ["0.9", "0.99", "0.996"], "ema: decays of the average", flag_values=flags
    )


def run(flags: absl_flags.FlagValues) -> int:
    """Analyse, print the table, and write the files that were asked for."""
    if flags.kind is None:
        raise UserError(f"`burn-tf analyse` needs a KIND: {', '.join(_FLAGS)}. Received: none")
    kind = check_choice("kind", flags.kind, _FLAGS)
    _check_flags(kind, flags)
    for name, path in (("json", flags.json), ("html", flags.html)):
        if path is not None:
            check_file_target(name, path)
    check_different_files(json=flags.json, html=flags.html)
    analysis = _RUNNERS[kind](flags)
    print(analysis.text())
    for note in analysis.notes:
        print(f"- {note}")
    analysis.write(flags.json, flags.html)
    return 0


def _check_flags(kind: str, flags: absl_flags.FlagValues) -> None:
    allowed = {"kind", "json", "html", *_FLAGS[kind]}
    for name in flags:
        if flags[name].present and name not in allowed:
            raise UserError(
                f"`{name}` is not for the analysis {kind!r}, which takes "
                f"{', '.join(_FLAGS[kind])}. Received: {flags[name].value!r}"
            )


def _feature_weight(flags: absl_flags.FlagValues) -> Analysis:
    from burn_tf.analysis import feature_weight

    return feature_weight(_updates(flags), start=flags.start, end=flags.end)


def _ema(flags: absl_flags.FlagValues) -> Analysis:
    from burn_tf.analysis import moving_average

    try:
        decays = [float(text) for text in flags.decays]
    except ValueError as error:
        raise UserError(f"`decays` must be numbers. Received: {flags.decays!r}") from error
    return moving_average(_updates(flags), decays, seed=flags.seed)


def _gradients(flags: absl_flags.FlagValues) -> Analysis:
    from burn_tf.analysis import gradients

    recipe = _recipe(flags, "burn")
    source = _source(flags, "train")
    return gradients(source, recipe, updates=_updates(flags), teacher_updates=flags.teacher_updates)


def _collapse(flags: absl_flags.FlagValues) -> Analysis:
    from burn_tf.analysis import collapse

    recipe = _recipe(flags, "msbreg")
    train, test = (_source(flags, split) for split in ("train", "test"))
    return collapse(train, test, recipe, updates=_updates(flags), optimizer=flags.optimizer)


def _embedding(flags: absl_flags.FlagValues) -> Analysis:
    from burn_tf.analysis import embedding

    names = [name.strip() for name in (flags.models or "").split(",") if name.strip()]
    if not names:
        raise UserError("`burn-tf analyse embedding` needs --models=NAME,NAME. Received: none")
    if len(set(names)) < len(names):
        raise UserError(f"`models` must not name one twice. Received: {flags.models!r}")
    networks = {name: _network(name, flags.image_size) for name in names}
    return embedding(
        networks,
        _source(flags, "test"),
        policy=flags.policy,
        images=flags.images,
        seed=flags.seed,
    )


def _network(name: str, image_size: int | None) -> tuple[Any, int]:
    """A model and the side of its images; one that is fixed to a side keeps it."""
    network = models.load_features(name, image_size)
    side = models.input_side(network) or image_size
    if side is None:
        raise UserError(f"`model` {name!r} takes any size: say which with --image_size=PIXELS")
    return network, side


def _updates(flags: absl_flags.FlagValues) -> int:
    return int(_UPDATES[flags.kind] if flags.updates is None else flags.updates)


def _recipe(flags: absl_flags.FlagValues, stem: str) -> Recipe:
    from burn_tf.recipes import get_recipe, override

    for setting in flags.set:
        key = setting.partition("=")[0].strip()
        for chosen, why in _NOT_SET[flags.kind].items():
            if key == chosen or key.startswith(f"{chosen}."):
                raise UserError(
                    f"`--set` takes no {chosen} for the analysis {flags.kind!r}: {why}. "
                    f"Received: {setting!r}"
                )
    default = f"{stem}_{'digits' if flags.data == _DIGITS else 'pictures'}"
    recipe = override(get_recipe(flags.recipe or default), flags.set)
    return dataclasses.replace(recipe, seed=flags.seed)


def _source(flags: absl_flags.FlagValues, split: str) -> Source:
    from burn_tf.data import load_source

    return load_source(flags.data, split=split, strict=flags.strict)


_RUNNERS = {
    "feature_weight": _feature_weight,
    "ema": _ema,
    "gradients": _gradients,
    "embedding": _embedding,
    "collapse": _collapse,
}
