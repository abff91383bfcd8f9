"""Caltech-UCSD Birds 200-2011 as its archive unpacks: "cub:FOLDER".

CUB_200_2011/images.txt               1 001.Black_footed_Albatross/Black_Footed_..._0046.jpg
CUB_200_2011/image_class_labels.txt   1 1
CUB_200_2011/train_test_split.txt     1 0          1 is an image to train on
CUB_200_2011/classes.txt              1 001.Black_footed_Albatross
CUB_200_2011/images/
"""

from __future__ import annotations

import os

from burn_tf._checks import UserError
from burn_tf.data.folders import Listing

_INNER = "CUB_200_2011"


def read_cub(folder: str, split: str) -> Listing:
    """Files and classes of one split of the official division.

    Args:
        folder: CUB_200_2011, or the folder that it lies in.
        split: "train", "test" or "all".

    Raises:
        UserError: another layout, or lists that do not name the same images.
    """
    root = os.path.abspath(os.path.expanduser(folder))
    if os.path.isdir(os.path.join(root, _INNER)):
        root = os.path.join(root, _INNER)
    files = _table(folder, root, "images.txt")
    labels = _table(folder, root, "image_class_labels.txt")
    sides = _table(folder, root, "train_test_split.txt")
    names = _table(folder, root, "classes.txt")
    for other, table in (("image_class_labels.txt", labels), ("train_test_split.txt", sides)):
        if table.keys() != files.keys():
            raise UserError(
                f"images.txt and {other} must name the same images. "
                f"Received: {len(files)} and {len(table)} in {folder!r}"
            )
    order = sorted(names, key=int)
    if not set(labels.values()) <= set(order):
        raise UserError(f"every class must be in classes.txt. Received: others in {folder!r}")
    numbers = {identifier: i for i, identifier in enumerate(order)}
    keep = [i for i in files if split == "all" or (sides[i] == "1") == (split == "train")]
    paths = [os.path.join(root, "images", *files[i].split("/")) for i in keep]
    class_names = tuple(names[i] for i in order)
    return Listing(root, paths, [numbers[labels[i]] for i in keep], class_names, len(files))


def _table(folder: str, root: str, name: str) -> dict[str, str]:
    path = os.path.join(root, name)
    if not os.path.isfile(path):
        raise UserError(
            f"`data` must be cub:FOLDER, the folder CUB_200_2011 with {name}. Received: {folder!r}"
        )
    with open(path, encoding="utf-8") as lines:
        rows = [line.split(None, 1) for line in lines if line.strip()]
    if any(len(row) != 2 for row in rows):
        raise UserError(f"each line of {name} must be a number and a value. Received: {path!r}")
    return {number: value.strip() for number, value in rows}
