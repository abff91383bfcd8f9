"""The cache is where the user or the platform says."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from burn_tf._checks import UserError
from zoo import cache as library


def test_stated_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("BURN_TF_HOME", "~/weights")
    assert library.cache_folder() == tmp_path / "weights"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BURN_TF_HOME", "relative")
    assert library.cache_folder() == tmp_path / "relative"


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {}, ".cache/burn_tf"),
        ("linux", {"XDG_CACHE_HOME": "{home}/xdg"}, "xdg/burn_tf"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, ".cache/burn_tf"),
        ("darwin", {}, "Library/Caches/burn_tf"),
        ("win32", {}, "AppData/Local/burn_tf"),
        ("win32", {"LOCALAPPDATA": "{home}/local"}, "local/burn_tf"),
    ],
)
def test_folder_of_the_platform(
    platform: str,
    variables: dict[str, str],
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("BURN_TF_HOME", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(home=tmp_path))
    monkeypatch.setattr(sys, "platform", platform)
    assert library.cache_folder() == tmp_path / expected


@pytest.mark.parametrize(
    ("offline", "values"),
    [(True, ("1", "true", " Yes ", "on")), (False, ("0", "", "False", "no", "off"))],
)
def test_offline(offline: bool, values: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    for value in values:
        monkeypatch.setenv("BURN_TF_OFFLINE", value)
        assert library.is_offline() is offline


def test_offline_unclear(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BURN_TF_OFFLINE", "perhaps")
    with pytest.raises(UserError, match=r"must be 1 or 0\. Received: 'perhaps'"):
        library.is_offline()
