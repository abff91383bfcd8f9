"""What a file says of itself: the standard TFLite metadata, with labels as an archive behind it.

Android Studio, the Task Library and ML Kit read the same two things: a `TFLITE_METADATA` buffer
(schema M001, version 1.5 of tflite-support) and `labels.txt` in a ZIP archive that is appended to
the model, which needs no knowledge of the model's format to be opened.
"""

from __future__ import annotations

import dataclasses
import io
import zipfile
from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np

from burn_tf import __version__
from burn_tf._checks import UserError
from burn_tf.data.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from burn_tf.export.schema import add_buffer, order_outputs, packed, schema, unpacked

LABELS_FILE = "labels.txt"
# The output that labels belong to, where there are several.
SCORES = "scores"
_NAME = b"TFLITE_METADATA"
_IDENTIFIER = b"M001"
_MIN_PARSER = "1.0.0"
# Values of the schema's enumerations and unions.
_RGB = 1
_IMAGE, _FEATURE = 2, 1
_NORMALIZATION = 1
_AXIS_LABELS = 2
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclasses.dataclass(frozen=True)
class FileMetadata:
    """What a file says of itself.

    Args:
        name: The model's name.
        description: What it takes and gives, in words.
        labels: One for each class that there are scores of, or None.
        mean: Per channel; an input value is (pixel - mean) / std for pixels of 0 to 255.
        std: Per channel. With means 0 and deviations 1 the pixels themselves go in.
        image_size: Height and width in pixels.
        licence: Of the weights.
        version: Of this library.
        outputs: The names of the outputs in their order; empty for one, which is "scores" where
            there are labels.
    """

    name: str
    description: str
    labels: tuple[str, ...] | None = None
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    image_size: tuple[int, int] = (0, 0)
    licence: str = ""
    version: str = ""
    outputs: tuple[str, ...] = ()


class _Writer:
    """Tables of a flatbuffer, from the leaves up."""

    def __init__(self) -> None:
        self.builder = flatbuffers.Builder(1024)

    def text(self, value: str) -> int:
        return int(self.builder.CreateString(value))

    def floats(self, values: Sequence[float]) -> int:
        return int(self.builder.CreateNumpyVector(np.asarray(values, np.float32)))

    def list(self, *offsets: int) -> int:
        self.builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            self.builder.PrependUOffsetTRelative(offset)
        return int(self.builder.EndVector())

    def table(self, size: int, offsets: dict[int, int], numbers: dict[int, tuple[str, int]]) -> int:
        """`offsets` are fields that point to others; `numbers` have (kind, value)."""
        self.builder.StartObject(size)
        for field, offset in offsets.items():
            self.builder.PrependUOffsetTRelativeSlot(field, offset, 0)
        for field, (kind, value) in numbers.items():
            getattr(self.builder, f"Prepend{kind}Slot")(field, value, 0)
        return int(self.builder.EndObject())


def _normalization(w: _Writer, metadata: FileMetadata) -> int:
    options = w.table(2, {0: w.floats(metadata.mean), 1: w.floats(metadata.std)}, {})
    return w.table(2, {1: options}, {0: ("Uint8", _NORMALIZATION)})


def _input_tensor(w: _Writer, metadata: FileMetadata) -> int:
    height, width = metadata.image_size
    size = w.table(2, {}, {0: ("Uint32", width), 1: ("Uint32", height)})
    image = w.table(2, {1: size}, {0: ("Int8", _RGB)})
    content = w.table(3, {1: image}, {0: ("Uint8", _IMAGE)})
    units = w.list(_normalization(w, metadata))
    return w.table(7, {0: w.text("image"), 3: content, 4: units}, {})


def _output_tensor(w: _Writer, name: str, labelled: bool) -> int:
    feature = w.table(0, {}, {})
    content = w.table(3, {1: feature}, {0: ("Uint8", _FEATURE)})
    fields = {0: w.text(name), 3: content}
    if labelled:
        file = w.table(5, {0: w.text(LABELS_FILE)}, {2: ("Int8", _AXIS_LABELS)})
        fields[6] = w.list(file)
    return w.table(7, fields, {})


def _output_tensors(w: _Writer, metadata: FileMetadata) -> int:
    labelled = metadata.labels is not None
    names = metadata.outputs or (SCORES if labelled else "features",)
    return w.list(*(_output_tensor(w, name, labelled and name == SCORES) for name in names))


