"""Sizes of region networks."""

from __future__ import annotations

import pytest

from burn_tf._checks import UserError
from burn_tf.detection.region_settings import RegionSettings


def test_the_defaults_are_those_of_tf_models_official():
    settings = RegionSettings()
    assert (settings.filters, settings.head_convs, settings.fc_units) == (256, 4, 1024)
    assert (settings.candidates, settings.proposals, settings.regions) == (2000, 1000, 512)
    assert (settings.anchor_scale, settings.score_threshold) == (8.0, 0.05)


@pytest.mark.parametrize(
    ("name", "value"),
    [("filters", 0), ("regions", 1.5), ("max_objects", -1), ("norm_momentum", 1.0)],
)
def test_refuses_what_no_network_can_have(name, value):
    with pytest.raises(UserError, match=f"`{name}` must be .*Received"):
        RegionSettings(**{name: value})
