"""Policies: the published figures, limits, names."""

import dataclasses

import pytest

from burn_tf._checks import UserError
from burn_tf.data import POLICIES, Policy, get_policy


def test_moco_v2_figures():
    policy = get_policy("moco_v2")
    assert (policy.crop_area, policy.flip, policy.grey) == ((0.2, 1.0), 0.5, 0.2)
    assert (policy.jitter, policy.brightness, policy.contrast) == (0.8, 0.4, 0.4)
    assert (policy.saturation, policy.hue) == (0.4, 0.1)
    assert (policy.blur, policy.blur_sigma, policy.solarise) == (0.5, (0.1, 2.0), 0.0)


def test_figures_of_burns_authors():
    policy = get_policy("burn_authors")
    assert (policy.crop_area, policy.flip, policy.grey) == ((0.08, 1.0), 0.5, 0.2)
    assert (policy.jitter, policy.brightness, policy.contrast) == (0.6, 0.4, 0.4)
    assert (policy.saturation, policy.hue) == (0.4, 0.1)
    assert (policy.blur, policy.blur_sigma, policy.solarise) == (0.2, (0.1, 2.0), 0.0)


def test_msbreg_table_9():
    policy = get_policy("msbreg")
    assert (policy.flip, policy.jitter, policy.grey) == (0.5, 0.8, 0.2)
    assert (policy.brightness, policy.contrast, policy.saturation, policy.hue) == (
        0.4,
        0.4,
        0.2,
        0.1,
    )
    assert (policy.blur, policy.solarise) == (1.0, 0.2)


def test_digits_are_never_mirrored():
    assert get_policy("digits").flip == 0.0


def test_every_name_is_its_policy():
    for name, policy in POLICIES.items():
        assert policy.name == name
        assert get_policy(name) is policy
        assert get_policy(policy) is policy


def test_typo_names_the_nearest():
    with pytest.raises(UserError, match="Did you mean 'burn_authors'"):
        get_policy("burn_author")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("flip", 1.5),
        ("grey", -0.1),
        ("hue", 0.6),
        ("brightness", -1.0),
        ("crop_area", (0.5, 0.2)),
        ("crop_area", (0.0, 1.0)),
        ("crop_area", (0.5, 1.1)),
        ("crop_ratio", (0.0, 1.0)),
        ("blur_sigma", (0.0, 1.0)),
        ("jitter", float("nan")),
    ],
)
def test_values_outside_the_limits(field, value):
    with pytest.raises(UserError, match=field):
        Policy("mine", **{field: value})


def test_frozen_and_replaceable():
    policy = get_policy("cifar")
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(policy, "flip", 0.0)  # noqa: B010  what mypy would refuse
    assert dataclasses.replace(policy, flip=0.0).flip == 0.0
