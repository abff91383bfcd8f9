"""Model files that cannot be read name the cure."""

from __future__ import annotations

from pathlib import Path

import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.layers import BatchNorm
from burn_tf.training import load_backbone


def test_a_model_inside_an_hdf5_model_names_the_cure(tmp_path: Path) -> None:
    values = tf.keras.Input((4,))
    inner = tf.keras.Model(values, BatchNorm()(values))
    path = tmp_path / "whole.h5"
    tf.keras.Sequential([inner, tf.keras.layers.Dense(2)]).save(path)
    with pytest.raises(UserError, match=r"whole\.h5 cannot be read .*; save it as \.keras$"):
        load_backbone(path)


def test_load_backbone_refuses(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no model"):
        load_backbone(tmp_path / "none.keras")
    (tmp_path / "bad.keras").write_bytes(b"PK not a model")
    with pytest.raises(UserError, match="cannot be read as a Keras model"):
        load_backbone(tmp_path / "bad.keras")
