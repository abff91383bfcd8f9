"""From a recipe's plain values to networks, methods and optimizers."""

from __future__ import annotations

import dataclasses
from typing import Any

import tensorflow as tf

from burn_tf import backbones
from burn_tf._checks import UserError, check_choice
from burn_tf.methods import BURN, BYOL, MSBReg, SSLMethod
from burn_tf.optimizers import LARS, FusedAdam
from burn_tf.recipes.base import BURNOptions, MSBRegOptions, Network, Recipe
from burn_tf.schedules import EMADecay, FeatureWeight, WarmupCosine, scaled_learning_rate

_REACTNETS = {"reactnet_a": backbones.ReActNetA, "reactnet_tiny": backbones.ReActNetTiny}
_RESNETS = {"resnet18": backbones.ResNet18, "resnet50": backbones.ResNet50}
BACKBONES = (*_REACTNETS, *_RESNETS)


def build_backbone(network: Network, image_size: int, binarize: str) -> tf.keras.Model:
    """The backbone [B, S, S, 3] -> [B, D]; float networks accept only `binarize="none"`."""
    check_choice("backbone.name", network.name, BACKBONES)
    common: dict[str, Any] = {
        "input_shape": (image_size, image_size, 3),
        "include_top": False,
        "pooling": "avg",
        "width": network.width,
    }
    if network.name in _RESNETS:
        if binarize != "none":
            raise UserError(
                f"{network.name} is a float network: its recipe needs `stages`=none. "
                f"Received: {binarize}"
            )
        return _RESNETS[network.name](**common, small_image_stem=network.small_image_stem)
    return _REACTNETS[network.name](
        **common,
        binarize=binarize,
        stem_strides=network.stem_strides,
        pad_values=network.pad_values,
        estimator=network.estimator,
        embedding_units=network.embedding_units,
    )


def enlarge_images(model: tf.keras.Model, image_size: int, enlarged_size: int) -> tf.keras.Model:
    """The model behind a bilinear enlargement of square images: [B, S, S, 3] -> [B, D]."""
    images = tf.keras.Input((image_size, image_size, 3))
    enlarged = tf.keras.layers.Resizing(enlarged_size, enlarged_size, name="enlarge")(images)
    return tf.keras.Model(images, model(enlarged), name=f"{model.name}_at_{enlarged_size}")


def build_method(recipe: Recipe, teacher: tf.keras.Model | None, total_steps: int) -> SSLMethod:
    """The recipe's method in its first stage, on freshly initialised networks."""
    backbone = build_backbone(recipe.backbone, recipe.views.image_size, recipe.stages[0])
    options = recipe.method
    if isinstance(options, BURNOptions):
        if teacher is None:
            raise UserError("BURN needs a teacher: set teacher.recipe or teacher.weights")
        return _build_burn(recipe, options, backbone, teacher, total_steps)
    settings = dataclasses.asdict(options)
    decay = EMADecay(total_steps=total_steps, base=settings.pop("ema_base"))
    method = MSBReg if isinstance(options, MSBRegOptions) else BYOL
    return method(backbone, ema_decay=decay, total_steps=total_steps, seed=recipe.seed, **settings)


def _build_burn(
    recipe: Recipe,
    options: BURNOptions,
    backbone: tf.keras.Model,
    teacher: tf.keras.Model,
    total_steps: int,
) -> BURN:
    weight = FeatureWeight(
        start=options.feature_weight_start,
        end=options.feature_weight_end,
        kind=options.feature_weight_kind,
        total_steps=total_steps,
    )
    names = ("num_outputs", "hidden_dim", "temperature", "feature_loss", "kl_direction")
    settings = {
        name: getattr(options, name) for name in (*names, "feature_projection", "view_pairing")
    }
    return BURN(
        backbone,
        teacher,
        feature_weight=weight,
        total_steps=total_steps,
        seed=recipe.seed,
        **settings,
    )


def build_optimizer(
    recipe: Recipe, steps_per_epoch: int, total_steps: int
) -> tf.keras.optimizers.Optimizer:
    """The recipe's optimizer with linear warm-up and cosine decay over `total_steps` updates."""
    config = recipe.optimizer
    peak = config.learning_rate
    if config.scale_rate:
        peak = scaled_learning_rate(peak, recipe.batch_size, recipe.views.num_views)
    warmup = min(round(config.warmup_epochs * steps_per_epoch), total_steps - 1)
    rate = WarmupCosine(peak, warmup_steps=warmup, total_steps=total_steps)
    if config.name == "lars":
        return LARS(rate, momentum=config.momentum, lars_weight_decay=config.weight_decay)
    if config.name == "sgd":
        return tf.keras.optimizers.SGD(
            rate, momentum=config.momentum, weight_decay=config.weight_decay or None
        )
    return FusedAdam(rate, weight_decay=config.weight_decay or None)
