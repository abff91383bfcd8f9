"""A moving average of weights as a target: what taking their sign does to it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from burn_tf._checks import UserError, check_integer, check_range
from burn_tf.analysis.record import Analysis, Panel
from burn_tf.report import Series

DECAYS = (0.9, 0.99, 0.996)


@dataclasses.dataclass(frozen=True)
class _Walk:
    """One decay's simulation: per update, distances between directions, float and binary.

    `lag_*` is that of target and learner, `move_*` that of the target before and after an update.
    `watched` is one weight: that of the learner, and its average.
    """

    lag_float: np.ndarray
    lag_binary: np.ndarray
    move_float: np.ndarray
    move_binary: np.ndarray
    watched: np.ndarray


def moving_average(
    updates: int = 1000,
    decays: Sequence[float] = DECAYS,
    *,
    weights: int = 10_000,
    step_size: float = 0.02,
    seed: int = 0,
) -> Analysis:
    """How far an averaged target lags behind, and moves per update, with float and binary weights.

    Latent weights of the learner walk at random, the target averages them, and a binary network
    uses the signs of both:

        w_0 ~ N(0, 1),  w_t = w_(t-1) + s n_t,  n_t ~ N(0, 1)
        m_t = tau m_(t-1) + (1 - tau) w_t,  m_0 = w_0
        lag:   || hat w_t - hat m_t ||,      with signs || hat sign(w_t) - hat sign(m_t) ||
        move:  || hat m_t - hat m_(t-1) ||,  with signs likewise                   hat v = v / ||v||

    Two Gaussian vectors at a small angle a are a apart; their signs differ in a share a / pi of the
    weights and are 2 sqrt(a / pi) apart, which is far more. The average is smooth in the latent
    weights alone: the target that a binary network computes with moves in jumps.

    Args:
        updates: at least 10.
        decays: tau, each in [0, 1). Defaults: near BYOL's and MoCo's.
        weights: their number, at least 100.
        step_size: s > 0, that of one update in standard deviations of the first weights.
        seed: of the walk.

    Returns:
        Means over the second half of the updates, and the curves.

    Raises:
        UserError: for numbers out of range, or no decay.

    Example:
        >>> from burn_tf.analysis import moving_average
        >>> row = moving_average(100, [0.9], weights=1000).rows[0]
        >>> row["lag, signs"] > 2 * row["lag, float"]
        True

    Source: the question of Kim & Choi, CVPR 2022, Fig. 5, arXiv 2110.08851.
    Departs from source: what that figure simulates was not known to us; this is our reading.
    """
    check_integer("updates", updates, low=10)
    check_integer("weights", weights, low=100)
    check_range("step_size", step_size, low=0.0, low_open=True)
    check_integer("seed", seed, low=0)
    if not decays:
        raise UserError("`decays` must hold at least one decay. Received: none")
    for decay in decays:
        check_range("decays", decay, low=0.0, high=1.0, high_open=True)
    if len(set(decays)) < len(decays):
        raise UserError(f"`decays` must not hold one twice. Received: {list(decays)}")
    walks = {decay: _walk(updates, decay, weights, step_size, seed) for decay in decays}
    return Analysis(
        kind="ema",
        title="A moving average as target, of float and of binary weights",
        settings={
            "updates": updates, "decays": list(decays), "weights": weights,
            "step_size": step_size, "seed": seed,
        },
        rows=[_row(decay, walk) for decay, walk in walks.items()],
        panels=_panels(walks),
        notes=[
            "Our reading of BURN, Fig. 5, whose simulation was not known to us: a random walk of "
            "latent weights, their moving average, and the signs of both.",
            "Distances are between vectors of length 1: 0 is the same direction, 1.41 an unrelated "
            "one. Means over the second half of the updates.",
            "Taking signs turns a small angle a between float weights into a distance of "
            "2 sqrt(a / pi): the binary target lags further behind and moves in jumps.",
        ],
    )  # fmt: skip


def _walk(updates: int, decay: float, weights: int, step_size: float, seed: int) -> _Walk:
    generator = np.random.default_rng(seed)
    learner = generator.standard_normal(weights)
    target = learner.copy()
    watched = int(np.argmin(np.abs(learner)))
    figures = np.empty((6, updates))
    for update in range(updates):
        before = target
        learner = learner + step_size * generator.standard_normal(weights)
        target = decay * target + (1.0 - decay) * learner
        figures[:, update] = (
            _distance(learner, target),
            _distance(_signs(learner), _signs(target)),
            _distance(before, target),
            _distance(_signs(before), _signs(target)),
            learner[watched],
            target[watched],
        )
    return _Walk(figures[0], figures[1], figures[2], figures[3], watched=figures[4:])


def _signs(vector: np.ndarray) -> np.ndarray:
    return np.where(vector >= 0.0, 1.0, -1.0)


def _distance(first: np.ndarray, second: np.ndarray) -> float:
    unit = [vector / np.linalg.norm(vector) for vector in (first, second)]
    return float(np.linalg.norm(unit[0] - unit[1]))


def _row(decay: float, walk: _Walk) -> dict[str, float]:
    half = len(walk.lag_float) // 2
    means = {
        "lag, float": walk.lag_float,
        "lag, signs": walk.lag_binary,
        "move per update, float": walk.move_float,
        "move per update, signs": walk.move_binary,
    }
    row = {name: round(float(values[half:].mean()), 5) for name, values in means.items()}
    # N signs of which n flip are 2 sqrt(n / N) apart.
    flipped = float(np.square(walk.move_binary[half:] / 2.0).mean())
    return {"decay": decay, **row, "signs that flip per update, %": round(100.0 * flipped, 4)}


def _panels(walks: dict[float, _Walk]) -> list[Panel]:
    lag, move = [], []
    for decay, walk in walks.items():
        steps = np.arange(1, len(walk.lag_float) + 1)
        lag += [
            Series(f"float, decay {decay:g}", steps, walk.lag_float),
            Series(f"signs, decay {decay:g}", steps, walk.lag_binary),
        ]
        move += [
            Series(f"float, decay {decay:g}", steps, walk.move_float),
            Series(f"signs, decay {decay:g}", steps, walk.move_binary),
        ]
    middle = list(walks)[len(walks) // 2]
    learner, target = walks[middle].watched
    one = [
        Series("weight", steps, learner),
        Series("its average", steps, target),
        Series("sign of the average", steps, _signs(target)),
    ]
    return [
        Panel("Distance of the target from the learner", lag, y_label="distance", from_zero=True),
        Panel("Movement of the target per update", move, y_label="distance", from_zero=True),
        Panel(f"One weight near zero, decay {middle:g}", one, y_label="value"),
    ]
