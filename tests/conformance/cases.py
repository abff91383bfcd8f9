"""How to build a small instance of every public class, and what to feed it.

A public class that is missing here is a red test (`test_registry.py`). To add one, name its
constructor with arguments that differ from the defaults, and the shapes of its inputs.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from burn_tf import backbones, layers, losses, methods, optimizers, schedules

Shape = tuple[int, ...]
SIZE = 8
IMAGES = (4, SIZE, SIZE, 3)


def numbers(name: str, *shape: int) -> np.ndarray:
    """Fixed normal numbers that depend on the name and shape alone."""
    seed = zlib.crc32(f"{name}{shape}".encode())
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@dataclasses.dataclass(frozen=True)
class LayerCase:
    """A layer or model: one input, split over replicas along its batch (None: given to all)."""

    build: Callable[[], Any]
    shape: Shape = IMAGES
    batch_axis: int | None = 0
    # Error that half precision may bring, relative to the output's spread. Rounding flips the sign
    # of a few activations, hence binary networks may be further off.
    half_tolerance: float = 0.02
    formats: tuple[str, ...] = (".keras", ".h5")


@dataclasses.dataclass(frozen=True)
class LossCase:
    """A loss: shapes of `y_true` and `y_pred`, and the axis of each that runs over the batch."""

    build: Callable[[], Any]
    shapes: tuple[Shape, Shape]
    batch_axes: tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Built:
    """A schedule or optimizer."""

    build: Callable[[], Any]


@dataclasses.dataclass(frozen=True)
class MethodCase:
    """A method: how many views of SIZE x SIZE pixels it learns from, and classes of labels."""

    build: Callable[[], Any]
    views: int
    labels: int = 0


def _binary_net(units: int = 6, size: int | None = SIZE) -> tf.keras.Model:
    """One binary block: methods are tested here, and each step of theirs runs many networks."""
    inputs = x = tf.keras.Input((size, size, 3))
    for layer in (
        layers.BinaryConv2D(units, 3, binarize="none", name="stem"),
        layers.BatchNorm(name="norm_1"),
        layers.RSign(name="sign"),
        layers.BinaryConv2D(units, 3, strides=2, name="conv"),
        layers.BatchNorm(name="norm_2"),
        layers.RPReLU(name="act"),
        tf.keras.layers.GlobalAveragePooling2D(name="pool"),
    ):
        x = layer(x)
    return tf.keras.Model(inputs, x, name="binary_net")


LAYERS = {
    "BatchNorm": LayerCase(lambda: layers.BatchNorm(momentum=0.7, epsilon=1e-3)),
    "BinaryConv2D": LayerCase(
        lambda: layers.BinaryConv2D(4, (3, 1), strides=2, binarize="activations", pad_values=0.0)
    ),
    "Prototypes": LayerCase(lambda: methods.Prototypes(5), shape=(8, 6)),
    "RPReLU": LayerCase(lambda: layers.RPReLU()),
    "RSign": LayerCase(lambda: layers.RSign(estimator="ste")),
    "Rotate180": LayerCase(lambda: layers.Rotate180()),
    "ScaledSign": LayerCase(lambda: layers.ScaledSign(), shape=(3, 3, 4, 5), batch_axis=None),
}
BUILDERS = {
    "mlp_head": LayerCase(lambda: layers.mlp_head(6, [8], 5, norm="layer", bias=False), (8, 6)),
    "burn_classifier": LayerCase(lambda: layers.burn_classifier(6, 5, hidden_dim=7), (8, 6)),
    "set_binarize": LayerCase(
        lambda: backbones.set_binarize(_binary_net(), "both"),
        half_tolerance=0.2,
    ),
    "EfficientNetLite0": LayerCase(
        lambda: backbones.EfficientNetLite0((32, 32, 3), classes=3, width=0.25),
        (4, 32, 32, 3),
    ),
    "ReActNetA": LayerCase(
        lambda: backbones.ReActNetA((32, 32, 3), classes=3, width=0.25, estimator="ste"),
        (4, 32, 32, 3),
        half_tolerance=0.2,
    ),
    "ReActNetTiny": LayerCase(
        lambda: backbones.ReActNetTiny((16, 16, 3), classes=3, pad_values=0.0, embedding_units=9),
        (4, 16, 16, 3),
        half_tolerance=0.2,
        formats=(".keras", ".h5", ""),
    ),
    "ResNet18": LayerCase(
        lambda: backbones.ResNet18((16, 16, 3), classes=3, width=0.125, small_image_stem=True),
        (4, 16, 16, 3),
    ),
    "ResNet50": LayerCase(
        lambda: backbones.ResNet50((32, 32, 3), include_top=False, pooling="avg", width=0.125),
        (4, 32, 32, 3),
    ),
}
LOSSES = {
    "KLDivergenceLoss": LossCase(
        lambda: losses.KLDivergenceLoss(temperature=0.5, direction="student_target"),
        ((4, 6), (4, 6)),
        (0, 0),
    ),
    "FeatureSimilarityLoss": LossCase(
        lambda: losses.FeatureSimilarityLoss(kind="l2"), ((4, 6), (4, 6)), (0, 0)
    ),
    "CentroidLoss": LossCase(lambda: losses.CentroidLoss(name="c"), ((3, 4, 6),) * 2, (1, 1)),
    "SingularValueLoss": LossCase(
        lambda: losses.SingularValueLoss(name="s"), ((4,), (3, 4, 6)), (0, 1)
    ),
    "BrownianLoss": LossCase(lambda: losses.BrownianLoss(name="b"), ((4, 6), (3, 4, 6)), (0, 1)),
    "NTXentLoss": LossCase(lambda: losses.NTXentLoss(temperature=0.5), ((4,), (3, 4, 6)), (0, 1)),
    "SwappedPredictionLoss": LossCase(
        lambda: losses.SwappedPredictionLoss(temperature=0.5), ((2, 4, 6), (3, 4, 6)), (1, 1)
    ),
    "BarlowTwinsLoss": LossCase(
        lambda: losses.BarlowTwinsLoss(redundancy_weight=0.1), ((8,), (3, 8, 6)), (0, 1)
    ),
    "VICRegLoss": LossCase(
        lambda: losses.VICRegLoss(2.0, 3.0, 0.5, form="equation_5"), ((4,), (3, 4, 6)), (0, 1)
    ),
    "WMSELoss": LossCase(lambda: losses.WMSELoss(epsilon=0.1), ((8,), (3, 8, 4)), (0, 1)),
    "UniformityLoss": LossCase(lambda: losses.UniformityLoss(t=3.0), ((4,), (4, 6)), (0, 0)),
    "AlignmentLoss": LossCase(lambda: losses.AlignmentLoss(alpha=3.0), ((4, 6), (4, 6)), (0, 0)),
    "SoftCrossEntropyLoss": LossCase(
        lambda: losses.SoftCrossEntropyLoss(temperature=0.5), ((4, 6), (4, 6)), (0, 0)
    ),
}
SCHEDULES = {
    "FeatureWeight": Built(lambda: schedules.FeatureWeight(9, start=0.5, end=0.1, kind="step")),
    "EMADecay": Built(lambda: schedules.EMADecay(9, base=0.5, end=0.9)),
    "WarmupCosine": Built(lambda: schedules.WarmupCosine(0.5, 2, 9, end=0.1)),
}
OPTIMIZERS = {
    "LARS": Built(
        lambda: optimizers.LARS(
            0.25,
            momentum=0.5,
            lars_weight_decay=0.1,
            trust_coefficient=0.5,
            exempt=["stem"],
            nesterov=True,
            clipnorm=2.0,
        )
    ),
    "FusedAdam": Built(
        lambda: optimizers.FusedAdam(
            0.25, beta_1=0.5, beta_2=0.75, epsilon=1e-3, weight_decay=0.1, global_clipnorm=2.0
        )
    ),
    "SteadySGD": Built(
        lambda: optimizers.SteadySGD(
            0.25, momentum=0.5, steady_rate=0.3, weight_decay=0.1, clipnorm=2.0
        )
    ),
}
METHODS = {
    "BURN": MethodCase(
        lambda: methods.BURN(
            _binary_net(),
            _binary_net(8),
            num_outputs=12,
            hidden_dim=8,
            temperature=0.5,
            total_steps=4,
            regularizer=methods.EmbeddingRegularizer(0.1, 0.1, 0.1, uniformity=0.1),
            seed=3,
        ),
        views=2,
    ),
    "MSBReg": MethodCase(
        lambda: methods.MSBReg(_binary_net(), hidden_dim=8, embedding_dim=6, total_steps=4, seed=3),
        views=3,
    ),
    "BYOL": MethodCase(
        lambda: methods.BYOL(_binary_net(), hidden_dim=8, embedding_dim=6, total_steps=4, seed=3),
        views=2,
    ),
    "MoCoV2": MethodCase(
        lambda: methods.MoCoV2(
            _binary_net(), hidden_dim=8, embedding_dim=6, queue_size=16, symmetric=True, seed=3
        ),
        views=2,
    ),
    "InfoMin": MethodCase(
        lambda: methods.InfoMin(
            _binary_net(size=None), hidden_dim=8, embedding_dim=6, queue_size=16, seed=3
        ),
        views=3,
    ),
    "S2BNN": MethodCase(
        lambda: methods.S2BNN(
            _binary_net(),
            _binary_net(8),
            layers.mlp_head(8, [], 6),
            mode="both",
            hidden_dim=8,
            contrast={"queue_size": 16},
            seed=3,
        ),
        views=2,
    ),
    "SwAV": MethodCase(
        lambda: methods.SwAV(
            _binary_net(), hidden_dim=8, embedding_dim=6, num_prototypes=10, queue_size=16
        ),
        views=3,
    ),
    "SimCLRV2": MethodCase(
        lambda: methods.SimCLRV2(_binary_net(), hidden_dim=8, embedding_dim=6, temperature=0.5),
        views=2,
    ),
    "SimSiam": MethodCase(
        lambda: methods.SimSiam(_binary_net(), hidden_dim=8, embedding_dim=6, predictor_dim=4),
        views=2,
    ),
    "BarlowTwins": MethodCase(
        lambda: methods.BarlowTwins(_binary_net(), hidden_dim=8, embedding_dim=6),
        views=2,
    ),
    "VICReg": MethodCase(
        lambda: methods.VICReg(_binary_net(), hidden_dim=8, embedding_dim=6, variance_weight=5.0),
        views=2,
    ),
    "WMSE": MethodCase(
        lambda: methods.WMSE(_binary_net(), hidden_dim=8, embedding_dim=3, epsilon=0.1),
        views=2,
    ),
    "Supervised": MethodCase(
        lambda: methods.Supervised(_binary_net(), num_classes=3, seed=3), views=2, labels=3
    ),
}
# Records and tools that are neither saved nor trained, and bases that cannot be built.
PLAIN = {
    "BatchSizes",
    "BatchShare",
    "BiasCorrectedEMA",
    "EmbeddingRegularizer",
    "FrozenTeacher",
    "KeyQueue",
    "LossScale",
    "MacCount",
    "MovingAverage",
    "MultiStage",
    "Stage",
    "StepTerms",
}
ABSTRACT = {"JointEmbedding", "MomentumMethod", "SSLMethod"}
SERIALIZABLE: dict[str, Any] = {**LAYERS, **LOSSES, **SCHEDULES, **OPTIMIZERS}


# Built of the same blocks as their small siblings, at several times the cost.
DEEP = {"ReActNetA", "ResNet50"}


def deep_ones_slow(names: Iterable[str]) -> list[Any]:
    """Test parameters; those of deep networks are left to `-m slow`."""
    return [pytest.param(n, marks=pytest.mark.slow) if n in DEEP else n for n in names]


def build(case: Any) -> Any:
    """A new instance; the same weights every time, none of them at its initial value."""
    tf.keras.utils.set_random_seed(0)
    thing = case.build()
    if isinstance(case, LayerCase):
        thing(tf.zeros(case.shape))
        weights = thing.get_weights()
        rng = np.random.default_rng(0)
        moved = [w + 0.1 * np.abs(rng.standard_normal(w.shape)).astype(w.dtype) for w in weights]
        thing.set_weights(moved)
    return thing
