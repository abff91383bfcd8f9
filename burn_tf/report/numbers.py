"""How numbers are written for people: in tables, on axes, in progress lines."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from typing import Any

_SI = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_MAX_DECIMALS = 6


def is_number(value: Any) -> bool:
    """True for Python and NumPy integers and floats (NaN too), False for booleans."""
    if isinstance(value, bool) or type(value).__name__ in ("bool_", "bool"):
        return False
    return isinstance(value, numbers.Real)


def format_value(value: Any) -> str:
    """Writes one value: four significant digits for floats, yes/no, "" for None.

    Example:
        >>> format_value(0.123456), format_value(1797), format_value(True), format_value(None)
        ('0.1235', '1797', 'yes', '')
    """
    if value is None:
        return ""
    if isinstance(value, bool) or type(value).__name__ in ("bool_", "bool"):
        return "yes" if value else "no"
    if isinstance(value, numbers.Integral):
        return str(int(value))
    if not is_number(value):
        return str(value)
    value = float(value)
    if not math.isfinite(value):
        return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")
    if value.is_integer() and abs(value) < 1e9:
        return str(int(value))
    if abs(value) >= 1000:
        return f"{value:.4g}" if abs(value) >= 1e9 else f"{value:.1f}"
    return f"{value:.4g}"


def _is_float(value: Any) -> bool:
    return is_number(value) and not isinstance(value, numbers.Integral)


def _decimals(text: str) -> int:
    return len(text.partition(".")[2])


def format_column(values: Sequence[Any]) -> list[str]:
    """Writes the values of one column; its floats share one number of decimals.

    Example:
        >>> format_column([97.22, 8.5, None, "n/a"])
        ['97.22', '8.50', '', 'n/a']
    """
    texts = [format_value(value) for value in values]
    finite = [i for i, value in enumerate(values) if _is_float(value) and math.isfinite(value)]
    if any("e" in texts[i] for i in finite):
        return texts
    decimals = min(_MAX_DECIMALS, max((_decimals(texts[i]) for i in finite), default=0))
    for i in finite:
        texts[i] = f"{float(values[i]):.{decimals}f}"
    return texts


def format_tick(value: float, step: float) -> str:
    """Writes an axis tick with as many decimals as `step`, the distance between ticks, asks.

    Example:
        >>> format_tick(0.5, 0.25), format_tick(1500.0, 500.0), format_tick(2e-5, 1e-5)
        ('0.50', '1.5k', '2e-5')
    """
    if abs(value) < step * 1e-6:
        return "0"
    if step < 1e-4 or max(abs(value), step) >= 1e15:
        mantissa, _, exponent = f"{value:.3e}".partition("e")
        return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
    for factor, suffix in _SI:
        if abs(value) >= factor and step >= factor / 1000:
            return f"{value / factor:.{_step_decimals(step / factor)}f}".rstrip() + suffix
    return f"{value:.{_step_decimals(step)}f}"


def _step_decimals(step: float) -> int:
    for decimals in range(8):
        scaled = step * 10**decimals
        if abs(scaled - round(scaled)) < 1e-6 * max(scaled, 1.0) and round(scaled) > 0:
            return decimals
    return 8


def format_duration(seconds: float) -> str:
    """Writes seconds as m:ss or h:mm:ss; "?" when not known (NaN, infinite, negative).

    Example:
        >>> format_duration(9.4), format_duration(80), format_duration(3723)
        ('0:09', '1:20', '1:02:03')
    """
    if not math.isfinite(seconds) or seconds < 0:
        return "?"
    minutes, rest = divmod(int(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
