"""Builds the networks of the zoo: which builder, with which settings, ending in what."""

from __future__ import annotations

import dataclasses
import inspect
import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import tensorflow as tf

from burn_tf import backbones
from burn_tf._checks import UserError, check_choice, check_integer
from burn_tf.backbones.top import POOLINGS
from burn_tf.recipes.base import Network

BUILDERS: dict[str, Callable[..., tf.keras.Model]] = {
    "reactnet_a": backbones.ReActNetA,
    "reactnet_tiny": backbones.ReActNetTiny,
    "resnet18": backbones.ResNet18,
    "resnet50": backbones.ResNet50,
}


@dataclasses.dataclass(frozen=True)
class Ends:
    """The images that a model takes and what it gives, as Keras Applications word it.

    Args:
        input_shape: (height, width, channels), None for the first two meaning any; None: the
            size that the weights were trained at.
        include_top: end in global pooling and a Dense layer of `classes`.
        pooling: without a top: "avg", "max", or None for the feature map.
        classes: of the top; None: those of the trained one.
    """

    input_shape: tuple[int | None, int | None, int] | None = None
    include_top: bool = False
    pooling: str | None = None
    classes: int | None = None

    def shape(self, size: int | None) -> tuple[int | None, int | None, int]:
        """`input_shape`, or colour images of `size` pixels."""
        return self.input_shape or (size, size, 3)


def check_ends(
    input_shape: tuple[int | None, ...] | None,
    include_top: bool,
    pooling: str | None,
    classes: int | None,
) -> Ends:
    """The arguments as `Ends`, checked.

    Raises:
        UserError: a malformed shape, an unknown pooling, or `classes` without a top.
    """
    check_choice("pooling", pooling, POOLINGS)
    if classes is not None:
        check_integer("classes", classes, low=1)
        if not include_top:
            raise UserError(
                "`classes` needs include_top=True: a model without a top gives features, not "
                f"classes. Received: classes={classes}, include_top={include_top}"
            )
    shape = None if input_shape is None else _checked_shape(input_shape)
    return Ends(shape, bool(include_top), pooling, classes)


def _checked_shape(shape: Any) -> tuple[int | None, int | None, int]:
    try:
        height, width, channels = (v if v is None else operator.index(v) for v in shape)
        if channels is not None and min(v for v in (height, width, channels) if v is not None) > 0:
            return height, width, channels
    except (TypeError, ValueError):
        pass
    raise UserError(
        "`input_shape` must be (height, width, channels) in pixels, None for any height or width. "
        f"Received: {shape!r}"
    )


def settings_of(network: Network) -> dict[str, Any]:
    """The settings of a network that its builder takes, by argument."""
    known = inspect.signature(BUILDERS[network.name]).parameters
    settings = dataclasses.asdict(network)
    return {key: settings[key] for key in settings if key in known and key != "name"}


def build_network(
    network: Network,
    ends: Ends,
    size: int | None,
    name: str,
    options: Mapping[str, Any] | None = None,
) -> tf.keras.Model:
    """The network, with random weights, ending as asked.

    The embedding layer that a network may have follows average pooling; a feature map or "max"
    pooling comes without it.

    Args:
        network: builder and settings.
        ends: what it takes and gives.
        size: of images where `ends` does not say it.
        name: of the model.
        options: arguments of the builder that are not part of the network, such as `binarize`.
    """
    settings = settings_of(network) | dict(options or {})
    if not ends.include_top and ends.pooling != "avg" and "embedding_units" in settings:
        settings["embedding_units"] = None
    return BUILDERS[network.name](
        input_shape=ends.shape(size),
        include_top=ends.include_top,
        pooling=ends.pooling,
        classes=1 if ends.classes is None else ends.classes,
        name=name,
        **settings,
    )


def optional_layers(model: tf.keras.Model) -> list[str]:
    """Layers that a file and a model need not share.

    A top may be new or left out, and an embedding be left out; it is never made up.
    """
    has_embedding = any(layer.name == "embedding" for layer in model.layers)
    return ["logits"] if has_embedding else ["logits", "embedding"]


class _FilledLater(tf.keras.initializers.Zeros):
    """Stands for an initializer where random values would be thrown away."""

    original: type[tf.keras.initializers.Initializer]


class _UniformLater(_FilledLater):
    original = tf.keras.initializers.GlorotUniform


class _NormalLater(_FilledLater):
    original = tf.keras.initializers.GlorotNormal


_LATER = {"glorot_uniform": _UniformLater, "glorot_normal": _NormalLater}


def build_to_fill(
    fill: Callable[[tf.keras.Model], Iterable[str]], build: Callable[[], tf.keras.Model]
) -> tf.keras.Model:
    """The model of `build` with the weights of `fill`, without drawing 28 million random ones.

    Args:
        fill: assigns weights and gives the names, "layer/weight", of those that it left alone;
            these get their random values.
        build: makes the model.
    """
    with tf.keras.utils.custom_object_scope(_LATER):
        model = build()
    left = {name.rpartition("/")[0] for name in fill(model)}
    for layer in model.layers:
        if isinstance(getattr(layer, "kernel_initializer", None), _FilledLater):
            layer.kernel_initializer = layer.kernel_initializer.original()
            if layer.name in left:
                layer.kernel.assign(layer.kernel_initializer(layer.kernel.shape))
    return model


def with_classes(ends: Ends, trained: int | None, what: str) -> Ends:
    """`ends` with the classes of the trained top where none are asked for.

    Raises:
        UserError: a top without `classes`, and there is no trained one.
    """
    if not ends.include_top or ends.classes is not None:
        return ends
    if trained is None:
        raise UserError(
            f"{what} has no trained classifier, since it was trained without labels: give "
            "classes=N for a new one, or include_top=False. Received: include_top=True"
        )
    return dataclasses.replace(ends, classes=trained)
