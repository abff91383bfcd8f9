"""What a layout is told of the file and of the caller's wishes."""

from __future__ import annotations

import numpy as np
import pytest

from burn_tf._checks import UserError
from burn_tf.convert.request import Request, check_input_size

REQUEST = Request({"fc.weight": np.zeros((7, 4)), "fc.bias": np.zeros(7), "conv": np.zeros(3)})


def test_shapes_with_a_default_where_they_say_nothing() -> None:
    assert REQUEST.shape("fc.weight", (1000, 2048)) == (7, 4)
    assert REQUEST.shape("absent", (1000, 2048)) == (1000, 2048)
    assert REQUEST.shape("conv", (64, 3, 7, 7)) == (64, 3, 7, 7), "of another rank"


def test_names_under_a_prefix() -> None:
    assert REQUEST.names_under("fc.") == ["fc.weight", "fc.bias"]
    assert REQUEST.names_under("layer1.") == []


@pytest.mark.parametrize(("wish", "classes"), [(None, 7), (True, 7), (False, None)])
def test_the_top_is_that_of_the_file_unless_it_is_not_wanted(
    wish: bool | None, classes: int | None
) -> None:
    request = Request(REQUEST.tensors, include_top=wish)
    assert request.top("fc", 1000) == classes


def test_a_top_that_the_file_lacks() -> None:
    assert Request({}).top("fc", 1000) is None
    assert Request({}, include_top=False).top("fc", 1000) is None
    with pytest.raises(UserError, match=r"without a classification layer. Received: True"):
        Request({}, include_top=True).top("fc", 1000)


@pytest.mark.parametrize(
    ("given", "sides"),
    [
        (None, (None, None)),
        (32, (32, 32)),
        ((32, 64), (32, 64)),
        ([31, 32], (31, 32)),
        (np.int64(5), (5, 5)),
    ],
)
def test_input_sizes(given: object, sides: tuple[int | None, int | None]) -> None:
    assert check_input_size(given) == sides


@pytest.mark.parametrize("given", [0, -32, 32.0, "32", True, (32,), (32, 32, 3), (32, None)])
def test_input_sizes_that_are_none(given: object) -> None:
    with pytest.raises(UserError, match=r"`input_size` must be .*Received: "):
        check_input_size(given)
