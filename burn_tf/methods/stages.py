"""Training in stages: first binary activations alone, then binary weights too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from burn_tf._checks import UserError, check_choice
from burn_tf.backbones import set_binarize
from burn_tf.methods.base import SSLMethod

BINARIZE_MODES = ("none", "activations", "both")


class MultiStage:
    """Runs a method once per stage, handing every network's weights to the next stage.

    For BURN that is the paper's modified multi-stage training: stage 1 binarises activations, stage
    2 activations and weights, and k, l AND g go on from where stage 1 left them. The optimizer, the
    update count and lambda(t) start anew.

    Args:
        method: the method with its networks before the first stage.
        modes: what is binary in each stage, each "none", "activations" or "both"; the default is
            the paper's two stages.
        restart: names of networks of the method that start each later stage at random instead of
            being handed over: ("teacher_classifier",) is the usual scheme that the paper improves
                on.

    Raises:
        UserError: for an unknown mode, or a name in `restart` that is not a network of the method.

    Example:
        >>> backbone = burn_tf.backbones.ReActNetTiny((16, 16, 3), include_top=False, pooling="avg")
        >>> method = burn_tf.methods.MSBReg(backbone, hidden_dim=8, embedding_dim=8)
        >>> [stage.method.update_step.numpy() for stage in [MultiStage(method).stage(0)]]
        [0]

    Source: Kim & Choi, CVPR 2022, sec. 3.4 and Alg. 1, arXiv 2110.08851.
    Departs from source: none.
    """

    def __init__(
        self,
        method: SSLMethod,
        modes: Sequence[str] = ("activations", "both"),
        restart: Sequence[str] = (),
    ) -> None:
        if not modes:
            raise UserError("`modes` must name at least one stage. Received: ()")
        self.modes = tuple(check_choice("modes", mode, BINARIZE_MODES) for mode in modes)
        for name in restart:
            if not isinstance(getattr(method, name, None), tf.keras.Model):
                raise UserError(f"`restart` must name networks of the method. Received: {name!r}")
        self.restart = tuple(restart)
        self.method = method

    def stage(self, index: int) -> Stage:
        """Stage `index`, made from the current method; its method becomes current."""
        self.method = next_stage(
            self.method, self.modes[index], restart=self.restart if index > 0 else ()
        )
        return Stage(index, self.modes[index], self.method)

    def run(self, train: Callable[[Stage], Any]) -> list[Any]:
        """Call `train(stage)`, which compiles and fits `stage.method`, for each stage in turn."""
        return [train(self.stage(index)) for index in range(len(self.modes))]


class Stage:
    """One stage: its number from 0, what is binary in it, and the method to compile and fit."""

    def __init__(self, index: int, binarize: str, method: SSLMethod) -> None:
        self.index = index
        self.binarize = binarize
        self.method = method


def next_stage(
    method: SSLMethod,
    binarize: str,
    restart: Sequence[str] = (),
    total_steps: int | None = None,
) -> SSLMethod:
    """The same method with its backbone in another mode, all weights kept, update count at 0.

    A target network of the method changes its mode with the backbone. Averages and queues go on
    from where they are, but for a `restart`, with which they start anew. `total_steps` sets the
    length of the new stage, where it differs, in the method and in its schedules.
    """
    config = method.get_config()
    if total_steps is not None:
        config["total_steps"] = total_steps
        for settings in (config, config.get("contrast", {})):
            for name in {"feature_weight", "ema_decay"} & settings.keys():
                settings[name]["config"]["total_steps"] = total_steps
    for name in ("backbone", "target_backbone"):
        network = getattr(method, name, None)
        if network is not None:
            config[name] = tf.keras.saving.serialize_keras_object(set_binarize(network, binarize))
    following = type(method).from_config(config)
    for name in _network_names(method):
        if name not in restart:
            getattr(following, name).set_weights(getattr(method, name).get_weights())
    if not restart:
        for old, new in zip(method.carried_state(), following.carried_state(), strict=True):
            new.assign(old.numpy())
    return following


def _network_names(method: SSLMethod) -> list[str]:
    layers = [layer for layer in method.layers if isinstance(layer, tf.keras.layers.Layer)]
    return [name for name, value in vars(method).items() if any(value is layer for layer in layers)]
