"""A table of float16 features in mapped files: larger than memory, and made piece by piece."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from burn_tf._bank_file import DamagedBank, read_bank, write_bank
from burn_tf._files import remove_unfinished
from burn_tf.data.fixed_views import Piece

# What is lost when the making of a table is cut off, and what a writer holds in memory.
FILE_BYTES = 2**24
HALF = np.dtype("<f2")


class FeatureTable:
    """float16 [draws x images, dim], row draw * images + index, in files of up to 16 MiB.

    A file holds the rows of one piece (draw, first image, stop), its key and the SHA-256 of its
    rows. It appears when it is whole.

    Args:
        folder: of the files, which is made when the first is written.
        key: what the features are of; a file written with another one is not read.
        draws: how many rows each image has.
        images: how many images there are.
        dim: length of a row.
        file_bytes: size of a file at most, unless a single row is larger.
    """

    def __init__(
        self,
        folder: Path,
        key: str,
        draws: int,
        images: int,
        dim: int,
        file_bytes: int = FILE_BYTES,
    ) -> None:
        self.folder, self.key = folder, key
        self.draws, self.images, self.dim = draws, images, dim
        self.rows_per_file = max(1, file_bytes // self.row_bytes)
        self._open: dict[Piece, np.ndarray] = {}

    @property
    def row_bytes(self) -> int:
        """Bytes that one row takes."""
        return self.dim * HALF.itemsize

    @property
    def bytes(self) -> int:
        """Bytes of all rows."""
        return self.draws * self.images * self.row_bytes

    def pieces(self) -> list[Piece]:
        """The pieces of the table, one for each file."""
        return [
            self._piece(draw, first)
            for draw in range(self.draws)
            for first in range(0, self.images, self.rows_per_file)
        ]

    def _piece(self, draw: int, index: int) -> Piece:
        first = index - index % self.rows_per_file
        return draw, first, min(first + self.rows_per_file, self.images)

    def path(self, piece: Piece) -> Path:
        """The file of a piece."""
        return self.folder / f"draw{piece[0]:03d}-{piece[1]:09d}.npy"

    def open(self, piece: Piece) -> None:
        """Map the file of a piece after reading it once to compare its digest.

        Raises:
            FileNotFoundError: it is not there.
            DamagedBank: it is not what was written, or of something else.
        """
        rows = piece[2] - piece[1]
        found = read_bank(self.path(piece), self._key(piece), rows, checked_rows=rows)
        if found.shape != (rows, self.dim) or found.dtype != HALF:
            raise DamagedBank("of another shape")
        # A plain array on the same memory: indexing a `memmap` takes four times as long.
        self._open[piece] = np.asarray(found)

    def write(self, piece: Piece, rows: np.ndarray) -> None:
        """Write the rows [stop - first, dim] of a piece and map them; by one process at a time.

        Raises:
            OSError: the disk is full or cannot be written to.
        """
        key, count = self._key(piece), piece[2] - piece[1]
        remove_unfinished(self.path(piece))
        write_bank(self.path(piece), key, (count, self.dim), HALF, [rows], checked_rows=count)
        self.open(piece)

    def _key(self, piece: Piece) -> str:
        return f"{self.key}:{piece[0]}:{piece[1]}"

    def opened(self) -> list[Piece]:
        """The pieces that have been opened or written."""
        return [piece for piece in self.pieces() if piece in self._open]

    def missing(self) -> list[Piece]:
        """The other pieces."""
        return [piece for piece in self.pieces() if piece not in self._open]

    @property
    def missing_bytes(self) -> int:
        """Bytes of the rows that are missing."""
        return sum(stop - first for _, first, stop in self.missing()) * self.row_bytes

    def open_new(self) -> None:
        """Open the missing pieces that another process has written meanwhile."""
        for piece in self.missing():
            with contextlib.suppress(FileNotFoundError, DamagedBank):
                self.open(piece)

    def discard(self) -> None:
        """Delete the files that were opened: their features have turned out to be wrong."""
        for piece in self._open:
            self.path(piece).unlink(missing_ok=True)
        self._open.clear()

    def rows(self, places: Sequence[int] | np.ndarray) -> np.ndarray:
        """float16 [B, dim]: the rows at the places [B], draw * images + index.

        Raises:
            KeyError: a row's piece is missing.
        """
        found = np.empty((len(places), self.dim), HALF)
        for number, place in enumerate(places):
            draw, index = divmod(int(place), self.images)
            piece = self._piece(draw, index)
            found[number] = self._open[piece][index - piece[1]]
        return found
