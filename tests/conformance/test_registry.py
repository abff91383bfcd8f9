"""Every public class has a case, is exported, and can be found again by its saved name."""

from __future__ import annotations

from typing import Any

import pytest
import tensorflow as tf

import burn_tf
from tests.conformance import cases, discovery

CASES: dict[str, dict[str, Any]] = {
    "layer": cases.LAYERS,
    "loss": cases.LOSSES,
    "schedule": cases.SCHEDULES,
    "optimizer": cases.OPTIMIZERS,
    "method": cases.METHODS,
}


@pytest.mark.parametrize("kind", CASES)
def test_every_class_has_a_case(kind: str) -> None:
    found = set(discovery.classes_of(kind)) - cases.ABSTRACT
    assert found, "reflection finds nothing"
    missing, gone = found - set(CASES[kind]), set(CASES[kind]) - found
    assert not missing, f"Add to tests/conformance/cases.py: {sorted(missing)}"
    assert not gone, f"Remove from tests/conformance/cases.py: {sorted(gone)}"


def test_every_builder_has_a_case() -> None:
    assert set(discovery.builders()) == set(cases.BUILDERS)


def test_every_other_class_is_named_as_plain() -> None:
    assert set(discovery.classes_of("plain")) == cases.PLAIN


@pytest.mark.parametrize("package", discovery.PACKAGES, ids=lambda p: p.__name__)
def test_every_public_class_is_exported(package) -> None:
    own = {
        name
        for name, member in discovery.public_classes().items()
        if f"{member.__module__}.".startswith(f"{package.__name__}.")
    }
    assert own <= set(discovery.exported(package))


@pytest.mark.parametrize("name", [*cases.SERIALIZABLE, *cases.METHODS])
def test_is_registered_for_loading(name: str) -> None:
    member = discovery.public_classes()[name]
    assert tf.keras.saving.get_registered_name(member) == f"burn_tf>{name}"


def test_a_new_class_would_be_found(monkeypatch) -> None:
    class Novel(tf.keras.losses.Loss):
        pass

    Novel.__module__ = burn_tf.losses.__name__
    monkeypatch.setattr(burn_tf.losses, "Novel", Novel, raising=False)
    assert "Novel" in discovery.classes_of("loss")
