"""Finds image files and their labels in folders and lists, and splits them."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import stat
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from absl import logging

from burn_tf._checks import UserError
from burn_tf.data.images import SUFFIXES
from burn_tf.data.objects import Objects

_TEST_SHARE = 0.2
_TEST_FOLDERS = ("test", "val", "validation")


@dataclasses.dataclass(frozen=True)
class Listing:
    """Files of one split.

    Args:
        root: folder that names are relative to.
        paths: the files, sorted.
        labels: one per file, or None.
        class_names: name of each label, or None.
        total: files in all splits together.
        targets: what each file's image holds, as `Source` has it, or None.
        objects: one per file, or none at all.
        repairs: a line on boxes that were cut or left out, or "".
    """

    root: str
    paths: list[str]
    labels: list[int] | None
    class_names: tuple[str, ...] | None
    total: int
    targets: np.ndarray | None = None
    objects: tuple[Objects, ...] = ()
    repairs: str = ""


def read_folder(folder: str, split: str) -> Listing:
    """Image files below `folder`; a folder per class, or one flat folder without labels.

    Raises:
        UserError: no such folder, no images in it, or images both beside and inside folders.
    """
    root = os.path.abspath(os.path.expanduser(folder))
    if not os.path.isdir(root):
        raise UserError(
            "`data` must be digits, a folder, packed:FOLDER, tfds:NAME, list:FILE, synthetic:N, "
            "voc:FOLDER, coco:FOLDER, cub:FOLDER, classes:FILE:DATA or images:FILE:DATA; no such "
            f"folder. Received: {folder!r}"
        )
    train = os.path.join(root, "train")
    tests = [os.path.join(root, name) for name in _TEST_FOLDERS]
    test = next(filter(os.path.isdir, tests), None)
    if not os.path.isdir(train):
        return _listing(folder, root, _walk(root), split)
    if test is None:
        return _listing(folder, root, _walk(train), split)
    return _listing(folder, root, _walk(train), split, _walk(test))


def read_list(file: str, split: str) -> Listing:
    """Image files named in a text file: a path per line, relative to the file, and after a tab its
    label.

    Empty lines and lines that start with # are passed over.

    Raises:
        UserError: no such file, nothing in it, or labels on some lines only.
    """
    path = os.path.abspath(os.path.expanduser(file))
    if not os.path.isfile(path):
        raise UserError(
            "`data` must be list:FILE with FILE a text file of paths; no such file. "
            f"Received: {file!r}"
        )
    root = os.path.dirname(path)
    rows = _rows(file, path)
    if {len(row) for row in rows} - {1, 2} or len({len(row) for row in rows}) > 1:
        raise UserError(
            f"each line of the list must be PATH, or each PATH, a tab, LABEL. Received: {file!r}"
        )
    found = [
        (os.path.join(root, os.path.expanduser(row[0])), row[1] if len(row) == 2 else None)
        for row in rows
    ]
    return _listing(file, root, found, split)


def _rows(file: str, path: str) -> list[list[str]]:
    try:
        # Some editors begin a file with a byte order mark.
        with open(path, encoding="utf-8-sig") as lines:
            return [
                line.rstrip("\r\n").split("\t")
                for line in lines
                if line.strip() and not line.startswith("#")
            ]
    except UnicodeDecodeError as error:
        raise UserError(
            f"the list must be text in UTF-8: save it so. Received: {file!r}"
        ) from error


Found = list[tuple[str, str | None]]


def _walk(folder: str) -> Found:
    """(file, class) of every image; the class is the first folder on the way to it."""
    found: Found = []
    for where, below, names in os.walk(folder, followlinks=True):
        below[:] = sorted(
            name for name in below if not name.startswith(".") and not _leads_back(where, name)
        )
        label = None if where == folder else os.path.relpath(where, folder).split(os.sep)[0]
        for name in sorted(names):
            if name.lower().endswith(SUFFIXES) and not name.startswith("."):
                found.append((os.path.join(where, name), label))
    for path, _ in found:
        if not _is_text(path):
            raise UserError(f"`data` must have names in UTF-8: rename it. Received: {path!r}")
    return found


def _is_text(path: str) -> bool:
    """Whether a name is UTF-8; other bytes, as of old archives, no tensor of names holds."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _leads_back(where: str, name: str) -> bool:
    """Whether it is a link to a folder that it lies in, which would be walked round and round."""
    path = os.path.join(where, name)
    if not os.path.islink(path):
        return False
    target = os.path.realpath(path)
    return os.path.commonpath([target, os.path.realpath(where)]) == target


def _listing(spec: str, root: str, found: Found, split: str, test: Found | None = None) -> Listing:
    """One split of what was found; without images of its own for `test`, they are taken here."""
    found, test = _files(spec, found), None if test is None else _files(spec, test)
    everything = found + (test or [])
    names = [os.path.relpath(path, root) for path, _ in everything]
    numbers, class_names = _labels(spec, everything)
    if test is None:
        keep = split_positions(names, numbers, split)
    else:
        low, high = {"train": (0, len(found)), "test": (len(found), None), "all": (0, None)}[split]
        keep = list(range(len(everything)))[low:high]
    labels = None if numbers is None else [numbers[i] for i in keep]
    return Listing(root, [everything[i][0] for i in keep], labels, class_names, len(everything))


def _files(spec: str, found: Found) -> Found:
    """What can be opened without waiting for a writer for ever; the rest is told and left out."""
    special = {path for path, _ in found if _is_special(path)}
    if special:
        logging.warning(
            "%d of %d images in %r are pipes, sockets or devices, first: %s; left out.",
            len(special), len(found), spec, min(special),
        )  # fmt: skip
    return [row for row in found if row[0] not in special] if special else found


def _is_special(path: str) -> bool:
    """Whether it is there and is neither a file nor a folder."""
    try:
        mode = os.stat(path).st_mode
    except OSError:  # Found and counted where it is opened.
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _labels(spec: str, found: Found) -> tuple[list[int] | None, tuple[str, ...] | None]:
    """Number of each file's class, and the classes, which are the same for all splits."""
    if not found:
        raise UserError(
            f"`data` must hold images ({', '.join(SUFFIXES)}). Received: {spec!r} without any"
        )
    classes = sorted({label for _, label in found if label is not None})
    if classes and any(label is None for _, label in found):
        raise UserError(
            "`data` must hold either images or a folder per class, not both; move the loose images "
            f"away, or name the images in a file: list:FILE. Received: {spec!r}"
        )
    if len(classes) < 2:  # one folder is a place, not a class
        return None, None
    number = {name: i for i, name in enumerate(classes)}
    return [number[str(label)] for _, label in found], tuple(classes)


def split_positions(names: Sequence[str], labels: Sequence[int] | None, split: str) -> list[int]:
    """Positions of the train (80 %) or test (20 %) images, the same whatever the machine, and in
    order.

    Each class is split on its own; a class of two or more gives at least one image to either side.

    Args:
        names: what each image is called; decides its side.
        labels: class of each image, or None for one class.
        split: "train", "test" or "all".
    """
    if split == "all":
        return list(range(len(names)))
    groups: dict[int, list[int]] = defaultdict(list)
    for position in range(len(names)):
        groups[0 if labels is None else labels[position]].append(position)
    test: set[int] = set()
    for members in groups.values():
        ordered = sorted(
            members, key=lambda i: hashlib.sha256(names[i].replace(os.sep, "/").encode()).digest()
        )
        number = max(1, round(_TEST_SHARE * len(members))) if len(members) > 1 else 0
        test.update(ordered[:number])
    return [i for i in range(len(names)) if (i in test) == (split == "test")]
