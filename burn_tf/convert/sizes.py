"""How many bytes a model takes: in training, in a packed file, and on a phone."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.convert.named_weights import named_weights
from burn_tf.convert.packed import packed_size
from burn_tf.export.binary_layers import binary_layers, variable_key


@dataclasses.dataclass(frozen=True)
class SizeSummary:
    """Weights and sizes of one model.

    Args:
        name: the model's.
        binary_weights: how many weights binary layers multiply with as +1 or -1.
        other_weights: how many there are beside these, moving statistics included.
        latent_bytes: of all variables as they are trained; without the optimizer's.
        packed_bytes: of the file that `save_packed` writes, or None for a model that it refuses.
        packed_float16_bytes: the same with `float_dtype="float16"`.
        not_packed: why there are no packed sizes, else "".
        lce_bytes: of the Larq Compute Engine file, or None where it was not asked for.
    """

    name: str
    binary_weights: int
    other_weights: int
    latent_bytes: int
    packed_bytes: int | None
    packed_float16_bytes: int | None
    not_packed: str = ""
    lce_bytes: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """The whole record as JSON types."""
        return dataclasses.asdict(self)

    def __str__(self) -> str:
        sizes = {
            "latent variables": self.latent_bytes,
            "packed file": self.packed_bytes,
            "packed file, float16": self.packed_float16_bytes,
            "LCE file": self.lce_bytes,
        }
        lines = [
            f"{self.name}: {self.binary_weights:,} binary weights, {self.other_weights:,} others"
        ]
        for label, size in sizes.items():
            if size is not None:
                share = size / max(self.latent_bytes, 1)
                lines.append(f"  {label:<20}  {size:>13,} bytes  {share:7.2%}")
        return "\n".join(
            [*lines, *([f"  not packed: {self.not_packed}"] if self.not_packed else [])]
        )


def _elements(variable: Any) -> int:
    return math.prod(variable.shape)


def _packed_sizes(model: tf.keras.Model) -> dict[str, Any]:
    try:
        return {
            "packed_bytes": packed_size(model),
            "packed_float16_bytes": packed_size(model, "float16"),
        }
    except UserError as error:
        return {"packed_bytes": None, "packed_float16_bytes": None, "not_packed": str(error)}


def summary(
    model: tf.keras.Model, *, lce: bool = False, input_size: int | tuple[int, int] | None = None
) -> SizeSummary:
    """The sizes of a model, each counted from what would really be stored.

    Args:
        model: a built functional or sequential model.
        lce: also convert it, to know the size of its Larq Compute Engine file, which takes seconds
            to minutes. Default False.
        input_size: for `lce`, of a model built for any size, as for `burn_tf.export.to_lce`.

    Returns:
        A record whose `str` is a table.

    Raises:
        UserError: the model is not built; with `lce`, what `to_lce` raises.

    Example:
        >>> from burn_tf.backbones import ReActNetTiny
        >>> from burn_tf.convert import summary
        >>> sizes = summary(ReActNetTiny())
        >>> sizes.binary_weights, sizes.packed_bytes < sizes.latent_bytes
        (17344, True)
    """
    variables = named_weights(model).values()
    kernels = {
        variable_key(layer.kernel)
        for layer in binary_layers(model)
        if getattr(getattr(layer, "kernel_quantizer", None), "precision", 32) == 1
    }
    counts = [_elements(variable) for variable in variables]
    binary = sum(_elements(v) for v in variables if variable_key(v) in kernels)
    lce_bytes = None
    if lce:
        from burn_tf.export import to_lce

        lce_bytes = to_lce(model, input_size=input_size).report.size_bytes
    return SizeSummary(
        name=model.name,
        binary_weights=binary,
        other_weights=sum(counts) - binary,
        latent_bytes=sum(_elements(v) * v.dtype.size for v in variables),
        lce_bytes=lce_bytes,
        **_packed_sizes(model),
    )
