"""The record of an evaluation."""

from __future__ import annotations

import dataclasses
import json

import pytest

from burn_tf.evaluation import Result

RESULT = Result("knn:5", {"top1": 97.5, "top5": 100.0}, {"settings": {"k": 5}})


def test_json_round_trip():
    assert Result.from_json(RESULT.to_json()) == RESULT
    assert json.loads(RESULT.to_json())["metrics"]["top1"] == 97.5


def test_row_is_flat():
    assert RESULT.to_row() == {"protocol": "knn:5", "top1": 97.5, "top5": 100.0}


def test_nan_never_reaches_a_file():
    with pytest.raises(ValueError, match="JSON compliant"):
        Result("knn:5", {"top1": float("nan")}, {}).to_json()


def test_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        RESULT.protocol = "other"  # type: ignore[misc]
