"""The example learns digits from a fresh tiny backbone, and its file is written."""

from __future__ import annotations

import runpy
from pathlib import Path

import tensorflow as tf

from burn_tf import backbones

SCRIPT = Path(__file__).parents[2] / "examples" / "finetune_digits.py"


def test_runs(tmp_path: Path) -> None:
    tf.keras.utils.set_random_seed(0)
    backbone = backbones.ReActNetTiny((16, 16, 3), include_top=False, pooling="avg", stem_strides=1)
    backbone.save(tmp_path / "backbone.keras")
    main = runpy.run_path(str(SCRIPT))["main"]
    accuracy = main(str(tmp_path / "backbone.keras"), str(tmp_path / "out.tflite"), epochs=15)
    assert accuracy > 0.5
    assert (tmp_path / "out.tflite").stat().st_size > 1000
