"""Multi-layer perceptrons on top of a backbone's features."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from burn_tf._checks import check_choice, check_integer
from burn_tf.layers.batch_norm import BatchNorm

NORMS = ("batch", "layer", "none")


def _norm(kind: str, name: str) -> tf.keras.layers.Layer | None:
    if kind == "batch":
        return BatchNorm(name=name)
    return tf.keras.layers.LayerNormalization(epsilon=1e-5, name=name) if kind == "layer" else None


def mlp_head(
    input_dim: int,
    hidden_dims: Sequence[int],
    output_dim: int,
    norm: str = "batch",
    bias: bool = True,
    output_norm: bool = False,
    name: str = "mlp_head",
) -> tf.keras.Model:
    """Projector or predictor: (Dense - norm - ReLU) for each hidden layer, then Dense.

    Args:
        input_dim: features that come in, >= 1.
        hidden_dims: width of each hidden layer; empty for one linear map.
        output_dim: width of the output, >= 1.
        norm: "batch" (default, the papers'), "layer" (MSBReg Table 13) or "none".
        bias: whether the Dense layers have one. Default True (the authors').
        output_norm: whether a layer of kind `norm` follows the last Dense. Default False; True in
            SimSiam's projector (Chen & He 2021, sec. 4) and SimCLR v2's.
        name: the model's name.

    Returns:
        A functional model from [B, input_dim] to [B, output_dim]; the output is float32 or wider.

    Raises:
        UserError: a width below 1 or an unknown `norm`.

    Example:
        >>> from burn_tf.layers import mlp_head
        >>> mlp_head(512, [512], 128).output_shape
        (None, 128)

    Source: BYOL, Grill et al., 2020, sec. 3.3; MSBReg, Moon et al., sec. 4 and Table 13.
    Departs from source: none.
    """
    check_choice("norm", norm, NORMS)
    inputs = x = tf.keras.Input([check_integer("input_dim", input_dim, low=1)], name="features")
    for index, width in enumerate(hidden_dims):
        check_integer("hidden_dims", width, low=1)
        x = tf.keras.layers.Dense(width, use_bias=bias, name=f"hidden_{index}")(x)
        layer = _norm(norm, f"norm_{index}")
        x = x if layer is None else layer(x)
        x = tf.keras.layers.ReLU(name=f"relu_{index}")(x)
    check_integer("output_dim", output_dim, low=1)
    x = tf.keras.layers.Dense(output_dim, use_bias=bias, name="output")(x)
    layer = _norm(norm, "output_norm") if output_norm else None
    x = x if layer is None else layer(x)
    if tf.as_dtype(x.dtype).size < 4:
        # Losses take softmax and norms of this, for which half precision is too coarse.
        x = tf.keras.layers.Activation("linear", dtype="float32", name="output_float32")(x)
    return tf.keras.Model(inputs, x, name=name)


def burn_classifier(
    input_dim: int, num_outputs: int = 2000, hidden_dim: int = 2000, name: str = "burn_classifier"
) -> tf.keras.Model:
    """BURN's classifier g or l: Dense - BatchNorm - ReLU - Dense, with biases.

    Args:
        input_dim: features that come in (D_t for g, D_s for l).
        num_outputs: C. Default 2000 (the authors' code).
        hidden_dim: width of the hidden layer. Default 2000 (the authors' code).
        name: the model's name.

    Returns:
        A functional model from [B, input_dim] to logits [B, num_outputs], float32 or wider.

    Raises:
        UserError: a width below 1.

    Example:
        >>> from burn_tf.layers import burn_classifier
        >>> burn_classifier(1024).output_shape
        (None, 2000)

    Source: BURN, Kim and Choi, CVPR 2022, sec. 3.1, arXiv 2110.08851; widths: the authors' code.
    Departs from source: none.
    """
    return mlp_head(input_dim, [hidden_dim], num_outputs, norm="batch", bias=True, name=name)
