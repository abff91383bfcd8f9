"""Finds what the library offers: every public class and model builder, by reflection."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import typing
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import tensorflow as tf

import burn_tf
from burn_tf.methods import SSLMethod

PACKAGES = (
    burn_tf.layers,
    burn_tf.losses,
    burn_tf.schedules,
    burn_tf.optimizers,
    burn_tf.backbones,
    burn_tf.methods,
)
KINDS: dict[str, type] = {
    "layer": tf.keras.layers.Layer,
    "loss": tf.keras.losses.Loss,
    "schedule": tf.keras.optimizers.schedules.LearningRateSchedule,
    "optimizer": tf.keras.optimizers.Optimizer,
}


def _modules(package: ModuleType) -> Iterator[ModuleType]:
    yield package
    for found in pkgutil.iter_modules(getattr(package, "__path__", [])):
        yield importlib.import_module(f"{package.__name__}.{found.name}")


def _own_members(package: ModuleType) -> dict[str, Any]:
    """Public classes and functions written in a package, exported or not."""
    members: dict[str, Any] = {}
    for module in _modules(package):
        for name, member in vars(module).items():
            written_here = getattr(member, "__module__", "") == module.__name__
            named = inspect.isclass(member) or inspect.isfunction(member)
            if written_here and named and not name.startswith("_"):
                members[name] = member
    return members


def public_classes() -> dict[str, type]:
    """Every public class of the six packages, whether or not its package exports it."""
    members = [_own_members(package) for package in PACKAGES]
    return {n: m for found in members for n, m in found.items() if inspect.isclass(m)}


def kind_of(member: type) -> str:
    """`layer`, `loss`, `schedule`, `optimizer`, `method`, or `plain` for any other class."""
    if issubclass(member, SSLMethod):
        return "method"
    return next((kind for kind, base in KINDS.items() if issubclass(member, base)), "plain")


def classes_of(kind: str) -> dict[str, type]:
    """Public classes of one kind, by name."""
    return {name: member for name, member in public_classes().items() if kind_of(member) == kind}


def builders() -> dict[str, Callable[..., Any]]:
    """Every exported function that gives a Keras model."""
    return {
        name: member
        for package in (burn_tf.layers, burn_tf.backbones)
        for name, member in exported(package).items()
        if inspect.isfunction(member) and typing.get_type_hints(member)["return"] is tf.keras.Model
    }


def exported(package: ModuleType) -> dict[str, Any]:
    """What a package offers: its `__all__`, or the public members of a single module."""
    if not hasattr(package, "__all__"):
        return _own_members(package)
    return {name: getattr(package, name) for name in package.__all__}


def parameters_of(member: Callable[..., Any]) -> list[str]:
    """Names of the arguments that a class or function takes, without `*args` and `**kwargs`."""
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    parameters = inspect.signature(member).parameters.values()
    return [p.name for p in parameters if p.kind not in variable]
