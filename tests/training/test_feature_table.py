"""A table in files: rows where they belong, whole files or none, and no file of something else."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from burn_tf._bank_file import DamagedBank
from burn_tf.training.feature_table import FeatureTable

DIM, IMAGES, DRAWS = 4, 10, 2
# Three files a draw: 4, 4 and 2 rows of 8 bytes.
FILE_BYTES = 39
ROWS = np.arange(DRAWS * IMAGES * DIM).reshape(DRAWS * IMAGES, DIM).astype(np.float16)
PIECES = [(0, 0, 4), (0, 4, 8), (0, 8, 10), (1, 0, 4), (1, 4, 8), (1, 8, 10)]


def new(folder: Path, key: str = "key", draws: int = DRAWS, dim: int = DIM) -> FeatureTable:
    return FeatureTable(folder, key, draws, IMAGES, dim, FILE_BYTES)


def filled(folder: Path, key: str = "key") -> FeatureTable:
    table = new(folder, key)
    for draw, first, stop in table.missing():
        table.write((draw, first, stop), ROWS[draw * IMAGES + first : draw * IMAGES + stop])
    return table


def test_pieces_and_sizes(tmp_path: Path) -> None:
    table = new(tmp_path)
    assert table.missing() == table.pieces() == PIECES
    assert table.bytes == table.missing_bytes == 160
    assert new(tmp_path, dim=100).pieces()[:2] == [(0, 0, 1), (0, 1, 2)]


def test_rows_come_back_in_any_order(tmp_path: Path) -> None:
    order = np.random.default_rng(0).permutation(DRAWS * IMAGES)
    found = filled(tmp_path / "made").rows(order)
    assert found.dtype == np.float16
    np.testing.assert_array_equal(found, ROWS[order])
    again = new(tmp_path / "made")
    again.open_new()
    assert not again.missing() and again.opened() == PIECES and again.missing_bytes == 0
    np.testing.assert_array_equal(again.rows([13, 13, 9]), ROWS[[13, 13, 9]])


def test_more_draws_keep_those_there_are(tmp_path: Path) -> None:
    filled(tmp_path)
    more = new(tmp_path, draws=3)
    more.open_new()
    assert more.missing() == [(2, 0, 4), (2, 4, 8), (2, 8, 10)]


def test_a_missing_row_is_an_error(tmp_path: Path) -> None:
    table = new(tmp_path)
    with pytest.raises(FileNotFoundError):
        table.open((0, 0, 4))
    with pytest.raises(KeyError):
        table.rows([0])


def test_every_bit_of_a_file_counts(tmp_path: Path) -> None:
    filled(tmp_path)
    path = new(tmp_path).path((1, 4, 8))
    whole = path.read_bytes()
    start = whole.index(ROWS[14].tobytes())
    for place in (start, start + 15, start + 31, len(whole) - 1):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(DamagedBank):
            new(tmp_path).open((1, 4, 8))


def test_files_in_each_others_place(tmp_path: Path) -> None:
    table = filled(tmp_path)
    shutil.copy(table.path((0, 0, 4)), table.path((1, 0, 4)))
    with pytest.raises(DamagedBank, match="of another"):
        new(tmp_path).open((1, 0, 4))
    with pytest.raises(DamagedBank, match="of another"):
        new(tmp_path, key="other").open((0, 0, 4))


def test_discarded_files_are_gone(tmp_path: Path) -> None:
    table = filled(tmp_path)
    table.discard()
    assert table.missing() == PIECES
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="4 rows were announced and 3 came"):
        new(tmp_path).write((0, 0, 4), ROWS[:3])
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_writer_left_goes_with_the_next(tmp_path: Path) -> None:
    filled(tmp_path)
    path = new(tmp_path).path((1, 4, 8))
    path.rename(path.with_name(f".{path.stem}.a1b2c3d4.npy"))
    table = new(tmp_path)
    table.open_new()
    assert table.missing() == [(1, 4, 8)]
    table.write((1, 4, 8), ROWS[14:18])
    assert sorted(tmp_path.iterdir()) == sorted(map(table.path, PIECES))
