"""Settings refuse what cannot be compared, before data is read."""

from __future__ import annotations

import pytest

from burn_tf._checks import UserError
from burn_tf.compare import PRESETS, Settings


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "one of `methods` and `preset`.*neither"),
        ({"methods": ("burn",), "preset": "burn_table5"}, "both"),
        ({"methods": ("byl",)}, "Did you mean 'byol'"),
        ({"methods": ("byol", "burn", "byol")}, "`methods`.*twice.*'byol'"),
        ({"preset": "burn_table4"}, "Did you mean 'burn_table"),
        ({"methods": ("byol",), "seeds": (1, 2, 1)}, "`seeds`.*twice"),
        ({"methods": ("byol",), "seeds": (-1,)}, "`seeds`"),
        ({"methods": ("byol",), "seeds": ()}, "`seeds` must name at least one"),
        ({"methods": ("byol",), "probes": ("knn:6",)}, "Did you mean 'knn:5'"),
        ({"methods": ("byol",), "probes": ("embedding",)}, "`probes` must be one of"),
        ({"methods": ("byol",), "probes": ("svm:voc07-fewshot",)}, "`probes` must be one of"),
        (
            {"methods": ("byol", "raw_pixels"), "probes": ("knn:5", "semi:1pct")},
            "`probes` that train the network.*'raw_pixels'.*Received: 'semi:1pct'",
        ),
        ({"methods": ("byol",), "backbone": "reactnet_b"}, "Did you mean 'reactnet_a'"),
        ({"methods": ("byol",), "width": 0.0}, "`width`"),
        ({"methods": ("byol",), "stages": "three"}, "`stages`"),
        ({"methods": ("byol",), "budget": 0}, "`budget`"),
        ({"methods": ("byol",), "teacher": "none.keras"}, "there is no model at none.keras"),
    ],
)
def test_refused(given: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message) as raised:
        Settings(**{"data": "no such folder", "budget": 2, **given})  # type: ignore[arg-type]
    assert "\n" not in str(raised.value)


def test_methods_and_seeds_may_be_added() -> None:
    few = Settings("digits", 2, methods=("byol",), seeds=(1,))
    more = Settings("digits", 2, methods=("byol", "burn"), seeds=(1, 2))
    assert few.record() == more.record()
    assert few.record() != Settings("digits", 4, methods=("byol",)).record()


def test_rows() -> None:
    assert [v.name for v in Settings("digits", 2, methods=("byol", "burn")).variants()] == [
        "byol",
        "burn",
    ]
    preset = Settings("digits", 2, preset="burn_table6")
    assert preset.variants() == PRESETS["burn_table6"].variants
