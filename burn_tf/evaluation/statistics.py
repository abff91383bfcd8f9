"""Mean, deviation and 95 % interval of figures over seeds or draws."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from burn_tf._checks import UserError, check_integer, check_range

_LEVEL = 0.95


@dataclasses.dataclass(frozen=True)
class Summary:
    """Figures of several seeds or draws.

    Args:
        values: the figures.
        mean: their mean.
        deviation: their sample deviation (divided by n - 1); None for one figure.
        low, high: ends of the 95 % interval of the mean; None for one figure.
    """

    values: tuple[float, ...]
    mean: float
    deviation: float | None
    low: float | None
    high: float | None

    def to_json(self) -> dict[str, Any]:
        """JSON types."""
        return dataclasses.asdict(self) | {"values": list(self.values)}

    def text(self) -> str:
        """Mean and half the interval, such as "62.29 ± 0.31"; of one figure the figure alone."""
        if self.high is None:
            return f"{self.mean:.2f}"
        return f"{self.mean:.2f} ± {self.high - self.mean:.2f}"


def summarise(values: Sequence[float]) -> Summary:
    """Mean, sample deviation s and the interval mean ± t s / sqrt(n).

    t is the 97.5 % quantile of Student's distribution with n - 1 degrees of freedom: 2.776 for
    five draws, where the normal distribution's 1.960 would promise too much.

    Args:
        values: at least one, finite.

    Raises:
        UserError: no value, or one that is not finite.

    Example:
        >>> from burn_tf.evaluation import summarise
        >>> summarise([1.0, 2.0, 3.0]).text()
        '2.00 ± 2.48'

    Source: Student (1908), The probable error of a mean.
    Departs from source: none.
    """
    figures = tuple(float(value) for value in values)
    if not figures or not all(map(math.isfinite, figures)):
        raise UserError(f"`values` must be one or more finite numbers. Received: {list(values)}")
    number = len(figures)
    mean = math.fsum(figures) / number
    if number == 1:
        return Summary(figures, mean, None, None, None)
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in figures) / (number - 1))
    half = student_quantile(0.5 + _LEVEL / 2.0, number - 1) * deviation / math.sqrt(number)
    return Summary(figures, mean, deviation, mean - half, mean + half)


def student_quantile(probability: float, degrees: int) -> float:
    """Below which value Student's t lies with a probability: P(T <= value) = probability.

    Args:
        probability: inside [0.5, 1).
        degrees: of freedom, at least 1.

    Raises:
        UserError: an argument is outside its range.

    Example:
        >>> from burn_tf.evaluation.statistics import student_quantile
        >>> round(student_quantile(0.975, 4), 3)
        2.776

    Source: Abramowitz & Stegun, Handbook of Mathematical Functions, 26.7.3 and 26.7.4.
    Departs from source: the quantile is found by bisection.
    """
    check_range("probability", probability, low=0.5, high=1.0, high_open=True)
    check_integer("degrees", degrees, low=1)
    wanted = 2.0 * probability - 1.0
    low, high = 0.0, 0.5 * math.pi  # of the angle atan(t / sqrt(degrees)), where t may be huge
    for _ in range(100):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if _within(middle, degrees) < wanted else (low, middle)
    return math.tan(low) * math.sqrt(degrees)


def _within(angle: float, degrees: int) -> float:
    """P(|T| <= sqrt(degrees) * tan(angle)), a finite sum of powers of the cosine."""
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = degrees % 2 == 1
    term = cosine if odd else 1.0
    total = term if degrees > 1 else 0.0
    for power in range(3 if odd else 2, degrees - 1, 2):
        term *= cosine * cosine * (power - 1) / power
        total += term
    return 2.0 / math.pi * (angle + sine * total) if odd else sine * total
