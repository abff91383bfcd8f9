"""Finds the model that `--model` means."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from burn_tf._checks import UserError, nearest

if TYPE_CHECKING:
    import tensorflow as tf

    from burn_tf.detection import Detector

RAW_PIXELS = "raw_pixels"
_PACKED = ".safetensors"
_UNTRAINED = "untrained:"
_SEED = 0
_BUILDERS = {
    "reactnet_a": "ReActNetA",
    "reactnet_tiny": "ReActNetTiny",
    "resnet18": "ResNet18",
    "resnet50": "ResNet50",
}
MODEL_HELP = (
    "a model of the zoo (see burn-tf zoo), a saved Keras model (.keras, .h5 or a SavedModel "
    "folder), a packed .safetensors file, or untrained:NAME, a backbone with random weights, NAME "
    f"being {', '.join(_BUILDERS)} or a model of the zoo"
)


def load_model(name: str, image_size: int | None = None) -> tf.keras.Model:
    """The Keras model of a path, of a zoo name or of `untrained:NAME`.

    Args:
        name: path of a saved model, a model of the zoo (features), or `untrained:` and the name of
            a backbone.
        image_size: pixels, for a backbone that is built here.

    Raises:
        UserError: nothing is there, or what is there is no Keras model.
    """
    if name.startswith(_UNTRAINED):
        return _untrained(name.removeprefix(_UNTRAINED), image_size)
    path = Path(name)
    if not path.exists() and name in _zoo_names():
        return _from_zoo(name, image_size, "default")
    if not path.exists():
        raise UserError(_nothing_there(name))
    if path.suffix == _PACKED:
        from burn_tf.convert import load_packed

        return load_packed(path)
    if not _looks_like_model(path):
        raise UserError(f"`model` {name!r} is not a saved Keras model (.keras, .h5 or SavedModel)")
    return _load(path)


def load_exportable(name: str, image_size: int | None = None) -> tf.keras.Model | Detector:
    """As `load_model`, or the detector in a file of `burn-tf evaluate --protocol=detect:voc`."""
    if name.endswith(_PACKED) and Path(name).is_file():
        from burn_tf.detection import Detector

        if Detector.is_file(name):
            return Detector.load(name)
    return load_model(name, image_size)


def load_features(name: str, image_size: int | None = None) -> Callable[..., Any]:
    """As `load_model`, for the protocols: `raw_pixels` is allowed and feature maps are pooled."""
    if name == RAW_PIXELS:
        from burn_tf.evaluation import raw_pixels

        return raw_pixels
    import tensorflow as tf

    model = load_model(name, image_size)
    if len(model.output_shape) != 4:
        return model
    pooled = tf.keras.layers.GlobalAveragePooling2D(name="pooled")(model.output)
    return tf.keras.Model(model.input, pooled, name=model.name)


def input_side(model: Any) -> int | None:
    """The side in pixels that a model is fixed to, or None where it takes any size.

    Raises:
        UserError: it takes no images, or is fixed to images that are not square.
    """
    shape = getattr(model, "input_shape", None)
    if shape is None:
        return None
    if not isinstance(shape, tuple) or len(shape) != 4:
        raise UserError(f"`model` must take one batch of images [B, H, W, C]. Received: {shape}")
    if shape[1] != shape[2]:
        raise UserError(f"`model` must take square images. Received: height and width {shape[1:3]}")
    return shape[1]


def needed_side(model: Any, asked: int | None, flag: str = "input_size") -> int:
    """The side in pixels of a model's images, given by `--flag` or its own.

    Raises:
        UserError: there is neither, or they differ.
    """
    own = input_side(model)
    if own is None and asked is None:
        raise UserError(f"`model` takes images of any size: say which with --{flag}=PIXELS")
    if own is not None and asked not in (None, own):
        raise UserError(f"`{flag}` must be {own}, which the model is built for. Received: {asked}")
    return int(own or asked or 0)


def _untrained(name: str, image_size: int | None) -> tf.keras.Model:
    import tensorflow as tf

    from burn_tf import backbones
    from burn_tf._checks import check_choice

    # The same command gives the same network, and so the same figures.
    tf.keras.utils.set_random_seed(_SEED)
    zoo_names = _zoo_names()
    if name in zoo_names:
        return _from_zoo(name, image_size, None)
    builder = getattr(backbones, _BUILDERS[check_choice("model", name, [*_BUILDERS, *zoo_names])])
    shape = (image_size, image_size, 3)
    return builder(input_shape=shape, include_top=False, pooling="avg")


def _zoo_names() -> list[str]:
    from burn_tf import zoo

    return list(zoo.list_models())


def _from_zoo(name: str, image_size: int | None, weights: str | None) -> tf.keras.Model:
    from burn_tf import zoo

    shape = None if image_size is None else (image_size, image_size, 3)
    return zoo.load(name, weights=weights, input_shape=shape, pooling="avg")


def _nothing_there(name: str) -> str:
    zoo_names = _zoo_names()
    known = [RAW_PIXELS, *zoo_names, *(_UNTRAINED + base for base in (*_BUILDERS, *zoo_names))]
    guess = nearest(name, known)
    hint = f" Did you mean {guess!r}?" if guess else ""
    return f"`model` must be {MODEL_HELP}.{hint} Received: {name!r}, which does not exist"


def _looks_like_model(path: Path) -> bool:
    if path.is_dir():
        return (path / "saved_model.pb").is_file()
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            return "config.json" in archive.namelist()
    with path.open("rb") as file:
        return file.read(8) == b"\x89HDF\r\n\x1a\n"


def _load(path: Path) -> tf.keras.Model:
    import tensorflow as tf

    from burn_tf.training import load_backbone

    model = load_backbone(path)
    if not isinstance(model, tf.keras.Model):
        raise UserError(
            f"`model` {str(path)!r} must be a Keras model. Received: a plain SavedModel"
        )
    return model
