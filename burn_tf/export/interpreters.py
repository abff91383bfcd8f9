"""What `Runtime` needs of an interpreter, over LiteRT's and the Larq Compute Engine's."""

from __future__ import annotations

import dataclasses
import importlib
from typing import Any, Protocol

import numpy as np

from burn_tf._checks import UserError, check_choice

RUNTIMES = ("lce", "litert")
PACKAGES = {"lce": "larq-compute-engine", "litert": "ai-edge-litert"}
_MODULES = {
    "lce": "larq_compute_engine.tflite.python.interpreter",
    "litert": "ai_edge_litert.interpreter",
}


@dataclasses.dataclass(frozen=True)
class Tensor:
    """Shape and type of an input or output; `scale` is 0 where its values are not quantised."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    scale: float
    zero_point: int

    def real(self, values: np.ndarray) -> np.ndarray:
        """The float32 numbers that values of this tensor stand for."""
        values = np.asarray(values, np.float32)
        return (values - self.zero_point) * np.float32(self.scale) if self.scale else values


class Interpreter(Protocol):
    """What `Runtime` asks of an interpreter."""

    inputs: list[Tensor]
    outputs: list[Tensor]

    def put(self, image: np.ndarray) -> None:
        """Set the image [1, H, W, C] that the next runs see."""

    def invoke(self) -> None:
        """Run once."""

    def take(self) -> list[np.ndarray]:
        """The outputs of the last run."""

    def nodes(self) -> list[dict[str, Any]]:
        """Operators and delegates as the interpreter plans to run them, where it tells."""


class LiteRTInterpreter:
    """LiteRT's interpreter with its default delegate."""

    def __init__(self, flatbuffer: bytes, num_threads: int) -> None:
        module = import_runtime("litert")
        self._interpreter = module.Interpreter(model_content=flatbuffer, num_threads=num_threads)
        self._interpreter.allocate_tensors()
        self._details = self._interpreter.get_input_details()
        self._output_details = self._interpreter.get_output_details()
        self.inputs = [self._tensor(entry) for entry in self._details]
        self.outputs = [self._tensor(entry) for entry in self._output_details]

    @staticmethod
    def _tensor(entry: dict[str, Any]) -> Tensor:
        scale, zero_point = entry["quantization"]
        shape = tuple(int(side) for side in entry["shape"])
        return Tensor(shape, np.dtype(entry["dtype"]), float(scale), int(zero_point))

    def put(self, image: np.ndarray) -> None:
        self._interpreter.set_tensor(self._details[0]["index"], image)

    def invoke(self) -> None:
        self._interpreter.invoke()

    def take(self) -> list[np.ndarray]:
        return [self._interpreter.get_tensor(entry["index"]) for entry in self._output_details]

    def nodes(self) -> list[dict[str, Any]]:
        return list(self._interpreter._get_ops_details())


class LCEInterpreter:
    """LCE's interpreter, which copies inputs and outputs in the call that runs the file."""

    def __init__(self, flatbuffer: bytes, num_threads: int) -> None:
        module = import_runtime("lce")
        self._interpreter = module.Interpreter(flatbuffer, num_threads=num_threads)
        self.inputs = self._tensors("input")
        self.outputs = self._tensors("output")
        self._results: list[np.ndarray] = []

    def _tensors(self, side: str) -> list[Tensor]:
        entries = [
            getattr(self._interpreter, f"{side}_{name}")
            for name in ("shapes", "types", "scales", "zero_points")
        ]
        return [
            Tensor(tuple(shape), np.dtype(dtype), float(scale or 0.0), int(zero_point or 0))
            for shape, dtype, scale, zero_point in zip(*entries, strict=True)
        ]

    def put(self, image: np.ndarray) -> None:
        self._image = image

    def invoke(self) -> None:
        results = self._interpreter.predict(self._image)
        self._results = results if isinstance(results, list) else [results]

    def take(self) -> list[np.ndarray]:
        return self._results

    def nodes(self) -> list[dict[str, Any]]:
        return []


def import_runtime(name: str) -> Any:
    """The module with the runtime's `Interpreter`.

    Args:
        name: "lce" or "litert".

    Raises:
        UserError: its package is not installed.
    """
    try:
        return importlib.import_module(_MODULES[check_choice("runtime", name, RUNTIMES)])
    except ImportError as error:
        raise UserError(
            f"this file runs in {PACKAGES[name]}: pip install {PACKAGES[name]}. Received: {error}"
        ) from error


INTERPRETERS: dict[str, type[LCEInterpreter] | type[LiteRTInterpreter]] = {
    "lce": LCEInterpreter,
    "litert": LiteRTInterpreter,
}
