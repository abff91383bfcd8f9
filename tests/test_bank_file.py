"""The file of a feature bank: what is written is what is read, and damage is seen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from burn_tf._bank_file import DamagedBank, fits_half, read_bank, write_bank

KEY = "a" * 64
ROWS = np.random.default_rng(0).normal(size=(150, 6)).astype(np.float32)


def write(path: Path, dtype: str = "f4", key: str = KEY) -> Path:
    write_bank(path, key, ROWS.shape, np.dtype(dtype), [ROWS[:97], ROWS[97:97], ROWS[97:]])
    return path


@pytest.mark.parametrize("dtype", ["f2", "f4"])
def test_rows_come_back_mapped(tmp_path: Path, dtype: str) -> None:
    found = read_bank(write(tmp_path / "deep" / "bank.npy", dtype), KEY, 150)
    assert isinstance(found, np.memmap) and not found.flags.writeable
    assert found.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(found, ROWS.astype(dtype))


def test_numpy_alone_reads_it_too(tmp_path: Path) -> None:
    np.testing.assert_array_equal(np.load(write(tmp_path / "bank.npy")), ROWS)


def test_a_missing_file_is_no_damage(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_bank(tmp_path / "bank.npy", KEY, 150)


@pytest.mark.parametrize("kept", [0, 5, 200, 2000, -1, -20, -200])
def test_cut_short(tmp_path: Path, kept: int) -> None:
    path = write(tmp_path / "bank.npy")
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(DamagedBank, match="cut short"):
        read_bank(path, KEY, 150)


def test_other_key_or_number_of_rows(tmp_path: Path) -> None:
    path = write(tmp_path / "bank.npy", key="b" * 64)
    with pytest.raises(DamagedBank, match="another network or of other images"):
        read_bank(path, KEY, 150)
    with pytest.raises(DamagedBank, match="another shape"):
        read_bank(path, "b" * 64, 151)


def test_changed_last_rows(tmp_path: Path) -> None:
    path = write(tmp_path / "bank.npy")
    whole = bytearray(path.read_bytes())
    place = whole.index(ROWS[120].tobytes())
    whole[place] ^= 1
    path.write_bytes(bytes(whole))
    with pytest.raises(DamagedBank, match="damaged"):
        read_bank(path, KEY, 150)


def test_the_middle_missing(tmp_path: Path) -> None:
    path = write(tmp_path / "bank.npy")
    whole = path.read_bytes()
    path.write_bytes(whole[:1000] + whole[1480:])
    with pytest.raises(DamagedBank, match="damaged"):
        read_bank(path, KEY, 150)


def test_an_array_of_something_else(tmp_path: Path) -> None:
    path = tmp_path / "bank.npy"
    np.save(path, ROWS)
    with pytest.raises(DamagedBank):
        read_bank(path, KEY, 150)
    path.write_bytes(write(tmp_path / "other.npy").read_bytes().replace(b"NUMPY", b"DUMPY", 1))
    with pytest.raises(DamagedBank, match="damaged"):
        read_bank(path, KEY, 150)


def test_nothing_is_left_of_what_failed(tmp_path: Path) -> None:
    def broken() -> Iterator[np.ndarray]:
        yield ROWS[:10]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_bank(tmp_path / "bank.npy", KEY, ROWS.shape, np.dtype("f4"), broken())
    with pytest.raises(ValueError, match="150 rows were announced and 10 came"):
        write_bank(tmp_path / "bank.npy", KEY, ROWS.shape, np.dtype("f4"), [ROWS[:10]])
    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_the_file_from_before(tmp_path: Path) -> None:
    path = write(tmp_path / "bank.npy")
    with pytest.raises(ValueError, match="announced"):
        write_bank(path, KEY, (3, 6), np.dtype("f4"), [])
    np.testing.assert_array_equal(read_bank(path, KEY, 150), ROWS)


def test_as_many_rows_are_checked_as_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "bank.npy"
    write_bank(path, KEY, ROWS.shape, np.dtype("f4"), [ROWS[:97], ROWS[97:]], checked_rows=150)
    np.testing.assert_array_equal(read_bank(path, KEY, 150, checked_rows=150), ROWS)
    whole = bytearray(path.read_bytes())
    whole[whole.index(ROWS[0].tobytes())] ^= 1
    path.write_bytes(bytes(whole))
    with pytest.raises(DamagedBank, match="damaged"):
        read_bank(path, KEY, 150, checked_rows=150)


def test_what_float16_holds() -> None:
    for rows, fits in (
        ([[1.0, 1e-5], [0.0, 0.0]], True),
        ([[1.0, 1.0], [1e-8, 1e-8]], False),
        ([[1.0, 1.0], [7e4, 0.0]], False),
        ([[1.0, 1.0], [np.nan, 0.0]], False),
    ):
        given = np.array(rows, np.float32)
        with np.errstate(over="ignore"):
            assert fits_half(given.astype(np.float16), given) == fits
