"""One BURN training step in plain PyTorch modules: what `train_step.py` compares with.

Eager float32 `nn.Module`s in PyTorch's default layout, written from the description of the method
the way a careful user would: the sign functions are `autograd.Function`s that keep one tensor for
the backward pass, point-wise operations use PyTorch's own kernels, the teacher runs in inference
mode. Nothing of burn_tf is imported.

Run alone (needs only torch) it times itself and prints one JSON line:

    python benchmarks/torch_reference.py --image_size=224 --batch_size=16 --steps=3
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional

TEMPERATURE = 0.2
REACTNET_CHANNELS = (64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
RESNET50_STAGES = ((3, 64), (4, 128), (6, 256), (3, 512))


class ApproxSign(torch.autograd.Function):
    """sign(u) forward; (2 - 2|u|) for |u| < 1 backward."""

    @staticmethod
    def forward(ctx: Any, u: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(u)
        return u.sign()

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:
        (u,) = ctx.saved_tensors
        return grad * (2 - 2 * u.abs()).clamp_(min=0)


class ScaledSign(torch.autograd.Function):
    """sign(w) * mean|w| per output channel forward; 1 for |w| <= 1 backward."""

    @staticmethod
    def forward(ctx: Any, w: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(w)
        return w.sign() * w.abs().mean(dim=(1, 2, 3), keepdim=True)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:
        (w,) = ctx.saved_tensors
        return grad * (w.abs() <= 1)


def _per_channel(channels: int, value: float = 0.0) -> nn.Parameter:
    return nn.Parameter(torch.full((1, channels, 1, 1), value))


class RSign(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.shift = _per_channel(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return ApproxSign.apply(x + self.shift)


class RPReLU(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.shift_in = _per_channel(channels)
        self.prelu = nn.PReLU(channels)
        self.shift_out = _per_channel(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.prelu(x + self.shift_in) + self.shift_out


class BinaryConv(nn.Conv2d):
    def __init__(self, c_in: int, c_out: int, kernel: int, stride: int = 1) -> None:
        super().__init__(c_in, c_out, kernel, stride, padding=kernel // 2, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight = ScaledSign.apply(self.weight)
        return functional.conv2d(x, weight, stride=self.stride, padding=self.padding)


class ReActBlock(nn.Module):
    def __init__(self, c_in: int, c_out: int, stride: int) -> None:
        super().__init__()
        self.sign_in, self.conv = RSign(c_in), BinaryConv(c_in, c_in, 3, stride)
        self.norm = nn.BatchNorm2d(c_in)
        self.pool = nn.AvgPool2d(2) if stride == 2 else nn.Identity()
        self.act_in = RPReLU(c_in)
        self.sign_out = RSign(c_in)
        self.points = nn.ModuleList(BinaryConv(c_in, c_in, 1) for _ in range(c_out // c_in))
        self.norms = nn.ModuleList(nn.BatchNorm2d(c_in) for _ in range(c_out // c_in))
        self.act_out = RPReLU(c_out)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a = self.act_in(self.norm(self.conv(self.sign_in(x))) + self.pool(x))
        signs = self.sign_out(a)
        branches = [n(p(signs)) + a for p, n in zip(self.points, self.norms, strict=True)]
        return self.act_out(branches[0] if len(branches) == 1 else torch.cat(branches, dim=1))


class ReActNetA(nn.Module):
    """Features [B, 1024]; the stem samples every second pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 32, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(32)
        )
        blocks, c_in = [], 32
        for c_out in REACTNET_CHANNELS:
            blocks.append(ReActBlock(c_in, c_out, 2 if c_out > c_in > 32 else 1))
            c_in = c_out
        self.blocks = nn.Sequential(*blocks)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.blocks(self.stem(x)).mean(dim=(2, 3))


class Bottleneck(nn.Module):
    def __init__(self, c_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(c_in, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(width), nn.ReLU(inplace=True),
            nn.Conv2d(width, 4 * width, 1, bias=False), nn.BatchNorm2d(4 * width),
        )  # fmt: skip
        self.shortcut = nn.Identity()
        if stride != 1 or c_in != 4 * width:
            self.shortcut = nn.Sequential(
                nn.Conv2d(c_in, 4 * width, 1, stride, bias=False), nn.BatchNorm2d(4 * width)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.relu(self.body(x) + self.shortcut(x), inplace=True)


class ResNet50(nn.Module):
    """Features [B, 2048]."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False),
            nn.BatchNorm2d(64), nn.ReLU(inplace=True), nn.MaxPool2d(3, stride=2, padding=1),
        )  # fmt: skip
        blocks, c_in = [], 64
        for stage, (repeats, width) in enumerate(RESNET50_STAGES):
            for i in range(repeats):
                blocks.append(Bottleneck(c_in, width, 2 if stage and not i else 1))
                c_in = 4 * width
        self.blocks = nn.Sequential(*blocks)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.blocks(self.stem(x)).mean(dim=(2, 3))


def classifier(features: int, hidden: int = 2000, outputs: int = 2000) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(features, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, outputs)
    )


class BurnStep(nn.Module):
    """The four networks, and the loss of one batch of one view."""

    def __init__(self, total_steps: int = 1000) -> None:
        super().__init__()
        self.teacher, self.student = ResNet50().eval(), ReActNetA()
        self.teacher.requires_grad_(False)
        self.teacher_head, self.student_head = classifier(2048), classifier(1024)
        self.projection = nn.Linear(1024, 2048, bias=False)
        self.total_steps = total_steps

    def feature_weight(self, step: int, start: float = 0.9, end: float = 0.7) -> float:
        return end - (end - start) * (math.cos(math.pi * step / self.total_steps) + 1) / 2

    def forward(self, images: torch.Tensor, step: int) -> torch.Tensor:
        with torch.no_grad():
            target_features = self.teacher(images)
        features = self.student(images)
        target = functional.log_softmax(self.teacher_head(target_features) / TEMPERATURE, dim=1)
        logits = functional.log_softmax(self.student_head(features) / TEMPERATURE, dim=1)
        divergence = functional.kl_div(logits, target, reduction="batchmean", log_target=True)
        cosine = functional.cosine_similarity(target_features, self.projection(features)).mean()
        weight = self.feature_weight(step)
        return (1 - weight) * divergence + weight * (1 - cosine)


def time_steps(
    image_size: int, batch_size: int, steps: int, warmup: int, bfloat16: bool, fused: bool
) -> list[float]:
    """Seconds of each timed step; every step waits for its loss value, as a training log does."""
    torch.manual_seed(0)
    model = BurnStep()
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(trained, lr=3e-4, fused=fused)
    images = torch.randn(batch_size, 3, image_size, image_size)
    seconds = []
    for step in range(warmup + steps):
        begin = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bfloat16):
            loss = model(images, step)
        loss.backward()
        optimizer.step()
        if not math.isfinite(loss.item()):
            raise FloatingPointError(f"the loss became {loss.item()} at step {step}")
        seconds.append(time.perf_counter() - begin)
    return seconds[warmup:]


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--image_size", type=int, default=224)
    parser.add_argument("--batch_size", type=int, default=16)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--warmup", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--bfloat16", action="store_true", help="CPU autocast to bfloat16")
    parser.add_argument("--fused", action="store_true", help="Adam's fused kernel")
    flags = parser.parse_args(argv)
    torch.set_num_threads(flags.threads)
    seconds = time_steps(
        flags.image_size, flags.batch_size, flags.steps, flags.warmup, flags.bfloat16, flags.fused
    )
    print(json.dumps({"images_per_second": [flags.batch_size / s for s in seconds]}))


if __name__ == "__main__":
    main()
