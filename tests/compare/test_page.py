"""The page holds every method's figures and curves, and no link out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from burn_tf.compare import Comparison
from burn_tf.compare.page import joined
from burn_tf.report.training_curves import Metrics


def test_stages_stand_behind_each_other() -> None:
    rows = {name: [{"step": step, "loss": step / 10} for step in (1, 2)] for name in "ab"}
    steps, values = joined(Metrics(rows, 0), "loss")
    np.testing.assert_array_equal(steps, [0, 1, 2, 2, 3, 4])
    np.testing.assert_array_equal(values, [np.nan, 0.1, 0.2, np.nan, 0.1, 0.2])


def test_page(compared: Callable[..., Comparison], fake: Any, tmp_path: Path) -> None:
    comparison = compared(fake({"byol": 71.0}), methods=("byol", "swav"), seeds=(1, 2))
    comparison.run()
    page = (tmp_path / "work" / "report.html").read_text(encoding="utf-8")
    assert "72.50 ± 0.71" in page and "burn_tf 0." in page
    for title in ("Loss, BYOL", "Loss, SwAV", "Spread of the features, SwAV", "seed 2"):
        assert title in page
    assert "http" not in page.replace("http://www.w3.org", "").replace("http-equiv", "")
    assert 'name="viewport"' in page
