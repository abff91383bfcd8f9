"""PNG files of small pictures for a page, without an imaging library."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np

from burn_tf._checks import UserError

_COLOUR_TYPES = {1: 0, 3: 2}


def encode_png(pixels: np.ndarray) -> bytes:
    """Encodes uint8 pixels [H, W], [H, W, 1] or [H, W, 3] as a PNG file.

    Raises:
        UserError: another dtype or shape, or no pixel at all.

    Example:
        >>> encode_png(np.zeros((2, 3), np.uint8))[:4]
        b'\\x89PNG'
    """
    image = pixels[:, :, None] if pixels.ndim == 2 else pixels
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in (1, 3) or not image.size:
        raise UserError(
            "`pixels` must be uint8 of shape [H, W], [H, W, 1] or [H, W, 3]. "
            f"Received: {pixels.dtype} {pixels.shape}"
        )
    height, width, channels = image.shape
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPES[channels], 0, 0, 0)
    rows = image.reshape(height, width * channels)
    filtered = np.concatenate([np.zeros((height, 1), np.uint8), rows], axis=1)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(filtered.tobytes(), 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, body) for name, body in chunks)


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def data_uri(pixels: np.ndarray) -> str:
    """Returns the picture as text for the `src` of an image."""
    return "data:image/png;base64," + base64.b64encode(encode_png(pixels)).decode("ascii")
