"""Records take exactly what their annotations say, and name what they refuse."""

from __future__ import annotations

import dataclasses
import json

import pytest

from burn_tf._checks import UserError
from zoo.records import build_record, parse_json, plain


@dataclasses.dataclass(frozen=True)
class Inner:
    word: str
    flag: bool = False


@dataclasses.dataclass(frozen=True)
class Outer:
    count: int
    share: float
    inner: Inner
    several: tuple[Inner, ...] = ()
    numbers: tuple[float, ...] = ()
    maybe: int | None = None


VALUES = {
    "count": 3,
    "share": 1,
    "inner": {"word": "a", "flag": True},
    "several": [{"word": "b"}],
    "numbers": [1, 0.5],
    "maybe": 7,
}
RECORD = Outer(3, 1.0, Inner("a", True), (Inner("b"),), (1.0, 0.5), 7)


def test_builds_and_goes_back() -> None:
    built = build_record(Outer, VALUES, "here")
    assert built == RECORD
    assert isinstance(built.share, float) and isinstance(built.numbers[0], float)
    assert plain(built) == VALUES
    assert build_record(Outer, json.loads(json.dumps(plain(built))), "here") == built


def test_defaults_are_left_out() -> None:
    assert plain(Outer(1, 0.5, Inner("a"))) == {"count": 1, "share": 0.5, "inner": {"word": "a"}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cuont": 1}, "here has an unknown key. Did you mean 'count'? Received: 'cuont'"),
        ({"zzzzzz": 1}, "Known: count, share, inner"),
        ({"count": 1.5}, "here.count must be of type int. Received: 1.5"),
        ({"count": True}, "here.count must be of type int"),
        ({"count": None}, "here.count must be of type int"),
        ({"share": "1"}, "here.share must be of type float"),
        ({"inner": "a"}, "here.inner must be an object"),
        ({"inner": {"word": "a", "flag": 1}}, "here.inner.flag must be of type bool"),
        ({"several": [{"word": "b"}, {}]}, "here.several[1] lacks word"),
        ({"numbers": [0.5, "x"]}, "here.numbers[1] must be of type float"),
        ({"numbers": 0.5}, "here.numbers must be a list"),
        ({"maybe": "x"}, "here.maybe must be of type int"),
    ],
)
def test_refuses(change: dict[str, object], message: str) -> None:
    with pytest.raises(UserError) as caught:
        build_record(Outer, VALUES | change, "here")
    assert message in str(caught.value) and "Received: " in str(caught.value)


def test_none_where_it_is_allowed() -> None:
    assert build_record(Outer, VALUES | {"maybe": None}, "here").maybe is None


@pytest.mark.parametrize(
    "text", ['{"a": 1, "a": 2}', '{"a": NaN}', '{"a": Infinity}', '{"a": ', "", '{"b": {"a": 1,}}']
)
def test_refuses_loose_json(text: str) -> None:
    with pytest.raises(UserError, match=r"there must be JSON\. Received: "):
        parse_json(text, "there")
