"""What the ImageNet recipes share: networks, and optimizers as papers give them."""

from __future__ import annotations

from burn_tf.recipes.base import Network, Optimizer, Recipe, Teacher, Views
from burn_tf.recipes.options import MethodOptions

RESNET18 = Network("resnet18")
_MOMENTUM = 0.9


def imagenet_recipe(
    name: str,
    method: MethodOptions,
    views: Views,
    optimizer: Optimizer,
    batch_size: int,
    epochs: int,
    *,
    binary: bool = False,
    teacher: Teacher | None = None,
) -> Recipe:
    """A recipe for a ResNet-50 of floats, or for ReActNet-A in two stages of `epochs` each."""
    return Recipe(
        name=name,
        method=method,
        backbone=Network("reactnet_a" if binary else "resnet50"),
        views=views,
        optimizer=optimizer,
        batch_size=batch_size,
        epochs=epochs,
        stages=("activations", "both") if binary else ("none",),
        teacher=teacher,
        precision="mixed_bfloat16",
    )


def lars(rate: float, views: Views, weight_decay: float, warmup_epochs: float = 10) -> Optimizer:
    """LARS with the papers' peak rate `rate` * batch / 256, whatever the number of views."""
    return Optimizer(
        "lars",
        learning_rate=_rate_of_a_view(rate, views),
        scale_rate=True,
        warmup_epochs=warmup_epochs,
        weight_decay=weight_decay,
    )


def sgd(rate: float, views: Views, weight_decay: float) -> Optimizer:
    """SGD with momentum 0.9 and peak rate `rate` * batch / 256, without warm-up.

    The papers' decay is part of the gradient, and momentum adds it up to 1 / (1 - momentum) times;
    the decay of `Optimizer` goes past the momentum and is given as much more.
    """
    return Optimizer(
        "sgd",
        learning_rate=_rate_of_a_view(rate, views),
        scale_rate=True,
        weight_decay=weight_decay / (1.0 - _MOMENTUM),
        momentum=_MOMENTUM,
    )


def _rate_of_a_view(rate: float, views: Views) -> float:
    # Optimizer.scale_rate multiplies by the number of views, as MSBReg does.
    return rate / (views.num_views + views.local_views)