def _standard_buffer(metadata: FileMetadata) -> bytes:
    w = _Writer()
    graph = w.table(
        10,
        {2: w.list(_input_tensor(w, metadata)), 3: _output_tensors(w, metadata)},
        {},
    )
    fields = {
        0: w.text(metadata.name),
        1: w.text(metadata.description),
        2: w.text(metadata.version),
        3: w.list(graph),
        5: w.text(metadata.licence),
        7: w.text(_MIN_PARSER),
    }
    w.builder.Finish(w.table(8, fields, {}), file_identifier=_IDENTIFIER)
    return bytes(w.builder.Output())


def _archive(labels: Sequence[str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        # A fixed date: the same model gives the same bytes.
        info = zipfile.ZipInfo(LABELS_FILE, _EPOCH)
        archive.writestr(info, "".join(f"{label}\n" for label in labels))
    return buffer.getvalue()


def with_metadata(flatbuffer: bytes, metadata: FileMetadata) -> bytes:
    """A file that says what it is.

    Args:
        flatbuffer: of any TFLite model, without metadata.
        metadata: what to say.

    Returns:
        The model with a `TFLITE_METADATA` buffer and, where there are labels, the archive; its
        outputs in the order of their names in its signature.
    """
    model = unpacked(flatbuffer)
    order_outputs(model)
    entry = schema().MetadataT()
    entry.name, entry.buffer = _NAME, add_buffer(model, _standard_buffer(metadata))
    model.metadata = [*(model.metadata or []), entry]
    content = packed(model)
    return content if metadata.labels is None else content + _archive(metadata.labels)


def model_metadata(
    model: Any,
    kind: str,
    shape: tuple[int, int, int],
    input_dtype: str,
    labels: Sequence[str] | None,
) -> FileMetadata:
    """What a file of a Keras model says.

    Args:
        model: with one output where there are labels, or one of several that is named "scores".
        kind: of the file, in words.
        shape: height, width and channels of the input.
        input_dtype: "uint8" for pixels, which the file normalises.
        labels: of the outputs, or None.
    """
    checked = None if labels is None else check_labels(labels, _labelled_outputs(model))
    plain = input_dtype == "uint8" or shape[2] != len(IMAGENET_MEAN)
    return FileMetadata(
        name=model.name,
        description=f"{kind}; input {input_dtype} [1, {', '.join(map(str, shape))}]",
        labels=checked,
        mean=(0.0,) * shape[2] if plain else tuple(255 * m for m in IMAGENET_MEAN),
        std=(1.0,) * shape[2] if plain else tuple(255 * s for s in IMAGENET_STD),
        image_size=shape[:2],
        version=__version__,
        outputs=tuple(model.output_names) if len(model.outputs) > 1 else (),
    )


def _labelled_outputs(model: Any) -> int:
    """How many scores a model gives for one image, or for one of its boxes."""
    shapes = [output.shape for output in model.outputs]
    if len(shapes) == 1:
        return int(shapes[0][-1])
    if SCORES not in model.output_names:
        raise UserError(
            f"`labels` are for models of one output, or of one that is named {SCORES!r}. "
            f"Received: a model with {len(shapes)}"
        )
    return int(shapes[model.output_names.index(SCORES)][-1])


def check_labels(labels: Sequence[str], outputs: int) -> tuple[str, ...]:
    """One label for each output, each a line of text."""
    checked = tuple(str(label) for label in labels)
    if len(checked) != outputs:
        raise UserError(
            f"`labels` must be {outputs}, one for each output of the model. "
            f"Received: {len(checked)}"
        )
    for label in checked:
        if not label.strip() or "\n" in label or "\r" in label:
            raise UserError(f"each of `labels` must be one line of text. Received: {label!r}")
    return checked


def read_labels(flatbuffer: bytes) -> tuple[str, ...] | None:
    """The labels of a file's outputs, or None where it has none.

    Args:
        flatbuffer: the bytes of any TFLite file.

    Source: the layout of metadata in TFLite files, tflite-support.
    Departs from source: none.
    """
    buffer = io.BytesIO(flatbuffer)
    if not zipfile.is_zipfile(buffer):
        return None
    with zipfile.ZipFile(buffer) as archive:
        if LABELS_FILE not in archive.namelist():
            return None
        # Not splitlines, which also splits at characters that a label may have.
        return tuple(archive.read(LABELS_FILE).decode().removesuffix("\n").split("\n"))
