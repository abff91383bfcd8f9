"""Parts of a set that a file names: "classes:FILE:DATA" and "images:FILE:DATA".

`classes:FILE:DATA` keeps the classes that FILE names, one per line, and numbers them anew in the
data's own order. ImageNet-100 is such a part of ImageNet. The list in common use is the one of
Tian et al. (Contrastive Multiview Coding, arXiv 1906.05849), file imagenet100.txt of the
repository HobbitLong/CMC, with a synset such as n02869837 as each line's first word; others exist,
so the file is an input here.

`images:FILE:DATA` keeps the images that FILE names, one per line: the published 1 % and 10 % of
ImageNet's labels (Chen et al., SimCLR, arXiv 2002.05709; 1percent.txt and 10percent.txt) have
lines such as n01440764_10074.JPEG. A test split stays whole.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from absl import logging

from burn_tf._checks import UserError, nearest
from burn_tf.data.folders import Listing

if TYPE_CHECKING:
    from burn_tf.data.sources import Source

KINDS = ("classes", "images")


@dataclasses.dataclass(frozen=True)
class Part:
    """A part of a set: `kind` is "classes" or "images", `file` names them."""

    kind: str
    file: str

    def names(self) -> list[str]:
        """The first word of every line; empty lines and those that start with # do not count.

        Raises:
            UserError: no such file, nothing in it, or no text.
        """
        path = os.path.expanduser(self.file)
        if not os.path.isfile(path):
            raise UserError(
                f"`data` must be {self.kind}:FILE:DATA with FILE a text file; no such file. "
                f"Received: {self.file!r}"
            )
        try:
            # Some editors begin a file with a byte order mark.
            with open(path, encoding="utf-8-sig") as lines:
                words = [line.split()[0] for line in lines if line.strip() and line[0] != "#"]
        except UnicodeDecodeError as error:
            raise UserError(
                f"`data`: the file of {self.kind} must be text in UTF-8. Received: {self.file!r}"
            ) from error
        if not words:
            raise UserError(f"`data`: the file of {self.kind} is empty. Received: {self.file!r}")
        return words


def split_parts(spec: str) -> tuple[list[Part], str]:
    """The parts that a spec asks for, from the data outwards, and the data itself.

    Raises:
        UserError: a spec that ends after FILE.
    """
    parts: list[Part] = []
    rest = spec
    while rest.partition(":")[0] in KINDS and ":" in rest:
        kind, _, after = rest.partition(":")
        file, colon, rest = after.partition(":")
        if not colon or not rest:
            raise UserError(f"`data` must be {kind}:FILE:DATA. Received: {spec!r}")
        parts.insert(0, Part(kind, file))
    return parts, rest


def part_of_listing(listing: Listing, part: Part, split: str) -> Listing:
    """The files of a part, before any of them is read."""
    if part.kind == "images":
        if split == "test":
            return listing
        return _take(listing, _named(listing.paths, part), listing.class_names, None)
    if listing.labels is None:
        raise _no_classes(part)
    kept, numbers = _classes(listing.class_names, part)
    new = np.array([numbers.get(label, -1) for label in listing.labels])
    return _take(listing, np.flatnonzero(new >= 0), kept, new)


def part_of_source(source: Source, part: Part) -> Source:
    """The images of a part of what is not made of files; without records only classes have names.

    Raises:
        UserError: `images`, or a source without classes.
    """
    if part.kind == "images":
        if source.records is not None:
            if source.split == "test":
                return source
            return source.subset(_named([name.decode() for name in source.records.names], part))
        raise UserError(
            "images:FILE:DATA needs image files (a folder or list:FILE) or packed:FOLDER. "
            f"Received: {source.name!r} (for TFDS: imagenet2012_subset/1pct)"
        )
    if source.labels is None:
        raise _no_classes(part)
    kept, numbers = _classes(source.class_names, part)
    new = np.array([numbers.get(int(label), -1) for label in source.labels], np.int64)
    chosen = source.subset(np.flatnonzero(new >= 0))
    return dataclasses.replace(chosen, labels=new[new >= 0], class_names=kept)


def _no_classes(part: Part) -> UserError:
    return UserError(
        "classes:FILE:DATA needs one class per image, such as a folder per class. "
        f"Received: {part.file!r} for data without"
    )


def _classes(there: Sequence[str] | None, part: Part) -> tuple[tuple[str, ...], dict[int, int]]:
    names = list(there or ())
    wanted = part.names()
    for name in wanted:
        if name not in names:
            guess = nearest(name, names)
            hint = f" Did you mean {guess!r}?" if guess else ""
            raise UserError(
                f"every class of {part.file!r} must be in the data.{hint} Received: {name!r}"
            )
    kept = [i for i, name in enumerate(names) if name in set(wanted)]
    if len(kept) < 2:
        raise UserError(f"{part.file!r} must name at least two classes. Received: {len(kept)}")
    return tuple(names[i] for i in kept), {old: new for new, old in enumerate(kept)}


def _named(paths: Sequence[str], part: Part) -> np.ndarray:
    """Positions of the named files; a line without a slash names a file in any folder."""
    wanted = {name.replace(os.sep, "/") for name in part.names()}
    depth = {name.count("/") + 1 for name in wanted}
    keep, found = [], set()
    for position, path in enumerate(paths):
        steps = path.replace(os.sep, "/").split("/")
        met = {"/".join(steps[-number:]) for number in depth} & wanted
        if met:
            keep.append(position)
            found |= met
    if not keep:
        raise UserError(f"the data must hold the named images. Received: none of {part.file!r}")
    if len(found) < len(wanted):
        logging.warning(
            "%d of %d images that %r names are not in the data, first: %s; left out.",
            len(wanted) - len(found),
            len(wanted),
            part.file,
            min(wanted - found),
        )
    return np.array(keep, np.int64)


def _take(
    listing: Listing, keep: np.ndarray, names: tuple[str, ...] | None, labels: np.ndarray | None
) -> Listing:
    own = labels if labels is not None else listing.labels
    return dataclasses.replace(
        listing,
        paths=[listing.paths[i] for i in keep],
        labels=None if own is None else [int(own[i]) for i in keep],
        class_names=names,
        total=listing.total - len(listing.paths) + len(keep),
        targets=None if listing.targets is None else listing.targets[keep],
        objects=tuple(listing.objects[i] for i in keep) if listing.objects else (),
    )
