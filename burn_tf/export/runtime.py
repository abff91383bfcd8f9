"""The runtime that a file needs, and one class over both: LCE's interpreter and LiteRT's."""

from __future__ import annotations

from typing import Any

import numpy as np

from burn_tf._checks import UserError, check_choice, check_integer
from burn_tf.export.flatbuffer import read_flatbuffer
from burn_tf.export.interpreters import INTERPRETERS, PACKAGES, RUNTIMES, import_runtime
from burn_tf.export.kernels import Kernels, kernels_of

# With some ten thousand the runtimes end the process.
MOST_THREADS = 1024
_LCE_PREFIX = "Lce"


def _lce_operators(flatbuffer: bytes) -> dict[str, int]:
    counts = read_flatbuffer(flatbuffer).counts()
    return {name: count for name, count in counts.items() if name.startswith(_LCE_PREFIX)}


def runtime_of(flatbuffer: bytes) -> str:
    """The runtime that a file needs, told from its operators.

    Args:
        flatbuffer: Bytes of a .tflite file.

    Returns:
        "lce" where any operator is the Larq Compute Engine's, else "litert".

    Raises:
        UserError: the bytes are not a whole TFLite file.

    Example:
        >>> from burn_tf import export
        >>> from burn_tf.backbones import ReActNetTiny
        >>> export.runtime.runtime_of(export.to_lce(ReActNetTiny((16, 16, 3))).flatbuffer)
        'lce'

    Source: ours.
    Departs from source: none.
    """
    return "lce" if _lce_operators(flatbuffer) else "litert"


def _check_runtime(flatbuffer: bytes, wanted: str | None) -> str:
    """The file's runtime; raises where another one is asked for."""
    found = _lce_operators(flatbuffer)
    needed = "lce" if found else "litert"
    if wanted is None or check_choice("runtime", wanted, RUNTIMES) == needed:
        return needed
    if found:
        listed = ", ".join(f"{count} {name}" for name, count in sorted(found.items()))
        raise UserError(
            f"the file has operators of the Larq Compute Engine ({listed}), which LiteRT, TFLite, "
            "Play services and browsers lack. Run it with LCE (Python: pip install "
            "larq-compute-engine and runtime='lce'; Android: LCE's AAR), or export it for the "
            f"stock runtime, iOS too, with target litert. Received: runtime={wanted!r}"
        )
    raise UserError(
        "the file has built-in operators only and none of the Larq Compute Engine's. Run it with "
        "the stock runtime (Python: pip install ai-edge-litert and runtime='litert'; Android: Play "
        "services or the LiteRT AAR; iOS: TensorFlowLiteSwift), or export it with target lce. "
        f"Received: runtime={wanted!r}"
    )


