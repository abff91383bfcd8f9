"""From a recipe's plain values to networks, methods and optimizers."""

from __future__ import annotations

import dataclasses
from typing import Any

import tensorflow as tf

from burn_tf import backbones, methods
from burn_tf._checks import UserError, check_choice
from burn_tf.methods import SSLMethod
from burn_tf.methods.micro_batches import check_accumulation
from burn_tf.optimizers import LARS, FusedAdam, SteadySGD
from burn_tf.recipes.base import Network, Recipe
from burn_tf.recipes.options import (
    BURNOptions,
    BYOLOptions,
    MoCoV2Options,
    MSBRegOptions,
    S2BNNOptions,
    SupervisedOptions,
    SwAVOptions,
)
from burn_tf.schedules import EMADecay, FeatureWeight, WarmupCosine
from burn_tf.training.effective_batch import peak_rate

_REACTNETS = {"reactnet_a": backbones.ReActNetA, "reactnet_tiny": backbones.ReActNetTiny}
_RESNETS = {"resnet18": backbones.ResNet18, "resnet50": backbones.ResNet50}
BACKBONES = (*_REACTNETS, *_RESNETS)


def build_backbone(network: Network, image_size: int | None, binarize: str) -> tf.keras.Model:
    """The backbone [B, S, S, 3] -> [B, D]; float networks accept only `binarize="none"`.

    Without an `image_size` it takes images of any size.
    """
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


def join_head(backbone: tf.keras.Model, head: tf.keras.Model) -> tf.keras.Model:
    """Both as one model, from [B, H, W, 3] to the head's outputs [B, C].

    Raises:
        UserError: for a head that takes vectors of another length.
    """
    given, taken = backbone.output_shape[-1], head.input_shape[-1]
    if given != taken:
        raise UserError(
            "`teacher.head` must take the vectors that `teacher.weights` gives. "
            f"Received: {taken} and {given} elements"
        )
    return tf.keras.Model(backbone.inputs, head(backbone.output), name=f"{backbone.name}_with_head")


def build_method(
    recipe: Recipe,
    teacher: tf.keras.Model | None,
    total_steps: int,
    *,
    teacher_head: tf.keras.Model | None = None,
    num_classes: int | None = None,
    given_features: bool = False,
) -> SSLMethod:
    """The recipe's method in its first stage, on freshly initialised networks.

    With `given_features` batches bring the teacher's features, and the teacher does not run.

    Raises:
        UserError: when the method needs a teacher, a head or classes that are not given, cannot
            learn from the recipe's views, or not from its batch.
    """
    size = None if recipe.any_size else recipe.views.image_size
    backbone = build_backbone(recipe.backbone, size, recipe.stages[0])
    if recipe.method.teacher and teacher is None:
        raise UserError(
            f"{recipe.method.method} needs a teacher: set teacher.recipe or teacher.weights. "
            "Received: none"
        )
    networks: dict[str, Any] = {"teacher": teacher} if recipe.method.teacher else {}
    if recipe.method.teacher == "projector":
        networks["teacher_head"] = teacher_head
    if recipe.method.labels:
        networks["num_classes"] = num_classes
    if given_features:
        networks["given_features"] = True
    arguments = method_arguments(recipe, total_steps)
    method = getattr(methods, recipe.method.method)(backbone, **networks, **arguments)
    if not recipe.method.labels:
        count = recipe.views.num_views + recipe.views.local_views
        method.check_views(2 * count if given_features else count)
    method.check_batch(recipe.batch_size)
    check_accumulation(method, recipe.batch_size, recipe.accumulate)
    return method


def method_arguments(recipe: Recipe, total_steps: int) -> dict[str, Any]:
    """The method's constructor arguments, its networks left out."""
    options, settings = recipe.method, dataclasses.asdict(recipe.method)
    if isinstance(options, BURNOptions):
        settings = _burn_settings(settings, total_steps)
    elif isinstance(options, (MSBRegOptions, BYOLOptions)):
        settings["ema_decay"] = EMADecay(total_steps, base=settings.pop("ema_base"))
    elif isinstance(options, MoCoV2Options):
        settings["ema_decay"] = _constant_decay(settings["ema_decay"], total_steps)
    elif isinstance(options, S2BNNOptions):
        names = ("queue_size", "symmetric", "moving_statistics")
        contrast = {name: settings.pop(name) for name in names}
        contrast["ema_decay"] = _constant_decay(settings.pop("ema_decay"), total_steps)
        settings["contrast"] = contrast
    elif isinstance(options, SupervisedOptions):
        settings = {}
    if options.multicrop and (recipe.views.local_views or isinstance(options, SwAVOptions)):
        settings["global_views"] = recipe.views.num_views
    elif recipe.views.local_views:
        raise UserError(
            "`views.local_views` must be 0: only BYOL, MSBReg and SwAV learn from small views. "
            f"Received: {recipe.views.local_views} with {options.method}"
        )
    regularizer = _regularizer(recipe)
    if regularizer is not None:
        settings["regularizer"] = regularizer
    return {**settings, "total_steps": total_steps, "seed": recipe.seed}


def _burn_settings(settings: dict[str, Any], total_steps: int) -> dict[str, Any]:
    settings.pop("restart_teacher_classifier")
    weight = {name: settings.pop(f"feature_weight_{name}") for name in ("start", "end", "kind")}
    return {**settings, "feature_weight": FeatureWeight(total_steps, **weight)}


def _constant_decay(decay: float, total_steps: int) -> EMADecay:
    return EMADecay(total_steps, base=decay, end=decay)


def _regularizer(recipe: Recipe) -> methods.EmbeddingRegularizer | None:
    """What the recipe adds to the method's own terms, if anything."""
    weights = dataclasses.asdict(recipe.regularizer)
    return methods.EmbeddingRegularizer(**weights) if any(weights.values()) else None


def build_optimizer(
    recipe: Recipe, steps_per_epoch: int, total_steps: int
) -> tf.keras.optimizers.Optimizer:
    """The recipe's optimizer with linear warm-up and cosine decay over `total_steps` updates."""
    config = recipe.optimizer
    warmup = min(round(config.warmup_epochs * steps_per_epoch), total_steps - 1)
    rate = WarmupCosine(peak_rate(recipe), warmup_steps=warmup, total_steps=total_steps)
    if config.name == "lars":
        return LARS(
            rate,
            momentum=config.momentum,
            lars_weight_decay=config.weight_decay,
            exempt_rate=config.exempt_rate,
        )
    decay = config.weight_decay or None
    if config.name == "sgd" and config.steady_predictor:
        return SteadySGD(
            rate, momentum=config.momentum, steady_rate=peak_rate(recipe), weight_decay=decay
        )
    if config.name == "sgd":
        return tf.keras.optimizers.SGD(rate, momentum=config.momentum, weight_decay=decay)
    return FusedAdam(rate, weight_decay=decay)
