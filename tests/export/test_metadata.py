"""What a file says of itself, read by other means than those that wrote it."""

from __future__ import annotations

import dataclasses
import io
import struct
import zipfile

import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.export.flatbuffer import read_flatbuffer
from burn_tf.export.metadata import (
    FileMetadata,
    check_labels,
    model_metadata,
    read_labels,
    with_metadata,
)
from burn_tf.export.runtime import load_runtime
from burn_tf.export.schema import unpacked

LABELS = ("cat", "a\u2028dog", "Kröte")
METADATA = FileMetadata(
    name="net",
    description="three animals",
    labels=LABELS,
    mean=(1.0, 2.0, 3.0),
    std=(4.0, 5.0, 6.0),
    image_size=(20, 30),
    licence="Apache-2.0",
    version="0.1.0",
)


@pytest.fixture(scope="module")
def plain() -> bytes:
    signature = tf.TensorSpec([1, 4, 4, 3], tf.float32)
    function = tf.function(lambda x: tf.reduce_mean(x, [1, 2]) * 2.0, [signature])
    concrete = function.get_concrete_function()
    return bytes(tf.lite.TFLiteConverter.from_concrete_functions([concrete]).convert())


class Table:
    """A flatbuffer's table, read field by field."""

    def __init__(self, data: bytes, at: int) -> None:
        self.data, self.at = data, at

    def number(self, kind: str, at: int) -> int:
        return struct.unpack_from(f"<{kind}", self.data, at)[0]

    def place(self, field: int) -> int:
        vtable = self.at - self.number("i", self.at)
        assert 4 + 2 * field < self.number("H", vtable)
        distance = self.number("H", vtable + 4 + 2 * field)
        assert distance
        return self.at + distance

    def follow(self, field: int) -> int:
        place = self.place(field)
        return place + self.number("I", place)

    def table(self, field: int) -> Table:
        return Table(self.data, self.follow(field))

    def all(self, field: int) -> list[Table]:
        start = self.follow(field)
        places = range(start + 4, start + 4 + 4 * self.number("I", start), 4)
        return [Table(self.data, place + self.number("I", place)) for place in places]

    def first(self, field: int) -> Table:
        (only,) = self.all(field)
        return only

    def text(self, field: int) -> str:
        start = self.follow(field)
        return self.data[start + 4 : start + 4 + self.number("I", start)].decode()

    def floats(self, field: int) -> list[float]:
        start = self.follow(field)
        count = self.number("I", start)
        return list(struct.unpack_from(f"<{count}f", self.data, start + 4))


def standard_buffer(content: bytes) -> bytes:
    model = unpacked(content)
    (entry,) = [e for e in model.metadata if e.name == b"TFLITE_METADATA"]
    return bytes(model.buffers[entry.buffer].data)


def test_fields_are_those_of_the_standard(plain: bytes) -> None:
    """Numbers of fields and enumerations: metadata_schema.fbs of tflite-support, M001."""
    data = standard_buffer(with_metadata(plain, METADATA))
    assert data[4:8] == b"M001"
    root = Table(data, struct.unpack_from("<I", data)[0])
    assert [root.text(i) for i in (0, 1, 2, 5, 7)] == [
        "net",
        "three animals",
        "0.1.0",
        "Apache-2.0",
        "1.0.0",
    ]
    graph = root.first(3)
    image = graph.first(2)
    content = image.table(3)
    assert content.number("B", content.place(0)) == 2  # ImageProperties
    properties = content.table(1)
    assert properties.number("b", properties.place(0)) == 1  # RGB
    size = properties.table(1)
    assert (size.number("I", size.place(0)), size.number("I", size.place(1))) == (30, 20)
    unit = image.first(4)
    assert unit.number("B", unit.place(0)) == 1  # NormalizationOptions
    assert unit.table(1).floats(0) == [1.0, 2.0, 3.0]
    assert unit.table(1).floats(1) == [4.0, 5.0, 6.0]
    file = graph.first(3).first(6)
    assert file.text(0) == "labels.txt"
    assert file.number("b", file.place(2)) == 2  # TENSOR_AXIS_LABELS


def test_several_outputs_have_their_names_and_the_scores_the_labels(plain: bytes) -> None:
    metadata = dataclasses.replace(METADATA, outputs=("boxes", "scores"))
    data = standard_buffer(with_metadata(plain, metadata))
    graph = Table(data, struct.unpack_from("<I", data)[0]).first(3)
    boxes, scores = graph.all(3)
    assert (boxes.text(0), scores.text(0)) == ("boxes", "scores")
    assert scores.first(6).text(0) == "labels.txt"
    with pytest.raises(AssertionError):
        boxes.place(6)


def test_labels_of_several_outputs_need_scores() -> None:
    inputs = tf.keras.Input((4, 4, 3))
    ends = [tf.keras.layers.Conv2D(n, 1, name=name)(inputs) for n, name in ((4, "a"), (3, "b"))]
    words = ("lce", (4, 4, 3), "uint8", LABELS)
    with pytest.raises(UserError, match=r"one that is named 'scores'\. Received: a model with 2"):
        model_metadata(tf.keras.Model(inputs, ends), *words)
    named = tf.keras.layers.Activation("sigmoid", name="scores")(ends[1])
    found = model_metadata(tf.keras.Model(inputs, [ends[0], named]), *words)
    assert (found.outputs, found.labels) == (("a", "scores"), LABELS)


def test_labels_are_an_archive_behind_the_model(plain: bytes) -> None:
    content = with_metadata(plain, METADATA)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        assert archive.read("labels.txt").decode() == "cat\na\u2028dog\nKröte\n"
        assert archive.getinfo("labels.txt").compress_type == zipfile.ZIP_STORED
    assert read_labels(content) == LABELS


def test_the_model_stays_what_it_is(plain: bytes) -> None:
    content = with_metadata(plain, METADATA)
    assert read_flatbuffer(content) == read_flatbuffer(plain)
    images = np.random.default_rng(0).normal(size=(2, 4, 4, 3)).astype(np.float32)
    np.testing.assert_array_equal(
        load_runtime(content).run(images), load_runtime(plain).run(images)
    )
    assert content == with_metadata(plain, METADATA)


def test_no_labels_no_archive(plain: bytes) -> None:
    content = with_metadata(plain, FileMetadata("net", "features"))
    assert read_labels(content) is None and read_labels(plain) is None
    assert not zipfile.is_zipfile(io.BytesIO(content))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["a"], "`labels` must be 2, one for each output"),
        (["a", ""], "one line of text. Received: ''"),
        (["a", "b\nc"], "one line"),
    ],
)
def test_bad_labels(labels: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        check_labels(labels, 2)
