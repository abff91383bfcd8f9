"""The presets are the papers' rows: options that exist, and the figures of methods.md."""

from __future__ import annotations

import dataclasses

import pytest

from burn_tf.compare import METHODS, PRESETS
from burn_tf.compare.entries import Sizes

SIZES = Sizes(feature_dim=64, batch_size=16, num_images=64, stage_steps=4)


@pytest.mark.parametrize("name", PRESETS)
def test_rows_are_different_runs_of_options_that_exist(name: str) -> None:
    preset = PRESETS[name]
    assert len({variant.name for variant in preset.variants}) == len(preset.variants) >= 3
    built = [
        (
            dataclasses.replace(METHODS[v.method].options(SIZES), **v.options),
            v.stages,
            v.num_views,
        )
        for v in preset.variants
    ]
    assert len(set(built)) == len(built)


@pytest.mark.parametrize(
    ("name", "reported"),
    [
        ("burn_baselines", [64.10, 49.41, 49.25, 52.50, 61.50, 62.29]),
        ("burn_table5", [57.33, 59.53, 61.43, 62.29]),
        ("burn_table6", [51.46, 50.28, 62.29]),
        ("burn_table7", [55.83, 55.60, 62.29]),
        ("msbreg_table8", [None] * 4),
        ("msbreg_table11", [None] * 3),
        ("burn_forms", [None] * 6),
    ],
)
def test_reported_figures(name: str, reported: list[float | None]) -> None:
    preset = PRESETS[name]
    assert [variant.reported for variant in preset.variants] == reported
    known = "not known here" not in preset.note
    assert known == (reported[0] is not None or not preset.is_published)


def test_the_last_form_is_burn_authors() -> None:
    rows = PRESETS["burn_forms"].variants
    first, last = (
        dataclasses.replace(METHODS[row.method].options(SIZES), **row.options)
        for row in (rows[0], rows[-1])
    )
    assert (first, last) == (METHODS["burn"].options(SIZES), METHODS["burn_authors"].options(SIZES))
    assert rows[-1].num_views == METHODS["burn_authors"].num_views


def test_the_first_row_of_table_5_has_no_feature_term() -> None:
    from burn_tf.schedules import FeatureWeight

    row = PRESETS["burn_table5"].variants[0].options
    weight = FeatureWeight(10, kind=row["feature_weight_kind"], end=row["feature_weight_end"])
    assert [float(weight(step)) for step in (0, 5, 10)] == [0.0, 0.0, 0.0]
