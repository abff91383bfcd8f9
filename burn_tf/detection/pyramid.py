"""Feature pyramids of backbones: levels P3 to P5 of the network, P3 to P7 for the heads."""

from __future__ import annotations

import tensorflow as tf

from burn_tf._checks import UserError, check_integer
from burn_tf._compat import is_functional
from burn_tf.backbones import end_points

# What KerasCV's RetinaNet asks a backbone for.
BACKBONE_LEVELS = ("P3", "P4", "P5")


def pyramid_backbone(backbone: tf.keras.Model, image_size: int, *, seed: int = 0) -> tf.keras.Model:
    """A copy of a backbone that ends in its pyramid levels, as KerasCV's detectors take it.

    P_n is the last block's output at stride 2^n. A network that ends at a finer level, as the tiny
    ones do, is continued by 3 x 3 convolutions of stride 2 with ReLU, of as many channels, in
    float32.

    Args:
        backbone: functional model of this package; it stays as it is and shares nothing.
        image_size: side in pixels, at least 32.
        seed: of the start values of added convolutions, at least 0.

    Returns:
        A model from float images [B, S, S, channels] to {"P3": .., "P4": .., "P5": ..}, of
        ceil(S / 2^n) pixels a side; `pyramid_level_inputs` maps levels to names of layers.

    Raises:
        UserError: no Keras model of named blocks, or one without a level that P3 could come from.

    Example:
        >>> from burn_tf.backbones import ReActNetTiny
        >>> from burn_tf.detection import pyramid_backbone
        >>> levels = pyramid_backbone(ReActNetTiny(stem_strides=2), 60).output_shape
        >>> {name: shape[1:] for name, shape in levels.items()}
        {'P3': (8, 8, 64), 'P4': (4, 4, 64), 'P5': (2, 2, 64)}

    Source: Lin et al., Feature Pyramid Networks, arXiv 1612.03144; the added levels follow
        RetinaNet's P6 and P7, arXiv 1708.02002.
    Departs from source: the added levels.
    """
    check_integer("image_size", image_size, low=32)
    named = _named_levels(backbone)
    copy = _resized_copy(backbone, image_size)
    outputs = {level: copy.get_layer(name).output for level, name in named.items()}
    _add_coarser(outputs, named, seed)
    model = tf.keras.Model(
        copy.inputs, {level: outputs[level] for level in BACKBONE_LEVELS}, name=backbone.name
    )
    model.pyramid_level_inputs = {level: named[level] for level in BACKBONE_LEVELS}
    return model


def _named_levels(backbone: tf.keras.Model) -> dict[str, str]:
    found = end_points(backbone) if _is_image_model(backbone) else {}
    if not {"P2", "P3"} & set(found):
        name = getattr(backbone, "name", getattr(backbone, "__name__", backbone))
        raise UserError(
            "`backbone` must be a backbone of this package with a block that ends at stride 4 or "
            f"8, such as reactnet_a. Received: {name!r} with the levels {sorted(found) or 'none'}"
        )
    return found


def _is_image_model(backbone: tf.keras.Model) -> bool:
    shape = backbone.input_shape if is_functional(backbone) else None
    return isinstance(shape, tuple) and len(shape) == 4


def _resized_copy(backbone: tf.keras.Model, image_size: int) -> tf.keras.Model:
    images = tf.keras.Input((image_size, image_size, backbone.input_shape[-1]))
    copy = tf.keras.models.clone_model(backbone, input_tensors=images)
    copy.set_weights(backbone.get_weights())
    copy.trainable = True
    return copy


def _add_coarser(outputs: dict[str, tf.Tensor], named: dict[str, str], seed: int) -> None:
    """Continues the coarsest level that there is up to P5."""
    for number in range(3, 6):
        if f"P{number}" in outputs:
            continue
        finer = outputs[f"P{number - 1}"]
        name = f"added_P{number}"
        outputs[f"P{number}"] = tf.keras.layers.Conv2D(
            finer.shape[-1],
            3,
            2,
            "same",
            activation="relu",
            kernel_initializer=tf.keras.initializers.GlorotUniform(seed + number),
            name=name,
        )(finer)
        named[f"P{number}"] = name


def feature_pyramid(
    levels: dict[str, tuple[int, int, int]], width: int = 256, *, seed: int = 0
) -> tf.keras.Model:
    """Top-down pathway from P3..P5 to five maps of `width` channels.

        M5 = 1x1(P5),  M_n = 1x1(P_n) + up(M_(n + 1)),  out_n = 3x3(M_n)  for n = 3, 4, 5
        out_6 = 3x3(P5, stride 2),  out_7 = 3x3(ReLU(out_6), stride 2)

    up repeats every pixel twice and leaves out the last row or column where the finer map has an
    odd number of them.

    Args:
        levels: height, width and channels of "P3", "P4" and "P5".
        width: channels of the maps, at least 1. Default 256 (the paper's).
        seed: of the start values, at least 0.

    Returns:
        A model from {"P3": .., "P4": .., "P5": ..} to the list out_3 .. out_7.

    Example:
        >>> from burn_tf.detection import feature_pyramid
        >>> sides = {"P3": (5, 5, 8), "P4": (3, 3, 8), "P5": (2, 2, 16)}
        >>> [shape[1:] for shape in feature_pyramid(sides, 4).output_shape]
        [(5, 5, 4), (3, 3, 4), (2, 2, 4), (1, 1, 4), (1, 1, 4)]

    Source: Lin et al., arXiv 1612.03144 and (P6, P7) RetinaNet, arXiv 1708.02002; as in KerasCV.
    Departs from source: odd sizes, where KerasCV's pyramid fails.
    """
    check_integer("width", width, low=1)
    inputs = {name: tf.keras.Input(levels[name], name=name) for name in BACKBONE_LEVELS}

    def convolved(x: tf.Tensor, size: int, stride: int, name: str) -> tf.Tensor:
        initial = tf.keras.initializers.GlorotUniform(seed + int(name[-1]) + 10 * size)
        layer = tf.keras.layers.Conv2D(
            width, size, stride, "same", kernel_initializer=initial, name=name
        )
        return layer(x)

    merged = {5: convolved(inputs["P5"], 1, 1, "lateral_5")}
    for number in (4, 3):
        side = convolved(inputs[f"P{number}"], 1, 1, f"lateral_{number}")
        above = _upsampled(merged[number + 1], side, f"up_{number}")
        merged[number] = tf.keras.layers.Add(name=f"merge_{number}")([side, above])
    maps = [convolved(merged[number], 3, 1, f"out_{number}") for number in (3, 4, 5)]
    maps.append(convolved(inputs["P5"], 3, 2, "out_6"))
    maps.append(convolved(tf.keras.layers.ReLU(name="relu_6")(maps[3]), 3, 2, "out_7"))
    return tf.keras.Model(inputs, maps, name="feature_pyramid")


def _upsampled(coarse: tf.Tensor, fine: tf.Tensor, name: str) -> tf.Tensor:
    x = tf.keras.layers.UpSampling2D(2, name=name)(coarse)
    extra = [(0, x.shape[axis] - fine.shape[axis]) for axis in (1, 2)]
    return (
        tf.keras.layers.Cropping2D(tuple(extra), name=f"{name}_crop")(x)
        if any(cut for _, cut in extra)
        else x
    )
