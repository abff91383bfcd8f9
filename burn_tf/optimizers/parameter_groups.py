"""Which variables are exempt from weight decay and from LARS' adaptation."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import tensorflow as tf

from burn_tf._checks import UserError


def check_patterns(name: str, patterns: Iterable[str]) -> tuple[str, ...]:
    """The patterns as a tuple, each of them a valid regular expression."""
    if isinstance(patterns, str):
        raise UserError(f"`{name}` must be a list of regular expressions. Received: {patterns!r}")
    patterns = tuple(patterns)
    for pattern in patterns:
        try:
            re.compile(pattern)
        except (re.error, TypeError) as error:
            raise UserError(
                f"`{name}` must hold valid regular expressions ({error}). Received: {pattern!r}"
            ) from error
    return patterns


def is_exempt(variable: tf.Variable, patterns: Sequence[str] = ()) -> bool:
    """Whether a variable is a bias, a norm parameter or the like, or its name holds a pattern.

        exempt = rank(variable) <= 1 or any(re.search(pattern, variable.name))

    Args:
        variable: any variable; biases and the parameters of norms, RSign and RPReLU have rank 1.
        patterns: regular expressions, searched anywhere in the name. Default none.

    Returns:
        True for a variable without weight decay and without adaptation.

    Raises:
        ValueError: never.

    Example:
        >>> import burn_tf, tensorflow as tf
        >>> from burn_tf.optimizers import is_exempt
        >>> is_exempt(tf.Variable(tf.zeros([5]))), is_exempt(tf.Variable(tf.zeros([5, 5])))
        (True, False)

    Source: Moon et al. (MSBReg), experimental settings: biases and norm parameters are exempt.

    Departs from source: the rank decides, so that every per-channel parameter is exempt.
    """
    return variable.shape.rank <= 1 or any(re.search(p, variable.name) for p in patterns)
