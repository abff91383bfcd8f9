"""Binary models in files with one bit per binary weight (the format: `packed_file.py`)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from burn_tf._checks import UserError, check_choice
from burn_tf._compat import quantized_scope
from burn_tf._files import atomic_write
from burn_tf.convert.binary_kernels import find_binary_kernels
from burn_tf.convert.input_channels import adapt_input_channels
from burn_tf.convert.model_config import build_model, input_channels, model_to_json
from burn_tf.convert.named_weights import named_weights
from burn_tf.convert.packed_file import PackedFile, packed_bytes, read_packed
from burn_tf.convert.safetensors import SUFFIX

FLOAT_DTYPES = ("float32", "float16")

_NAMES_SHOWN = 5


def _float_value(name: str, variable: Any, float_dtype: str) -> np.ndarray:
    """The weight as it is stored; float16 must not turn any of its values into infinity."""
    with quantized_scope(False):
        tensor = tf.convert_to_tensor(getattr(variable, "latent_variable", variable))
    if not tensor.dtype.is_floating:
        return np.asarray(tensor)
    value = np.asarray(tf.cast(tensor, tf.float32) if tensor.dtype.size < 4 else tensor)
    if not np.isfinite(value).all():
        raise UserError(
            "`model` must have finite weights: go back to an earlier checkpoint. "
            f"Received: NaN or infinity in {name!r}"
        )
    small = np.abs(value).max(initial=0) <= np.finfo(np.float16).max
    return value.astype(np.float16) if float_dtype == "float16" and small else value


def _packed_bytes(
    model: tf.keras.Model, float_dtype: str, metadata: Mapping[str, str] | None = None
) -> bytes:
    check_choice("float_dtype", float_dtype, FLOAT_DTYPES)
    if not isinstance(model, tf.keras.Model):
        raise UserError(f"`model` must be a tf.keras.Model. Received: {type(model).__name__}")
    config = model_to_json(model)
    kernels = find_binary_kernels(model)
    others = {
        name: _float_value(name, variable, float_dtype)
        for name, variable in named_weights(model).items()
        if name not in kernels
    }
    return packed_bytes(config, kernels, others, metadata or {})


def save_packed(
    model: tf.keras.Model,
    path: str | os.PathLike[str],
    *,
    float_dtype: str = "float32",
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write a binary model with one bit per binary weight, whole or not at all.

    The file holds the architecture, so `load_packed` needs nothing else. ReActNet-A without its top
    takes 3.9 MB, its float32 variables 113 MB.

    Args:
        model: functional or sequential; every binary layer with `binarize="both"` or a 1-bit Larq
            kernel quantizer. Its optimizer is not stored.
        path: of the file, ending in ".safetensors".
        float_dtype: of the weights that are not binary, "float32" (default: exact) or "float16"; a
            weight beyond 65,504 stays float32, and so do the scales.
        metadata: texts of yours by name, given back by `packed_metadata`. Default none.

    Raises:
        UserError: a binary layer whose kernel is real, no binary layer, code in the architecture,
            a weight that is not finite, another suffix, a path that cannot be written.

    Example:
        >>> import os, tempfile
        >>> from burn_tf import backbones, convert
        >>> path = os.path.join(tempfile.mkdtemp(), "tiny.safetensors")
        >>> convert.save_packed(backbones.ReActNetTiny((32, 32, 3)), path)
        >>> convert.load_packed(path).name
        'reactnet_tiny'

    Source: the safetensors format (huggingface/safetensors); the names and metadata are ours.
    """
    if not os.fspath(path).endswith(SUFFIX):
        raise UserError(f"`path` must end in {SUFFIX!r}. Received: {os.fspath(path)!r}")
    content = _packed_bytes(model, float_dtype, metadata)
    try:
        atomic_write(path, content)
    except OSError as error:
        raise UserError(
            f"cannot write {os.fspath(path)!r}: choose another `path`. Received: {error.strerror}"
        ) from error


def packed_size(model: tf.keras.Model, float_dtype: str = "float32") -> int:
    """Bytes of the file that `save_packed` would write.

    Args:
        model: as for `save_packed`.
        float_dtype: as for `save_packed`.

    Raises:
        UserError: as `save_packed`, but for the path.

    Example:
        >>> from burn_tf import backbones, convert
        >>> convert.packed_size(backbones.ReActNetTiny()) < 50_000
        True
    """
    return len(_packed_bytes(model, float_dtype))


