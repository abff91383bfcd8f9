"""The networks of the importable checkpoints in plain PyTorch, under their authors' names.

They know nothing of Keras: torch pads with zeros on every side, and its sign(0) is 0.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="these tests run PyTorch (burn_tf[torch])")
nn = torch.nn
Module: Any = nn.Module

# Copies of the 1x1 convolution and stride, per block.
BLOCKS = [(2, 1), (2, 2), (1, 1), (2, 2), (1, 1), (2, 2), *[(1, 1)] * 5, (2, 2), (1, 1)]


class Shift(Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x: Any) -> Any:
        return x + self.bias


class BinaryConv(Module):
    """Weights as step 2 keeps them: binary in use, 4-D or, `flat`, one column."""

    def __init__(self, inputs: int, outputs: int, size: int, stride: int, flat: bool) -> None:
        super().__init__()
        self.shape = (outputs, inputs, size, size)
        self.stride, self.padding = stride, size // 2
        values = torch.empty(self.shape)
        if flat:
            self.weights = nn.Parameter(values.reshape(-1, 1))
        else:
            self.weight = nn.Parameter(values)

    def forward(self, x: Any) -> Any:
        latent = self.weights if hasattr(self, "weights") else self.weight
        latent = latent.reshape(self.shape)
        kernel = latent.sign() * latent.abs().mean(dim=(1, 2, 3), keepdim=True)
        return nn.functional.conv2d(x, kernel, stride=self.stride, padding=self.padding)


def convolution(inputs: int, outputs: int, size: int, stride: int, weights: str) -> Any:
    """`weights`: "real", "binary" or "flat", which is binary and saved as a column."""
    if weights == "real":
        return nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False)
    return BinaryConv(inputs, outputs, size, stride, weights == "flat")


class ReActNetStem(Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, channels, 3, 2, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)

    def forward(self, x: Any) -> Any:
        return self.bn1(self.conv1(x))


class ReActNetBlock(Module):
    def __init__(self, channels: int, copies: int, stride: int, weights: str) -> None:
        super().__init__()
        wide = channels * copies
        self.move11 = Shift(channels)
        self.binary_3x3 = convolution(channels, channels, 3, stride, weights)
        self.bn1 = nn.BatchNorm2d(channels)
        self.move12, self.move13 = Shift(channels), Shift(channels)
        self.prelu1 = nn.PReLU(channels)
        self.move21 = Shift(channels)
        self.pairs = (
            [("binary_pw", "bn2")]
            if copies == 1
            else [("binary_pw_down1", "bn2_1"), ("binary_pw_down2", "bn2_2")]
        )
        for conv, norm in self.pairs:
            setattr(self, conv, convolution(channels, channels, 1, 1, weights))
            setattr(self, norm, nn.BatchNorm2d(channels))
        self.move22, self.move23 = Shift(wide), Shift(wide)
        self.prelu2 = nn.PReLU(wide)
        self.shortcut = nn.AvgPool2d(2, 2) if stride == 2 else nn.Identity()

    def forward(self, x: Any) -> Any:
        y = self.bn1(self.binary_3x3(self.move11(x).sign())) + self.shortcut(x)
        y = self.move13(self.prelu1(self.move12(y)))
        signs = self.move21(y).sign()
        parts = [getattr(self, norm)(getattr(self, conv)(signs)) + y for conv, norm in self.pairs]
        return self.move23(self.prelu2(self.move22(torch.cat(parts, dim=1))))


class ReActNet(Module):
    """ReActNet-A `channels / 32` as wide; `fc` is what follows the pooling."""

    def __init__(self, weights: str, channels: int = 8) -> None:
        super().__init__()
        self.feature = nn.ModuleList([ReActNetStem(channels)])
        for copies, stride in BLOCKS:
            self.feature.append(ReActNetBlock(channels, copies, stride, weights))
            channels *= copies
        self.width = channels
        self.fc = nn.Identity()

    def maps(self, x: Any) -> list[Any]:
        """What the stem and every block give."""
        maps = []
        for part in self.feature:
            x = part(x)
            maps.append(x)
        return maps

    def forward(self, x: Any) -> Any:
        return self.fc(self.maps(x)[-1].mean(dim=(2, 3)))


class Classifier(Module):
    """BURN's."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.fc0 = nn.Linear(inputs, width)
        self.bn0 = nn.BatchNorm1d(width)
        self.fc1 = nn.Linear(width, width)

    def forward(self, x: Any) -> Any:
        return self.fc1(self.bn0(self.fc0(x)).relu())


