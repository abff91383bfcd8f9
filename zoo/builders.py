"""The backbones' builders, whose `weights` may also name a model of the zoo or a checkpoint."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from burn_tf import backbones
from burn_tf._checks import UserError
from zoo.loading import load_checkpoint, load_entry, open_weights
from zoo.manifest import Entry, read_manifest
from zoo.networks import BUILDERS, Ends, check_ends, settings_of
from zoo.weight_files import CHECKPOINT, fill

EfficientNetLite0 = backbones.EfficientNetLite0

# Arguments that say what a model takes and gives, and not what network it is.
_ENDS = ("input_shape", "include_top", "pooling", "classes")
# Settings of a network that a user may change: they only concern its training.
_FREE = ("estimator",)
_ABOUT = """{summary}

This is `burn_tf.backbones.{name}`, whose `weights` may also be the name of a model of the zoo: then
arguments that are left out have the values its weights were trained with. Or the path or http(s)
address of a packed file or of a checkpoint of the papers' authors, which needs PyTorch and
`accept_license="CC BY-NC 4.0"`.

{rest}"""


def _builder(family: str) -> Callable[..., tf.keras.Model]:
    build = BUILDERS[family]
    signature = inspect.signature(build)
    licence = inspect.Parameter(
        "accept_license", inspect.Parameter.KEYWORD_ONLY, default=None, annotation="str | None"
    )

    @functools.wraps(build)
    def with_weights(
        *args: Any, accept_license: str | None = None, **kwargs: Any
    ) -> tf.keras.Model:
        given = dict(signature.bind(*args, **kwargs).arguments)
        weights = given.pop("weights", None)
        if weights is None:
            return build(**given)
        entries = _entries_of(family)
        if weights in entries:
            return _from_entry(entries[weights], given)
        path, kind = open_weights(weights, list(entries), accept_license)
        if kind != CHECKPOINT:
            model = build(**given)
            fill(model, path, kind, new_top="classes" in given)
            return model
        _refuse_settings(weights, given)
        name, ends = given.pop("name", family), _ends(given)
        return load_checkpoint(weights, path, family, ends, name)

    parameters = [*signature.parameters.values(), licence]
    with_weights.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    summary, _, rest = inspect.cleandoc(build.__doc__ or "").partition("\n\n")
    with_weights.__doc__ = _ABOUT.format(summary=summary, name=build.__name__, rest=rest)
    with_weights.__module__ = __name__
    return with_weights


def _entries_of(family: str) -> dict[str, Entry]:
    return {name: e for name, e in read_manifest().items() if e.network.name == family}


def _ends(given: dict[str, Any]) -> Ends:
    return check_ends(
        given.get("input_shape"),
        given.get("include_top", True),
        given.get("pooling"),
        given.get("classes"),
    )


def _from_entry(entry: Entry, given: dict[str, Any]) -> tf.keras.Model:
    settings = settings_of(entry.network)
    for key in settings.keys() & given.keys() - {*_FREE}:
        if given[key] != settings[key]:
            raise UserError(
                f"`{key}` must be left out, or {settings[key]!r}, as {entry.name} was trained. "
                f"Received: {given[key]!r}"
            )
    name = given.pop("name", entry.name)
    options = {key: value for key, value in given.items() if key not in _ENDS}
    return load_entry(entry, _ends(given), name, options=options)


def _refuse_settings(weights: Any, given: dict[str, Any]) -> None:
    settings = sorted(given.keys() - {*_ENDS, "name"})
    if settings:
        raise UserError(
            f"`{settings[0]}` must be left out with a checkpoint, whose network is its own. "
            f"Received: {given[settings[0]]!r} with weights={str(weights)!r}"
        )


ReActNetA = _builder("reactnet_a")
ReActNetTiny = _builder("reactnet_tiny")
ResNet18 = _builder("resnet18")
ResNet50 = _builder("resnet50")