class Runtime:
    """A file, loaded in its runtime. Made by `load_runtime`, which checks the file first.

    Args:
        flatbuffer: Bytes of the file.
        name: "lce" or "litert".
        num_threads: Threads of the interpreter.
    """

    def __init__(self, flatbuffer: bytes, name: str, num_threads: int = 1) -> None:
        self.name, self._flatbuffer = name, flatbuffer
        self._interpreter = INTERPRETERS[name](flatbuffer, num_threads)
        if len(self._interpreter.inputs) != 1 or self._interpreter.inputs[0].shape[:1] != (1,):
            shapes = [tensor.shape for tensor in self._interpreter.inputs]
            raise UserError(f"the file must take one image at a time. Received: inputs {shapes}")
        self._interpreter.put(np.zeros(self.input_shape, self.input_dtype))

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of the input, [1, H, W, C]."""
        return self._interpreter.inputs[0].shape

    @property
    def input_dtype(self) -> np.dtype[Any]:
        """Type of the input's values."""
        return self._interpreter.inputs[0].dtype

    @property
    def input_quantization(self) -> tuple[float, int]:
        """Scale and zero point of an integer input; scale 0 where it has none."""
        return self._interpreter.inputs[0].scale, self._interpreter.inputs[0].zero_point

    @property
    def output_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shape of every output."""
        return tuple(tensor.shape for tensor in self._interpreter.outputs)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of the first output."""
        return self.output_shapes[0]

    def run(self, images: np.ndarray) -> np.ndarray:
        """The output for every image.

        Args:
            images: [N, H, W, C], N at least 1, in the file's own type.

        Returns:
            float32 [N, ...]; integer outputs are multiplied out with the file's scale.

        Raises:
            UserError: `images` do not fit, or the file has more than one output.
        """
        if len(self._interpreter.outputs) != 1:
            raise UserError(
                "`run` gives the one output of a file: use `run_all`. "
                f"Received: a file of {len(self._interpreter.outputs)} outputs"
            )
        return self.run_all(images)[0]

    def run_all(self, images: np.ndarray) -> tuple[np.ndarray, ...]:
        """As `run`, for files with several outputs: one array [N, ...] per output."""
        rows = [self._run_one(image[np.newaxis]) for image in self._checked(images)]
        return tuple(np.stack(column) for column in zip(*rows, strict=True))

    def invoke(self) -> None:
        """Run the file once on the last image, at first one of zeros; for timing."""
        self._interpreter.invoke()

    def kernels(self) -> Kernels:
        """Which kernels run this file on this machine."""
        return kernels_of(self._flatbuffer, self.name, self._interpreter.nodes())

    def _checked(self, images: np.ndarray) -> np.ndarray:
        images = np.asarray(images)
        if images.dtype.kind == self.input_dtype.kind == "f":
            images = images.astype(self.input_dtype, copy=False)
        wanted = self.input_shape[1:]
        fits = images.shape[1:] == wanted and images.dtype == self.input_dtype and len(images)
        if not fits or images.ndim != len(wanted) + 1:
            raise UserError(
                f"`images` must be {self.input_dtype} [N, {', '.join(map(str, wanted))}], as the "
                f"file takes them. Received: {images.dtype} {list(images.shape)}"
            )
        return images

    def _run_one(self, image: np.ndarray) -> list[np.ndarray]:
        self._interpreter.put(image)
        self._interpreter.invoke()
        outputs = zip(self._interpreter.outputs, self._interpreter.take(), strict=True)
        real = [tensor.real(values) for tensor, values in outputs]
        return [values[0] if values.shape[:1] == (1,) else values for values in real]


def load_runtime(flatbuffer: bytes, *, num_threads: int = 1, runtime: str | None = None) -> Runtime:
    """Load a file in the runtime that it needs.

    Args:
        flatbuffer: Bytes of a .tflite file for one image at a time.
        num_threads: Threads of the interpreter, 1 to 1,024; default 1 (the runtimes' own).
        runtime: "lce" or "litert" to insist on one; None (default) takes the one that fits.

    Returns:
        The loaded file, whose `run` takes images in the file's own type.

    Raises:
        UserError: no whole TFLite file; the other runtime is needed; its package is not installed;
            the runtime refuses the file.

    Example:
        >>> import numpy as np
        >>> from burn_tf import backbones, export
        >>> from burn_tf.export.runtime import load_runtime
        >>> model = backbones.ReActNetTiny(input_shape=(16, 16, 3), classes=10)
        >>> loaded = load_runtime(export.to_lce(model).flatbuffer)
        >>> loaded.run(np.zeros([2, 16, 16, 3], np.float32)).shape
        (2, 10)

    Source: Bannink et al., Larq Compute Engine (MLSys 2021, arXiv 2011.09398); LiteRT.
    Departs from source: none.
    """
    check_integer("num_threads", num_threads, low=1, high=MOST_THREADS)
    name = _check_runtime(flatbuffer, runtime)
    import_runtime(name)
    try:
        return Runtime(bytes(flatbuffer), name, num_threads)
    except UserError:
        raise
    except (RuntimeError, ValueError) as error:
        first_line = str(error).strip().partition("\n")[0]
        raise UserError(
            f"{PACKAGES[name]} refuses the file: export it again, or install a newer "
            f"{PACKAGES[name]}. Received: {first_line}"
        ) from error
