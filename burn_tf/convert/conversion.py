"""From a checkpoint of PyTorch to Keras models that give the same numbers."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import tensorflow as tf

from burn_tf._checks import UserError, check_choice
from burn_tf._files import atomic_path
from burn_tf.convert.checkpoint import Checkpoint, Fact, read_checkpoint
from burn_tf.convert.layouts import LAYOUTS, fitting_layouts, get_layout, guess_layout
from burn_tf.convert.request import Request, check_input_size
from burn_tf.convert.rules import Plan, check_fit, fill

_SUFFIX = ".keras"
# Saved beside the weights by any training script, and of no use to another optimizer.
_TRAINING_STATE = ("optimizer.", "scheduler.", "lr_scheduler.", "scaler.")


@dataclasses.dataclass(frozen=True)
class Converted:
    """A converted checkpoint.

    Args:
        layout: one of `LAYOUTS`.
        guessed: whether the layout was guessed.
        backbone: the network, from float images [B, H, W, 3] as normalised for the original.
        heads: what the file holds beside it: "classifier" and "teacher_classifier" (BURN),
            "projector" (S2-BNN, MoCo v2).
        dropped: known tensors that are no part of these, such as an optimizer's state.
        notes: what a user should know.
        facts: plain values of the file, such as the epoch.
    """

    layout: str
    guessed: bool
    backbone: tf.keras.Model
    heads: dict[str, tf.keras.Model]
    dropped: list[str]
    notes: list[str]
    facts: dict[str, Fact]

    def save(self, path: str | os.PathLike[str]) -> tuple[Path, ...]:
        """Write the backbone to `path`, and each head beside it as `NAME.HEAD.keras`.

        Returns:
            The files written, each whole or not at all.

        Raises:
            UserError: `path` does not end in `.keras`, or cannot be written.
        """
        target = Path(path)
        if target.suffix != _SUFFIX:
            raise UserError(f"`path` must end in {_SUFFIX!r}. Received: {os.fspath(path)!r}")
        models = {target: self.backbone}
        for name, head in self.heads.items():
            models[target.with_name(f"{target.stem}.{name}{_SUFFIX}")] = head
        for file, model in models.items():
            _save(model, file)
        return tuple(models)


def _save(model: tf.keras.Model, file: Path) -> None:
    try:
        with atomic_path(file) as temporary:
            model.save(temporary)
    except OSError as error:
        raise UserError(
            f"cannot write {os.fspath(file)!r}: {error.strerror or error}; choose another `path`"
        ) from error


def _chosen(given: Checkpoint, layout: str | None) -> str:
    if layout is None:
        return guess_layout(given.tensors, Path(given.source).name)
    return check_choice("layout", layout, LAYOUTS)


def _checked(plan: Plan, given: Checkpoint, name: str) -> None:
    """Raise unless the plan uses every tensor; name the layout that would fit, if one does."""
    fault = check_fit(plan, given)
    if not fault:
        return
    others = [other for other in fitting_layouts(given.tensors) if other != name]
    hint = f"; it looks like {' or '.join(others)}" if others else ""
    raise UserError(f"{given.source!r} does not fit layout {name!r}{hint}. Received: {fault}")


def convert_checkpoint(
    path: str | os.PathLike[str],
    layout: str | None = None,
    *,
    input_size: int | tuple[int, int] | None = 224,
    include_top: bool | None = None,
    include_preprocessing: bool = False,
) -> Converted:
    """Read a PyTorch checkpoint into Keras models that compute the same.

    Every tensor of the file is used exactly once, or the error lists what is missing and what is
    left over. Binary networks get mirrored kernels and a first layer that turns images by 180
    degrees (`burn_tf.layers.Rotate180`), so that Keras' strides sample where PyTorch's do; callers
    feed ordinary images.

    Args:
        path: `.pth`, `.pt` or `.pth.tar` (needs the extra `torch`), `.safetensors`, or one of them
            in `.xz`.
        layout: one of `LAYOUTS`, or None (default) to guess it from the tensors' names.
        input_size: pixels, a side or (height, width). Binary networks take multiples of 32 and one
            less than those; float ones also None, any size. Default 224.
        include_top: end in the classification layer. Default None: where the file has one.
        include_preprocessing: EfficientNet-Lite0 alone: begin with a layer that takes images of
            `burn_tf.data.preprocess_input`. Default False: as the original, (pixel - 127) / 128.

    Returns:
        Backbone and heads, and what was dropped.

    Raises:
        UserError: a file that cannot be read or does not fit, or an `input_size` on which Keras
            cannot equal the original.

    Example:
        >>> from burn_tf.convert import convert_checkpoint  # doctest: +SKIP
        >>> converted = convert_checkpoint("burn_stage2.pth", "burn_stage2")  # doctest: +SKIP
        >>> features = converted.backbone(images)  # doctest: +SKIP
    """
    if layout is not None:
        check_choice("layout", layout, LAYOUTS)
    sides = check_input_size(input_size)
    given = read_checkpoint(path)
    name = _chosen(given, layout)
    if include_preprocessing and name != "efficientnet_lite0":
        raise UserError(
            "`include_preprocessing` must be False but for efficientnet_lite0: the others take "
            f"images of burn_tf.data.preprocess_input. Received: {include_preprocessing}"
        )
    extras = [tensor for tensor in given.tensors if tensor.startswith(_TRAINING_STATE)]
    request = Request(given.tensors, sides, include_top, include_preprocessing)
    plan = get_layout(name).plan(request)
    plan.dropped = sorted({*plan.dropped, *extras})
    _checked(plan, given, name)
    fill(plan, given)
    return Converted(
        layout=name,
        guessed=layout is None,
        backbone=plan.backbone,
        heads=plan.heads,
        dropped=plan.dropped,
        notes=plan.notes,
        facts=given.facts,
    )
