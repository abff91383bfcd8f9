"""`zoo` and `burn_tf.zoo` are two names for the same things."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def test_both_names_give_the_same() -> None:
    import zoo
    from burn_tf import zoo as ours

    assert ours.__all__ == zoo.__all__
    for name in zoo.__all__:
        assert getattr(zoo, name) is getattr(ours, name)
    assert dir(ours) == sorted(zoo.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    import zoo

    with pytest.raises(AttributeError, match="'ResNet9000'"):
        _ = zoo.ResNet9000


def test_importing_zoo_alone_selects_keras_2() -> None:
    program = (
        "import zoo, sys; assert 'tensorflow' not in sys.modules; zoo.ReActNetTiny\n"
        "import tensorflow as tf; assert tf.keras.Model.__module__.startswith('tf_keras')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