class ResidualBlock(Module):
    """Of convolutions (size, outputs / width, whether it strides)."""

    def __init__(
        self, inputs: int, width: int, stride: int, convolutions: list[tuple[int, int, bool]]
    ) -> None:
        super().__init__()
        self.count = len(convolutions)
        outputs = inputs
        for index, (size, factor, strides) in enumerate(convolutions, start=1):
            before, outputs = outputs, width * factor
            step = stride if strides else 1
            conv = nn.Conv2d(before, outputs, size, step, size // 2, bias=False)
            setattr(self, f"conv{index}", conv)
            setattr(self, f"bn{index}", nn.BatchNorm2d(outputs))
        self.downsample = None
        if stride > 1 or inputs != outputs:
            conv = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.downsample = nn.Sequential(conv, nn.BatchNorm2d(outputs))

    def forward(self, x: Any) -> Any:
        y = x
        for index in range(1, self.count + 1):
            y = getattr(self, f"bn{index}")(getattr(self, f"conv{index}")(y))
            y = y.relu() if index < self.count else y
        return (y + (x if self.downsample is None else self.downsample(x))).relu()


KINDS = {
    18: ([2, 2, 2, 2], [(3, 1, True), (3, 1, False)]),
    50: ([3, 4, 6, 3], [(1, 1, False), (3, 1, True), (1, 4, False)]),
}


class ResNet(Module):
    """torchvision's, `channels / 64` as wide."""

    def __init__(self, depth: int, channels: int = 8) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, channels, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        counts, convolutions = KINDS[depth]
        inputs = channels
        for stage, count in enumerate(counts, start=1):
            width, blocks = channels * 2 ** (stage - 1), []
            for index in range(count):
                stride = 2 if stage > 1 and index == 0 else 1
                blocks.append(ResidualBlock(inputs, width, stride, convolutions))
                inputs = width * convolutions[-1][1]
            setattr(self, f"layer{stage}", nn.Sequential(*blocks))
        self.width = inputs
        self.fc = nn.Identity()

    def forward(self, x: Any) -> Any:
        x = self.maxpool(self.bn1(self.conv1(x)).relu())
        for stage in range(1, 5):
            x = getattr(self, f"layer{stage}")(x)
        return self.fc(x.mean(dim=(2, 3)))


def projector(inputs: int, outputs: int) -> Any:
    """MoCo v2's head."""
    return nn.Sequential(nn.Linear(inputs, inputs), nn.ReLU(), nn.Linear(inputs, outputs))


def randomise(module: Any, seed: int = 0) -> Any:
    """Values with which every tensor matters; in evaluation mode and double precision.

    They are those of float32, so that a saved file holds them exactly.
    """
    generator = torch.Generator().manual_seed(seed)
    tensors = module.state_dict()
    with torch.no_grad():
        for name, tensor in tensors.items():
            parent, _, own = name.rpartition(".")
            if own == "num_batches_tracked":
                tensor.fill_(7)
            elif own == "running_var" or (own == "weight" and f"{parent}.running_var" in tensors):
                tensor.uniform_(0.5, 1.5, generator=generator)
            elif own == "weights":
                tensor.normal_(0, 0.1, generator=generator)
            elif own == "weight" and tensor.ndim > 1:
                tensor.normal_(0, (2 / tensor[0].numel()) ** 0.5, generator=generator)
            else:
                tensor.normal_(0, 0.3, generator=generator)
    return module.double().eval()


def state(module: Any, prefix: str = "") -> dict[str, Any]:
    """The tensors as a training script of float32 would save them."""
    return {
        prefix + name: tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in module.state_dict().items()
    }


def optimizer_state() -> dict[str, Any]:
    """What a training script keeps of Adam."""
    parameter = nn.Parameter(torch.ones(3))
    adam = torch.optim.Adam([parameter])
    parameter.sum().backward()
    adam.step()
    state: dict[str, Any] = adam.state_dict()
    return state


def save(content: Any, path: Path) -> Path:
    torch.save(content, path)
    return path