def _listed(names: Sequence[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return f" ({', '.join(names[:_NAMES_SHOWN])}{more})"


def _misfit(file: PackedFile, model: tf.keras.Model, reason: str) -> UserError:
    return UserError(
        f"{file.path!r} does not fit model {model.name!r}: build the model with the settings of "
        f"the file, or use load_packed. Received: {reason}"
    )


def _fitting(file: PackedFile, name: str, variable: Any, channels: int | None) -> Any:
    """The file's value for a variable, or None where its shape is another."""
    value = file.value(name)
    wanted = tuple(variable.shape)
    if value.shape == wanted:
        return value
    of_image = (
        not file.is_binary(name)
        and len(wanted) == value.ndim == 4
        and (value.shape[2], wanted[2]) == (input_channels(file.config), channels)
        and value.shape[:2] + value.shape[3:] == wanted[:2] + wanted[3:]
    )
    return adapt_input_channels(value, wanted[2]) if of_image else None


def _is_in(name: str, layers: Sequence[str]) -> bool:
    return any(name.startswith(f"{layer}/") for layer in layers)


def _check_names(file: PackedFile, model: tf.keras.Model, optional: Sequence[str]) -> None:
    wanted, stored = named_weights(model), file.names()
    missing = sorted(set(wanted) - set(stored), key=list(wanted).index)
    unused = sorted(set(stored) - set(wanted), key=stored.index)
    missing = [name for name in missing if not _is_in(name, optional)]
    unused = [name for name in unused if not _is_in(name, optional)]
    if missing or unused:
        raise _misfit(
            file,
            model,
            f"{len(missing)} weights missing in the file{_listed(missing)}, "
            f"{len(unused)} unused{_listed(unused)}",
        )


def _fill(file: PackedFile, model: tf.keras.Model, optional: Sequence[str]) -> list[str]:
    """Assign every weight once all of them are known to fit; gives the names of those left."""
    _check_names(file, model, optional)
    variables = named_weights(model)
    shape = getattr(model, "input_shape", None)
    channels = shape[-1] if isinstance(shape, tuple) else None
    values = {
        name: _fitting(file, name, variables[name], channels)
        for name in file.names()
        if name in variables
    }
    misfits = [name for name, value in values.items() if value is None]
    misfits = [name for name in misfits if not _is_in(name, optional)]
    if misfits:
        shapes = f"{file.value(misfits[0]).shape}, in the model {variables[misfits[0]].shape}"
        raise _misfit(file, model, f"other shapes{_listed(misfits)}, the first {shapes}")
    for name, value in values.items():
        if value is not None:
            variable = getattr(variables[name], "latent_variable", variables[name])
            variable.assign(tf.cast(value, variable.dtype))
    return [name for name in variables if values.get(name) is None]


def load_packed(path: str | os.PathLike[str]) -> tf.keras.Model:
    """The model in a packed file, ready to predict and to be fine-tuned. Nothing in it is executed.

    Latent binary weights come back as sign x scale, bit for bit. All weights of a filter then lie
    at the same distance from zero, so in fine-tuning with Adam the first signs move after some
    scale / learning_rate steps.

    Args:
        path: of a file written by `save_packed`.

    Returns:
        An uncompiled model of the architecture that was saved.

    Raises:
        UserError: the file is absent, truncated, changed, of a newer version or of another kind; it
            names a class that is not registered; or it names code.

    Example:
        >>> import os, tempfile
        >>> from burn_tf import backbones, convert
        >>> path = os.path.join(tempfile.mkdtemp(), "tiny.safetensors")
        >>> convert.save_packed(backbones.ReActNetTiny((32, 32, 3)), path)
        >>> convert.load_packed(path).input_shape
        (None, 32, 32, 3)
    """
    file = read_packed(path)
    model = build_model(file.config)
    _fill(file, model, ())
    return model


def load_packed_weights(
    model: tf.keras.Model, path: str | os.PathLike[str], *, optional: Sequence[str] = ()
) -> list[str]:
    """Fill an existing model from a packed file, by the names of layers and weights.

    The model may take images of another size, and of another number of channels: the kernel of its
    first convolution is then adapted (`adapt_input_channels`). Nothing is changed unless
    everything fits.

    Args:
        model: with the layers that the file has; their `binarize` may differ.
        path: of a file written by `save_packed`.
        optional: layers, such as a top ("logits"), that may be in the model or in the file alone,
            or have another shape; in the model these keep their values. Default none.

    Returns:
        Names of the model's weights that were left as they were.

    Raises:
        UserError: as `load_packed`; a weight is missing, left over or of another shape.

    Example:
        >>> import os, tempfile
        >>> from burn_tf import backbones, convert
        >>> path = os.path.join(tempfile.mkdtemp(), "tiny.safetensors")
        >>> convert.save_packed(backbones.ReActNetTiny((32, 32, 3), include_top=False), path)
        >>> larger = backbones.ReActNetTiny((48, 48, 1), classes=3)
        >>> convert.load_packed_weights(larger, path, optional=["logits"])
        ['logits/kernel', 'logits/bias']
    """
    return _fill(read_packed(path), model, optional)


def packed_metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """The `metadata` that was given to `save_packed`; the file's hash is checked.

    Args:
        path: of a file written by `save_packed`.

    Raises:
        UserError: as `load_packed`.

    Example:
        >>> import os, tempfile
        >>> from burn_tf import backbones, convert
        >>> path = os.path.join(tempfile.mkdtemp(), "tiny.safetensors")
        >>> tiny = backbones.ReActNetTiny((32, 32, 3))
        >>> convert.save_packed(tiny, path, metadata={"licence": "Apache-2.0"})
        >>> convert.packed_metadata(path)
        {'licence': 'Apache-2.0'}
    """
    return read_packed(path).user
