"""A recipe for digits teaches its network something in a minute."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import tensorflow as tf

from burn_tf.data import load_source
from burn_tf.evaluation import EvaluationData, run_protocols
from burn_tf.recipes import get_recipe
from burn_tf.report import read_metrics
from burn_tf.training import build_backbone, pretrain


@pytest.mark.slow
def test_swav_learns_and_keeps_its_codes_apart(tmp_path: Path) -> None:
    recipe, train = get_recipe("swav_digits"), load_source("digits")
    side = recipe.views.image_size
    data = EvaluationData(train, load_source("digits", split="test"), side)

    def top1(backbone: tf.keras.Model) -> float:
        (result,) = run_protocols(["knn:5"], backbone, data)
        return float(result.metrics["top1"])

    tf.keras.utils.set_random_seed(recipe.seed)
    before = top1(build_backbone(recipe.backbone, side, "both"))
    backbone = pretrain(recipe, train, tmp_path, stream=io.StringIO())
    # Seen: 38 to 41 % before, 71 % after. With one code for all images it would be 0 nats.
    assert top1(backbone) > before + 15.0
    metrics = read_metrics(tmp_path / "metrics.jsonl")
    _, information = metrics.curve("stage2", "code_information")
    assert information[-10:].mean() > 0.7
