"""The page holds every method's figures and curves, and no link out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from burn_tf.compare import Comparison


def test_page(compared: Callable[..., Comparison], fake: Any, tmp_path: Path) -> None:
    comparison = compared(fake({"byol": 71.0}), methods=("byol", "swav"), seeds=(1, 2))
    comparison.run()
    page = (tmp_path / "work" / "report.html").read_text(encoding="utf-8")
    assert "72.50 ± 0.71" in page and "burn_tf 0." in page
    for title in (
        "Loss of BYOL",
        "Loss of SwAV",
        "Spread of the features of SwAV",
        "seed 2",
    ):
        assert title in page
    assert "http" not in page.replace("http://www.w3.org", "").replace("http-equiv", "")
    assert 'name="viewport"' in page
