"""What became of every binary layer of a model on its way into a file."""

from __future__ import annotations

import dataclasses
import json
from typing import Any


@dataclasses.dataclass(frozen=True)
class LayerReport:
    """One binary layer.

    Args:
        name: The Keras layer's name.
        became_binary: Whether an operator of the file has exactly this layer's signs.
        reason: The operator and the type of its weights, or why there is none.
        macs: Multiply-accumulates for one image; 0 where the layer's output shape is unknown.
        binary_bytes: Bytes of the layer's weights in the file; 0 when it stayed float.
    """

    name: str
    became_binary: bool
    reason: str
    macs: int
    binary_bytes: int


@dataclasses.dataclass(frozen=True)
class ExportReport:
    """Every binary layer, the operators of the file and its size.

    Args:
        runtime: "lce" or "litert": what runs the file.
        layers: One `LayerReport` per binary layer, in the model's order.
        operators: Operator name -> how often it occurs, read from the file's bytes.
        size_bytes: Size of the file.
        float_weight_bytes: Size of the model's variables as float32, for comparison.
        notes: What was changed before the conversion, in words.
    """

    runtime: str
    layers: tuple[LayerReport, ...]
    operators: dict[str, int]
    size_bytes: int
    float_weight_bytes: int
    notes: tuple[str, ...] = ()

    @property
    def num_binary(self) -> int:
        """How many layers became binary operators."""
        return sum(layer.became_binary for layer in self.layers)

    def stayed_float(self) -> tuple[LayerReport, ...]:
        """The binary layers that the file computes in float."""
        return tuple(layer for layer in self.layers if not layer.became_binary)

    def to_dict(self) -> dict[str, Any]:
        """The whole report as JSON types."""
        return dataclasses.asdict(self) | {"num_binary": self.num_binary}

    def to_json(self) -> str:
        """The whole report as indented JSON."""
        return json.dumps(self.to_dict(), indent=2, sort_keys=True)

    def __str__(self) -> str:
        width = max((len(layer.name) for layer in self.layers), default=0)
        lines = [
            f"{self.num_binary} of {len(self.layers)} binary layers are binary operators; "
            f"{self.size_bytes:,} bytes, float32 weights are {self.float_weight_bytes:,}"
        ]
        for layer in self.layers:
            state = "binary" if layer.became_binary else "FLOAT "
            lines.append(
                f"  {layer.name:<{width}}  {state}  {layer.macs:>13,} MACs  {layer.reason}"
            )
        return "\n".join([*lines, *self.notes])
