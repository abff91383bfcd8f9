"""The .safetensors reader and writer against the format's own definition."""

from __future__ import annotations

import hashlib
import json
import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burn_tf._checks import UserError
from burn_tf.convert.safetensors import (
    data_sha256,
    parse_safetensors,
    read_safetensors,
    safetensors_bytes,
)


def packed(header: Any, data: bytes = b"") -> bytes:
    """A file by the format's definition: length, JSON, data."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(dtype: str, shape: list[int], begin: int, end: int) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def test_reads_a_file_written_by_hand() -> None:
    data = struct.pack("<3f", 1.5, -2.0, 0.25) + struct.pack("<q", -7) + b"\x01\x00"
    header = {
        "__metadata__": {"format": "pt"},
        "scalar": entry("I64", [], 12, 20),
        "row": entry("F32", [1, 3], 0, 12),
        "flags": entry("BOOL", [2], 20, 22),
    }
    tensors, metadata = parse_safetensors(packed(header, data))
    assert metadata == {"format": "pt"}
    assert tensors["row"].tolist() == [[1.5, -2.0, 0.25]] and tensors["row"].dtype == np.float32
    assert tensors["scalar"].shape == () and tensors["scalar"] == -7
    assert tensors["flags"].tolist() == [True, False]


def test_bfloat16_becomes_float32() -> None:
    # 1.0 is 0x3F80 and -3.140625 is 0xC049 in bfloat16.
    content = packed({"x": entry("BF16", [2], 0, 4)}, struct.pack("<2H", 0x3F80, 0xC049))
    values = parse_safetensors(content)[0]["x"]
    assert values.dtype == np.float32
    assert values.tolist() == [1.0, -3.140625]


def test_writes_what_the_format_asks_for() -> None:
    content = safetensors_bytes({"b": np.float32([1]), "a": np.uint8([7, 9])}, {"k": "v"})
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    assert length % 8 == 0
    assert header == {
        "__metadata__": {"k": "v"},
        "b": entry("F32", [1], 0, 4),
        "a": entry("U8", [2], 4, 6),
    }
    assert content[8 + length :] == struct.pack("<f", 1) + b"\x07\x09"


KINDS = ["f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "?", ">f4", ">i8"]


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("shape", [(), (3,), (2, 0, 4), (2, 3, 4)])
def test_round_trip(dtype: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    array = (np.arange(np.prod(shape)) - 3).reshape(shape).astype(dtype)
    path = tmp_path / "x.safetensors"
    path.write_bytes(safetensors_bytes({"name ü": array}))
    found = read_safetensors(path)[0]["name ü"]
    assert found.shape == shape and found.dtype == np.dtype(dtype).newbyteorder("<")
    assert np.array_equal(found, array)


def test_views_are_written_in_their_own_order() -> None:
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    content = safetensors_bytes({"turned": array.T, "reversed": array[::-1]})
    tensors = parse_safetensors(content)[0]
    assert np.array_equal(tensors["turned"], array.T)
    assert np.array_equal(tensors["reversed"], array[::-1])


def test_equal_content_gives_equal_bytes_and_the_data_hash() -> None:
    one, other = np.float32([1, 2]), np.int8([3])
    first = safetensors_bytes({"x": one, "y": other}, {"a": "1", "b": "2"})
    assert first == safetensors_bytes({"y": other, "x": one}, {"b": "2", "a": "1"})
    data = first[8 + int.from_bytes(first[:8], "little") :]
    assert data_sha256({"y": other, "x": one}) == hashlib.sha256(data).hexdigest()
    assert data_sha256(parse_safetensors(first)[0]) == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize(
    ("tensors", "metadata", "match"),
    [
        ({"x": np.complex64([1])}, {}, "complex64 for 'x'"),
        ({"x": np.array(["a"])}, {}, "for 'x'"),
        ({"__metadata__": np.float32([1])}, {}, "no tensor may be named"),
        ({}, {"k": 1}, "`metadata` must map texts to texts"),
    ],
)
def test_refuses_to_write(tensors: dict[str, Any], metadata: dict[str, Any], match: str) -> None:
    with pytest.raises(UserError, match=match):
        safetensors_bytes(tensors, metadata)


FOUR = entry("F32", [1], 0, 4)
DAMAGED = {
    "empty": (b"", "0 bytes"),
    "short": (b"\x01\x00\x00", "3 bytes"),
    "header longer than the file": (struct.pack("<Q", 99) + b"{}", "a header of 99 bytes"),
    "absurd header": (struct.pack("<Q", 2**63) + b"{}", "a header of 9223372036854775808 bytes"),
    "no JSON": (packed(b"{ nonsense"), "cannot be read"),
    "no UTF-8": (packed(b'{"\xff": 1}'), "cannot be read"),
    "a list": (packed([1]), "no JSON object"),
    "deep": (packed(b"[" * 100_000), "cannot be read"),
    "a name twice": (packed(b'{"a": 1, "a": 1}'), "occurs twice"),
    "metadata": (packed({"__metadata__": {"k": 1}}), "metadata that are not texts"),
    "entry": (packed({"x": [1]}), "malformed entry for 'x'"),
    "extra key": (packed({"x": {**FOUR, "more": 1}}, bytes(4)), "malformed entry"),
    "negative": (packed({"x": entry("F32", [-1], 0, 4)}, bytes(4)), "malformed shape"),
    "boolean": (packed({"x": entry("F32", [True], 0, 4)}, bytes(4)), "malformed shape"),
    "three offsets": (packed({"x": {**FOUR, "data_offsets": [0, 4, 8]}}), "malformed shape"),
    "size": (packed({"x": entry("F32", [2], 0, 4)}, bytes(4)), "of shape [2] in 4 bytes"),
    "huge": (packed({"x": entry("F32", [2**62, 2**62], 0, 4)}, bytes(4)), "in 4 bytes"),
    "backwards": (packed({"x": entry("U8", [0], 4, 0)}, bytes(4)), "in -4 bytes"),
    "overlap": (packed({"x": FOUR, "y": entry("F32", [1], 2, 6)}, bytes(6)), "overlaps"),
    "twice the same": (packed({"x": FOUR, "y": FOUR}, bytes(4)), "overlaps"),
    "gap": (packed({"x": FOUR, "y": entry("F32", [1], 8, 12)}, bytes(12)), "leaves a gap"),
    "outside": (packed({"x": FOUR}, bytes(3)), "3 bytes of data where the header speaks of 4"),
    "more data": (packed({"x": FOUR}, bytes(5)), "5 bytes of data"),
    "type": (packed({"x": entry("F8_E4M3", [4], 0, 4)}, bytes(4)), "'F8_E4M3' for 'x'"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_files_are_one_line(name: str) -> None:
    content, reason = DAMAGED[name]
    with pytest.raises(UserError, match=re.escape(reason)) as caught:
        parse_safetensors(content, "weights.safetensors")
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("'weights.safetensors' ")


def test_every_truncation_is_refused() -> None:
    content = safetensors_bytes({"x": np.float32([1, 2]), "y": np.int8([1])}, {"k": "v"})
    for length in range(len(content)):
        with pytest.raises(UserError):
            parse_safetensors(content[:length])


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_changed_byte_is_refused_or_gives_arrays(data: st.DataObject) -> None:
    content = bytearray(safetensors_bytes({"x": np.float32([[1, 2]])}, {"k": "v"}))
    position = data.draw(st.integers(0, len(content) - 1))
    content[position] = data.draw(st.integers(0, 255))
    try:
        tensors, _ = parse_safetensors(bytes(content))
    except UserError:
        return
    assert sum(array.nbytes for array in tensors.values()) == 8


def test_missing_file_names_the_cure(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"check the path. Received: No such file"):
        read_safetensors(tmp_path / "absent.safetensors")
