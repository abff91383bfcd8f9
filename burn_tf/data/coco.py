"""COCO's instances as its archives unpack: "coco:FOLDER".

    FOLDER/annotations/instances_{train,val}2017.json
    FOLDER/{train,val}2017/000000000139.jpg

The test split is `val`: the annotations of COCO's own test images are not public.
"""

from __future__ import annotations

import glob
import json
import os
from collections import defaultdict
from typing import Any

from burn_tf._checks import UserError
from burn_tf.data.folders import Listing
from burn_tf.data.objects import BoxRepairs, Objects, image_targets

_SIDES = {"train": ("train",), "test": ("val",), "all": ("train", "val")}


def read_coco(folder: str, split: str, year: str = "", strict: bool = False) -> Listing:
    """Files, boxes, outlines and image-level targets of one split.

    Classes are numbered from 0 in the order of their identifiers; images come in the order of
    theirs, those without an object included.

    Args:
        folder: see above.
        split: "train", "test" or "all".
        year: "2017" where there are several, "" for the only one.
        strict: a box outside its image or without area is an error.

    Raises:
        UserError: another layout, JSON that is not COCO's, or splits of different classes.
    """
    root = os.path.abspath(os.path.expanduser(folder))
    parts = [_read_part(folder, root, side, year, strict) for side in _SIDES[split]]
    names = parts[0][0]
    if any(part[0] != names for part in parts):
        counts = " and ".join(str(len(part[0])) for part in parts)
        raise UserError(f"train and val must have the same categories. Received: {counts} of them")
    paths = [path for part in parts for path in part[1]]
    objects = tuple(found for part in parts for found in part[2])
    targets = image_targets(objects, len(names))
    told = "; ".join(part[3] for part in parts if part[3])
    return Listing(root, paths, None, names, len(paths), targets, objects, told)


_Part = tuple[tuple[str, ...], list[str], list[Objects], str]


def _read_part(folder: str, root: str, side: str, year: str, strict: bool) -> _Part:
    path = _annotation_file(folder, root, side, year)
    where = os.path.join(root, os.path.basename(path)[len("instances_") : -len(".json")])
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
        return _part(folder, where, content, strict)
    except (KeyError, TypeError, json.JSONDecodeError, UnicodeDecodeError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise UserError(
            f"annotations must be JSON as COCO's instances are ({reason}). Received: {path!r}"
        ) from error


def _annotation_file(folder: str, root: str, side: str, year: str) -> str:
    pattern = f"instances_{side}{year or '*'}.json"
    found = sorted(glob.glob(os.path.join(glob.escape(root), "annotations", pattern)))
    if len(found) != 1:
        several = ": say which, such as coco2017:FOLDER" if found else ""
        raise UserError(
            f"`data` must be coco:FOLDER with one annotations/{pattern}{several}. "
            f"Received: {folder!r} with {len(found)}"
        )
    return found[0]


def _part(spec: str, where: str, content: dict[str, Any], strict: bool) -> _Part:
    categories = sorted(content["categories"], key=lambda category: category["id"])
    numbers = {category["id"]: i for i, category in enumerate(categories)}
    marked: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for annotation in content["annotations"]:
        marked[annotation["image_id"]].append(annotation)
    listed = sorted(content["images"], key=lambda image: image["id"])
    unknown = set(marked) - {image["id"] for image in listed}
    if unknown:
        raise UserError(
            "every annotation must be of a listed image. "
            f"Received: image_id {min(unknown)} in {spec!r}"
        )
    repairs = BoxRepairs()
    objects = [
        repairs.inside(
            _objects(marked[image["id"]], numbers),
            image["height"],
            image["width"],
            image["file_name"],
        )
        for image in listed
    ]
    told = repairs.report(spec, strict)
    paths = [os.path.join(where, image["file_name"]) for image in listed]
    return tuple(category["name"] for category in categories), paths, objects, told


def _objects(annotations: list[dict[str, Any]], numbers: dict[int, int]) -> Objects:
    boxes = []
    for annotation in annotations:
        left, top, width, height = annotation["bbox"]
        boxes.append([left, top, left + width, top + height])
    outlined = all("segmentation" in annotation for annotation in annotations)
    return Objects.of(
        boxes,
        [numbers[annotation["category_id"]] for annotation in annotations],
        crowd=[bool(annotation.get("iscrowd", 0)) for annotation in annotations],
        segmentations=[annotation["segmentation"] for annotation in annotations]
        if outlined
        else (),
    )
