"""What is wrong with a set of images, found before hours are spent on it."""

from __future__ import annotations

import dataclasses
import hashlib
import io
from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from PIL import Image

from burn_tf._checks import UserError, check_integer
from burn_tf.data.packed_source import without_substitutes
from burn_tf.data.sources import Source, find_files, load_source

_SIDES = ("train", "test")
_SHOWN = 5
_USUAL_MODES = ("RGB", "L", "1")
_ORIENTATION = 0x0112


@dataclasses.dataclass(frozen=True)
class Finding:
    """One kind of trouble.

    Args:
        kind: "unusable", "corrupt", "duplicate", "leak", "tiny", "odd", "few" or "boxes".
        text: one line for the user.
        images: what it is about, all of it.
    """

    kind: str
    text: str
    images: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Check:
    """What a check found.

    Args:
        data: what was checked.
        splits: number of images, of classes (None without labels) and of objects of each split.
        findings: the troubles, the worst first; none is a sound set.
    """

    data: str
    splits: dict[str, dict[str, int | None]]
    findings: tuple[Finding, ...]

    @property
    def usable(self) -> bool:
        """Whether the library can work with the set at all."""
        return all(finding.kind != "unusable" for finding in self.findings)

    def text(self) -> str:
        """A line per split and per finding, and the verdict."""
        lines = []
        for split, counts in self.splits.items():
            told = ", ".join(f"{n} {what}" for what, n in counts.items() if n is not None)
            lines.append(f"{split}: {told}")
        for finding in self.findings:
            lines.append(f"{finding.kind}: {finding.text}")
            lines += [f"  {name}" for name in finding.images[:_SHOWN]]
            if len(finding.images) > _SHOWN:
                lines.append(f"  ... and {len(finding.images) - _SHOWN} more")
        verdict = "usable" if self.usable else "not usable"
        number = len(self.findings)
        return "\n".join([*lines, f"{self.data}: {verdict}, {number or 'no'} finding(s)"])


def check_source(spec: str, few: int = 10, tiny: int = 32) -> Check:
    """Read every image of both splits once, and say what may be wrong with them.

    corrupt    files that cannot be read (they are skipped everywhere else)
    duplicate  files of the same bytes within a split
    leak       files of the same bytes in train and test: a figure would flatter
    tiny       a side shorter than `tiny` pixels
    odd        CMYK, palettes, transparency, 16 bits, animations, or turned by EXIF: read right,
               and a sign that the set was put together from several places
    few        classes with fewer than `few` images to train on
    boxes      boxes outside their image or without area, and images without any object
    unusable   the set cannot be loaded, or its splits have different classes

    Args:
        spec: as for `load_source`.
        few: at least 0.
        tiny: pixels, at least 0.

    Returns:
        Check. What `load_source` refuses is a finding here, not an error.

    Raises:
        UserError: `few` or `tiny` is negative.

    Example:
        >>> from burn_tf.data import check_source
        >>> check_source("synthetic:20").usable
        True
    """
    check_integer("few", few, low=0)
    check_integer("tiny", tiny, low=0)
    sources: dict[str, Source] = {}
    findings: list[Finding] = []
    for split in _SIDES:
        try:
            sources[split] = without_substitutes(load_source(spec, split=split))
        except UserError as error:
            findings.append(Finding("unusable", f"{split}: {error}"))
    findings += _of_classes(sources, few)
    findings += _of_files(spec, sources, tiny)
    findings += _of_objects(sources)
    counts = {split: _counts(source) for split, source in sources.items()}
    return Check(spec, counts, tuple(findings))


def _counts(source: Source) -> dict[str, int | None]:
    held = None
    if source.labels is not None:
        held = len(np.unique(source.labels))
    elif source.targets is not None:
        held = int((source.targets == 1).any(axis=0).sum())
    objects = sum(map(len, source.objects)) if source.objects else None
    return {"images": source.num_images, "classes": held, "objects": objects}


def _of_classes(sources: dict[str, Source], few: int) -> list[Finding]:
    train, test = sources.get("train"), sources.get("test")
    found = []
    if train is not None and test is not None and _kinds(train) != _kinds(test):
        text = f"train has {_kinds(train)}, test has {_kinds(test)}"
        found.append(Finding("unusable", text))
    if train is None:
        return found
    amounts = _amounts(train)
    names = train.class_names or tuple(map(str, range(len(amounts))))
    rare = tuple(f"{names[i]}: {number}" for i, number in enumerate(amounts) if 0 < number < few)
    if rare:
        found.append(Finding("few", f"{len(rare)} classes have fewer than {few} images", rare))
    empty = tuple(names[i] for i, number in enumerate(amounts) if number == 0)
    if empty:
        found.append(Finding("few", f"{len(empty)} classes have no image to train on", empty))
    return found


