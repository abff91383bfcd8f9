"""A result that could not be written is refused before the work."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from burn_tf._checks import UserError
from burn_tf.cli.targets import check_different_files, check_file_target, check_folder_target


def test_two_flags_for_one_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    check_different_files(json=str(tmp_path / "a"), html=str(tmp_path / "c"), other=None)
    with pytest.raises(UserError, match="`json` and `html` must be two files"):
        check_different_files(json=str(tmp_path / "a"), html=str(tmp_path / "b"))


def test_a_new_and_an_existing_file_are_accepted(tmp_path: Path) -> None:
    existing = tmp_path / "old.json"
    existing.write_text("{}", encoding="utf-8")
    check_file_target("json", str(existing))
    check_file_target("json", str(tmp_path / "new.json"))
    assert existing.read_text(encoding="utf-8") == "{}"
    assert not (tmp_path / "new.json").exists()


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="`json` must be a file"):
        check_file_target("json", str(tmp_path))


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="`output` must lie in a folder that exists"):
        check_file_target("output", str(tmp_path / "missing" / "a.tflite"))


def test_a_folder_that_may_not_be_written_to_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Permission bits do not bind the administrator, who may run these tests.
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(UserError, match="you may write to"):
        check_file_target("json", str(tmp_path / "a.json"))


def test_a_device_is_refused() -> None:
    with pytest.raises(UserError, match="`json` must be a file, no device or pipe"):
        check_file_target("json", os.devnull)


def test_a_write_protected_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = tmp_path / "kept.json"
    kept.write_text("{}", encoding="utf-8")
    monkeypatch.setattr("os.access", lambda path, mode: Path(path) != kept)
    with pytest.raises(UserError, match="`json` must be a file you may write to"):
        check_file_target("json", str(kept))


def test_a_folder_to_write_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    check_folder_target("workdir", str(tmp_path))
    check_folder_target("workdir", str(tmp_path / "new" / "deep"))
    for inside in ("file", "file/deeper"):
        with pytest.raises(UserError, match="`workdir` must be a folder, or a new one"):
            check_folder_target("workdir", str(tmp_path / inside))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(UserError, match="`workdir` must be a folder you may write to"):
        check_folder_target("workdir", str(tmp_path / "new"))
