"""Whether a checkpoint file is whole, told without TensorFlow.

The last 32 bytes of a file are the SHA-256 of all bytes before them; see
`burn_tf.training.checkpoints`, which writes and reads them.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

MAGIC = b"BURNTF01"
_DIGEST_BYTES = 32
_CHUNK_BYTES = 1 << 24
_NAME = re.compile(r"checkpoint-(\d+)\.burn")


def newest_checkpoint(run_folder: Path) -> tuple[Path, int] | None:
    """The file of the latest stage and step in a work directory, and its step."""
    found = [
        (path.parent.name, int(match[1]), path)
        for path in (run_folder / "checkpoints").glob("stage*/checkpoint-*.burn")
        if (match := _NAME.fullmatch(path.name))
    ]
    if not found:
        return None
    _, step, path = max(found)
    return path, step


def is_whole(path: Path) -> bool:
    """Whether the file is a checkpoint whose hash is right.

    Raises:
        FileNotFoundError: it is gone, as after two newer ones.
    """
    left = path.stat().st_size - _DIGEST_BYTES
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        if left < len(MAGIC) or file.read(len(MAGIC)) != MAGIC:
            return False
        file.seek(0)
        while left and (block := file.read(min(left, _CHUNK_BYTES))):
            digest.update(block)
            left -= len(block)
        return not left and file.read(_DIGEST_BYTES) == digest.digest()