def _kinds(source: Source) -> str:
    if source.class_names is not None:
        number = len(source.class_names)
    elif source.labels is not None:
        number = len(np.unique(source.labels))
    else:
        return "no labels"
    return f"{number} classes"


def _amounts(source: Source) -> np.ndarray:
    if source.targets is not None:
        return np.asarray((source.targets == 1).sum(axis=0))
    if source.labels is None:
        return np.zeros(0, int)
    return np.bincount(source.labels, minlength=len(source.class_names or ()))


def _of_files(spec: str, sources: dict[str, Source], tiny: int) -> list[Finding]:
    corrupt, small, odd = [], [], []
    places: dict[bytes, list[tuple[str, str]]] = defaultdict(list)
    for split, source in sources.items():
        corrupt += [f"{path} ({reason})" for path, reason in source.skipped]
        for name, data, (height, width, unusual) in _stored(spec, source, corrupt):
            places[hashlib.sha256(data).digest()].append((split, name))
            if min(height, width) < tiny:
                small.append(f"{name}: {width} x {height}")
            if unusual:
                odd.append(f"{name}: {unusual}")
    same, leaks = _copies(places)
    rows = (
        ("corrupt", "files cannot be read and are skipped", corrupt),
        ("leak", "images are both in train and in test", leaks),
        ("duplicate", "images are there more than once", same),
        ("tiny", f"images have a side shorter than {tiny} px", small),
        ("odd", "images are stored in an unusual way", odd),
    )
    return [
        Finding(kind, f"{len(names)} {text}", tuple(names)) for kind, text, names in rows if names
    ]


_Look = tuple[int, int, str]  # height, width, what is unusual or ""


def _stored(spec: str, source: Source, corrupt: list[str]) -> Iterator[tuple[str, bytes, _Look]]:
    """Name, bytes and look of every image, one at a time; packed ones may turn out corrupt."""
    if source.records is not None:
        for index, name in enumerate(source.records.names):
            try:
                data = source.records.read(index)
                yield f"{source.split}/{name.decode()}", data, _look(data)
            except (ValueError, OSError) as error:
                corrupt.append(f"{source.split}/{name.decode()} ({error})")
        return
    listing = find_files(spec, source.split)
    if listing is not None:
        skipped = {path for path, _ in source.skipped}
        for path in (path for path in listing.paths if path not in skipped):
            with open(path, "rb") as file:
                data = file.read()
            yield path, data, _look(data)
        return
    for index in range(source.num_images):
        name = f"{source.split} number {index}"
        if source.encoded:
            yield name, source.encoded[index], _look(source.encoded[index])
        else:
            pixels = source.image(index)
            yield name, pixels.tobytes(), (pixels.shape[0], pixels.shape[1], "")


def _look(data: bytes) -> _Look:
    with Image.open(io.BytesIO(data)) as image:
        unusual = [] if image.mode in _USUAL_MODES else [image.mode]
        if image.getexif().get(_ORIENTATION, 1) != 1:
            unusual.append("turned by EXIF")
        if getattr(image, "n_frames", 1) > 1:
            unusual.append("animated")
        return image.height, image.width, ", ".join(unusual)


def _copies(places: dict[bytes, list[tuple[str, str]]]) -> tuple[list[str], list[str]]:
    """Groups of equal images within a split, and across the splits."""
    same, leaks = [], []
    for group in places.values():
        if len(group) < 2:
            continue
        for split in _SIDES:
            own = [name for where, name in group if where == split]
            if len(own) > 1:
                same.append(" = ".join(own))
        if len({split for split, _ in group}) > 1:
            leaks.append(" = ".join(name for _, name in group))
    return same, leaks


def _of_objects(sources: dict[str, Source]) -> list[Finding]:
    found = [Finding("boxes", f"{s.split}: {s.repairs}") for s in sources.values() if s.repairs]
    for split, source in sources.items():
        empty = sum(len(objects) == 0 for objects in source.objects)
        if empty:
            text = f"{empty} of {source.num_images} images in {split} have no object"
            found.append(Finding("boxes", text))
    return found
