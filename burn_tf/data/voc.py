"""Pascal VOC as its archives unpack: JPEGImages, Annotations, ImageSets; "voc:FOLDER".

    VOCdevkit/VOC2007/JPEGImages/000005.jpg
    VOCdevkit/VOC2007/Annotations/000005.xml
    VOCdevkit/VOC2007/ImageSets/Main/{trainval,test}.txt      an identifier per line
    VOCdevkit/VOC2012/...

FOLDER is one year's folder or the folder of several, whose train splits are then one (07+12).
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from xml.etree import ElementTree

import numpy as np

from burn_tf._checks import UserError
from burn_tf.data import images
from burn_tf.data.folders import Listing
from burn_tf.data.objects import BoxRepairs, Objects, image_targets

CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train",
    "tvmonitor",
)  # fmt: skip
_LAYOUT = "JPEGImages/, Annotations/ and ImageSets/Main/"
_Item = tuple[str, str]  # folder of a year, identifier of an image
_Marked = list[tuple[str, list[float], bool]]  # class, box, difficult


def read_voc(folder: str, split: str, year: str = "", strict: bool = False) -> Listing:
    """Files, boxes and image-level targets of one split.

    The test split is `test` of the years that have its annotations (VOC2007), and the train split
    is `trainval` of all years. Where no year has them (VOC2012 alone), they are `val` and `train`.

    Args:
        folder: of one year, or of several.
        split: "train", "test" or "all".
        year: "2007" for that one of several, "" for all.
        strict: a box outside its image or without area is an error.

    Raises:
        UserError: another layout, a lost annotation or one that is no XML.
    """
    roots = _roots(folder, year)
    parts = _parts(folder, roots)
    marked = {item: _annotation(*item) for side in parts.values() for item in side}
    names = _class_names(name for found in marked.values() for name, _, _ in found[0])
    wanted = parts["train"] + parts["test"] if split == "all" else parts[split]
    repairs = BoxRepairs()
    paths = [_image(*item) for item in wanted]
    objects = tuple(
        _objects(*marked[item], path, names, repairs)
        for item, path in zip(wanted, paths, strict=True)
    )
    told = repairs.report(folder, strict)
    root = os.path.abspath(os.path.expanduser(folder))
    targets = image_targets(objects, len(names))
    return Listing(root, paths, None, names, len(marked), targets, objects, told)


def _roots(folder: str, year: str) -> list[str]:
    root = os.path.abspath(os.path.expanduser(folder))
    below = sorted(os.listdir(root)) if os.path.isdir(root) else []
    places = [root, *(os.path.join(root, name) for name in below if name.startswith("VOC"))]
    found = [
        place
        for place in places
        if os.path.isdir(os.path.join(place, "ImageSets", "Main"))
        and (not year or os.path.basename(place).endswith(year))
    ]
    if not found:
        wanted = f"VOC{year}" if year else "VOC2007 or of others like it"
        raise UserError(
            f"`data` must be voc:FOLDER, the folder of {wanted} with {_LAYOUT}. "
            f"Received: {folder!r}"
        )
    return found


def _parts(folder: str, roots: list[str]) -> dict[str, list[_Item]]:
    tested = [root for root in roots if _has_test(root)]
    names = (["trainval"], ["test"]) if tested else (["train"], ["val"])
    # Two archives of a year hold different sets: what is not there as one list is put together.
    train = [item for root in roots for item in _identifiers(root, *names[0])]
    if tested and not train:
        train = [item for root in roots for item in _identifiers(root, "train", "val")]
    test = [item for root in tested or roots for item in _identifiers(root, *names[1])]
    if not train and not test:
        raise UserError(
            "`data` must list images in ImageSets/Main/trainval.txt and test.txt, or train.txt and "
            f"val.txt. Received: {folder!r} without any"
        )
    return {"train": train, "test": test}


def _has_test(root: str) -> bool:
    listed = _identifiers(root, "test")
    return bool(listed) and os.path.isfile(_annotation_file(*listed[0]))


def _identifiers(root: str, *names: str) -> list[_Item]:
    found: dict[_Item, None] = {}
    for name in names:
        path = os.path.join(root, "ImageSets", "Main", f"{name}.txt")
        if os.path.isfile(path):
            with open(path, encoding="utf-8") as lines:
                found |= {(root, line.split()[0]): None for line in lines if line.strip()}
    return list(found)


def _annotation_file(root: str, identifier: str) -> str:
    return os.path.join(root, "Annotations", f"{identifier}.xml")


def _image(root: str, identifier: str) -> str:
    stem = os.path.join(root, "JPEGImages", identifier)
    there = (f"{stem}{suffix}" for suffix in images.SUFFIXES if os.path.isfile(f"{stem}{suffix}"))
    return next(there, f"{stem}.jpg")


def _annotation(root: str, identifier: str) -> tuple[_Marked, tuple[int, int]]:
    """Objects and the size (height, width) that a file states; 0 where it states none."""
    path = _annotation_file(root, identifier)
    try:
        top = ElementTree.parse(path).getroot()
        marked = [_marked(found) for found in top.iter("object")]
        sides = tuple(int(float(top.findtext(f"size/{side}") or 0)) for side in ("height", "width"))
    except OSError as error:
        raise UserError(
            f"every listed image needs its annotation. Received: {path!r} ({error.strerror})"
        ) from error
    except (ElementTree.ParseError, ValueError) as error:
        raise UserError(
            f"an annotation must be XML as VOC has it ({error}). Received: {path!r}"
        ) from error
    return marked, (sides[0], sides[1])


def _marked(found: ElementTree.Element) -> tuple[str, list[float], bool]:
    corners = [found.findtext(f"bndbox/{name}") for name in ("xmin", "ymin", "xmax", "ymax")]
    name = (found.findtext("name") or "").strip()
    if not name or None in corners:
        raise ValueError("an object without a name or a box")
    left, top, right, bottom = (float(corner or 0) for corner in corners)
    # Pixels are counted from 1 and the last one belongs to the box.
    box = [left - 1.0, top - 1.0, right, bottom]
    return name, box, (found.findtext("difficult") or "0").strip() == "1"


def _class_names(found: Iterable[str]) -> tuple[str, ...]:
    """VOC's own classes in VOC's order, or whatever else is there in alphabetical order."""
    names = set(found)
    return CLASSES if names <= set(CLASSES) else tuple(sorted(names))


def _objects(
    marked: _Marked,
    size: tuple[int, int],
    path: str,
    names: tuple[str, ...],
    repairs: BoxRepairs,
) -> Objects:
    boxes = np.array([box for _, box, _ in marked], np.float32).reshape(-1, 4)
    classes = [names.index(name) for name, _, _ in marked]
    objects = Objects.of(boxes, classes, [difficult for _, _, difficult in marked])
    height, width = size if all(size) else images.file_size(path)
    return repairs.inside(objects, height, width, path) if height and width else objects
