"""A narrow ReActNet-A in the names of the authors' checkpoints, with random weights."""

from __future__ import annotations

import numpy as np

STEM = 8
BLOCKS = tuple(STEM * k for k in (2, 4, 4, 8, 8, 16, 16, 16, 16, 16, 16, 32, 32))


class _Tensors(dict[str, np.ndarray]):
    def __init__(self, seed: int) -> None:
        super().__init__()
        self.random = np.random.default_rng(seed)

    def draw(self, name: str, *shape: int) -> None:
        self[name] = self.random.normal(size=shape).astype(np.float32)

    def norm(self, name: str, channels: int) -> None:
        for part in ("weight", "bias", "running_mean"):
            self.draw(f"{name}.{part}", channels)
        self[f"{name}.running_var"] = self.random.uniform(0.5, 2, channels).astype(np.float32)
        self[f"{name}.num_batches_tracked"] = np.array(7)

    def kernel(self, name: str, channels: int, size: int, flat: bool) -> None:
        shape = (channels, channels, size, size)
        if flat:
            self.draw(f"{name}.weights", int(np.prod(shape)), 1)
        else:
            self.draw(f"{name}.weight", *shape)

    def activation(self, block: str, number: int, channels: int) -> None:
        self.draw(f"{block}.move{number}2.bias", 1, channels, 1, 1)
        self.draw(f"{block}.prelu{number}.weight", channels)
        self.draw(f"{block}.move{number}3.bias", 1, channels, 1, 1)

    def block(self, block: str, before: int, after: int, flat: bool) -> None:
        for number in (1, 2):
            self.draw(f"{block}.move{number}1.bias", 1, before, 1, 1)
        self.kernel(f"{block}.binary_3x3", before, 3, flat)
        self.norm(f"{block}.bn1", before)
        self.activation(block, 1, before)
        pairs = [("binary_pw", "bn2")]
        if after != before:
            pairs = [(f"binary_pw_down{half}", f"bn2_{half}") for half in (1, 2)]
        for conv, norm in pairs:
            self.kernel(f"{block}.{conv}", before, 1, flat)
            self.norm(f"{block}.{norm}", before)
        self.activation(block, 2, after)


def reactnet_tensors(
    prefix: str = "", *, flat: bool, dense: str, outputs: int, seed: int = 0
) -> dict[str, np.ndarray]:
    """The tensors of one checkpoint.

    Args:
        prefix: of all names.
        flat: binary kernels as columns, as ReActNet's second step has them.
        dense: name of the linear layer behind the pooling.
        outputs: of that layer.
        seed: of the weights.
    """
    tensors = _Tensors(seed)
    tensors.draw(f"{prefix}feature.0.conv1.weight", STEM, 3, 3, 3)
    tensors.norm(f"{prefix}feature.0.bn1", STEM)
    before = STEM
    for index, after in enumerate(BLOCKS, 1):
        tensors.block(f"{prefix}feature.{index}", before, after, flat)
        before = after
    tensors.draw(f"{prefix}{dense}.weight", outputs, before)
    tensors.draw(f"{prefix}{dense}.bias", outputs)
    return dict(tensors)
