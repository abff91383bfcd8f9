"""Named protocols: the identifier in a result says exactly how it was measured."""

from __future__ import annotations

from collections.abc import Callable

from burn_tf._checks import check_choice
from burn_tf.evaluation.fast_linear import FastLinearProbe
from burn_tf.evaluation.knn import KNNProbe
from burn_tf.evaluation.linear import LinearProbe
from burn_tf.evaluation.semi_supervised import SemiSupervised

Protocol = LinearProbe | FastLinearProbe | KNNProbe | SemiSupervised


def _burn() -> LinearProbe:
    return LinearProbe("linear:burn")


def _burn_scene() -> LinearProbe:
    return LinearProbe(
        "linear:burn-scene",
        learning_rate=0.01,
        epochs=28,
        decay_epochs=(7, 14, 21),
        weight_decay=1e-5,
    )


def _msbreg() -> LinearProbe:
    return LinearProbe("linear:msbreg", learning_rate=0.2, weight_decay=1e-4)


PROTOCOLS: dict[str, Callable[[], Protocol]] = {
    "linear:burn": _burn,
    "linear:burn-scene": _burn_scene,
    "linear:msbreg": _msbreg,
    "linear:fast": FastLinearProbe,
    "knn:5": lambda: KNNProbe(5),
    "knn:20": lambda: KNNProbe(20),
    "knn:200": lambda: KNNProbe(200),
    "semi:1pct": lambda: SemiSupervised("semi:1pct", 0.01),
    "semi:10pct": lambda: SemiSupervised("semi:10pct", 0.1),
}


def get_protocol(name: str) -> Protocol:
    """A new probe with the settings that `name` stands for.

    Args:
        name: One of `PROTOCOLS`: `linear:burn` (objects), `linear:burn-scene`, `linear:msbreg`,
            `linear:fast` (ours, closed form), `knn:5`, `knn:20`, `knn:200`, `semi:1pct`,
            `semi:10pct`.

    Raises:
        UserError: unknown name; the message shows the nearest one.

    Example:
        >>> from burn_tf.evaluation import get_protocol
        >>> get_protocol("knn:20").k
        20

    Source: BURN and MSBReg; methods.md, section 4.
    Departs from source: see the probes.
    """
    check_choice("protocol", name, PROTOCOLS)
    return PROTOCOLS[name]()
