"""What the zoo holds: `manifest.json` as frozen dataclasses, and look-ups by name."""

from __future__ import annotations

import dataclasses
import datetime
import fnmatch
import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from burn_tf._checks import UserError, check_choice
from burn_tf.recipes.base import Network
from zoo.records import build_record, parse_json, plain

if TYPE_CHECKING:
    import tensorflow as tf

FORMAT = 1
# The package's own folder; the publishing tool and the tests point elsewhere.
FOLDER = Path(__file__).resolve().parent
DEFAULT = "default"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)+")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{7,40}")


def _check_pattern(where: str, value: str, pattern: re.Pattern[str], wanted: str) -> None:
    if not pattern.fullmatch(value):
        raise UserError(f"{where} must be {wanted}. Received: {value!r}")


@dataclasses.dataclass(frozen=True)
class WeightFile:
    """One file of weights: what it must be, and where else than in the package it can be had.

    Args:
        name: file name without folder.
        size: in bytes.
        sha256: of the whole file, 64 lower-case hexadecimal digits.
        mirrors: https or http addresses, tried in this order.
        variant: what `weights` asks for: "default" for one of an entry's files.
    """

    name: str
    size: int
    sha256: str
    mirrors: tuple[str, ...] = ()
    variant: str = DEFAULT

    def __post_init__(self) -> None:
        _check_pattern("file name", self.name, _FILE_NAME, "plain, like weights.safetensors")
        _check_pattern("sha256", self.sha256, _SHA256, "64 lower-case hexadecimal digits")
        _check_pattern("variant", self.variant, _NAME, "a lower-case word")
        if self.size < 1:
            raise UserError(f"size must be a number of bytes, at least 1. Received: {self.size}")
        for mirror in self.mirrors:
            if not mirror.startswith(("https://", "http://")):
                raise UserError(f"a mirror must be an http(s) address. Received: {mirror!r}")


@dataclasses.dataclass(frozen=True)
class ModelInput:
    """Size and normalisation of pretraining: y = (pixel / scale - mean) / std."""

    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    scale: float = 255.0

    def __post_init__(self) -> None:
        if self.size < 1 or len(self.mean) != 3 or len(self.std) != 3:
            raise UserError(f"input needs a size, three means and three deviations: {self}")
        if min(*self.std, self.scale) <= 0:
            raise UserError(f"std and scale must be positive. Received: {self.std}, {self.scale}")


@dataclasses.dataclass(frozen=True)
class Paper:
    """A publication."""

    title: str
    url: str


@dataclasses.dataclass(frozen=True)
class Measured:
    """By us: day (ISO), command, commit of this repository, machine."""

    date: str
    command: str
    commit: str
    machine: str

    def __post_init__(self) -> None:
        try:
            datetime.date.fromisoformat(self.date)
        except ValueError as error:
            raise UserError(f"date must be YYYY-MM-DD. Received: {self.date!r}") from error
        _check_pattern("commit", self.commit, _COMMIT, "7 to 40 hexadecimal digits")


@dataclasses.dataclass(frozen=True)
class Reported:
    """By the authors: paper and table."""

    source: str


@dataclasses.dataclass(frozen=True)
class Metric:
    """One figure and where it comes from.

    Args:
        subject: what was measured: "this model", or what it is compared with.
        data: name of the data set.
        protocol: identifier, such as "linear:fast".
        metric: such as "top1".
        value: in percent for accuracies.
        measured, reported: the provenance, exactly one of them.
    """

    subject: str
    data: str
    protocol: str
    metric: str
    value: float
    measured: Measured | None = None
    reported: Reported | None = None

    def __post_init__(self) -> None:
        if (self.measured is None) is (self.reported is None):
            raise UserError(f"{self.protocol} needs `measured` or `reported`, exactly one of them")


@dataclasses.dataclass(frozen=True)
class Floor:
    """The figure below which the shipped file counts as broken.

    Args:
        data: name of the data set.
        protocol, metric: what is measured, such as "linear:fast" and "top1".
        value: the least, in percent.
        train_images, test_images: how many, the first ones of each class, equally many of each.
    """

    data: str
    protocol: str
    metric: str
    value: float
    train_images: int
    test_images: int


@dataclasses.dataclass(frozen=True)
class Entry:
    """One model of the zoo: how it is built, its files, and everything its card has to say.

    Args:
        name: by which `load` finds it.
        summary: one line.
        network: builder and its arguments: width, stem_strides, pad_values and so on.
        files: the weights; one of them is the variant "default".
        input: size and normalisation of pretraining.
        feature_dim: length of a pooled feature.
        method, recipe, settings: how it was trained: class, recipe and `--set` words.
        data: what it was trained on, and whether labels were used.
        teacher: where the teacher's knowledge comes from, labels included.
        licence, origin: of the weights: SPDX identifier; who trained them from what.
        paper: of the method.
        classes: outputs of the trained top in the files; None where they have none.
        metrics: figures with their provenance.
        floor: what `tests/zoo` holds the file to.
    """

    name: str
    summary: str
    network: Network
    files: tuple[WeightFile, ...]
    input: ModelInput
    feature_dim: int
    method: str
    recipe: str
    data: str
    teacher: str
    licence: str
    origin: str
    paper: Paper
    settings: tuple[str, ...] = ()
    classes: int | None = None
    metrics: tuple[Metric, ...] = ()
    floor: Floor | None = None

    def __post_init__(self) -> None:
        _check_pattern("model name", self.name, _NAME, "lower-case letters, digits and _")
        variants = [file.variant for file in self.files]
        if DEFAULT not in variants or len(set(variants)) < len(variants):
            raise UserError(
                f"{self.name}: files need variants that differ, one of them {DEFAULT!r}. "
                f"Received: {variants}"
            )

    def file(self, variant: str = DEFAULT) -> WeightFile:
        """The weights of one variant."""
        files = {file.variant: file for file in self.files}
        return files[check_choice("weights", variant, files)]

    def preprocess_input(self, images: Any) -> tf.Tensor:
        """Pixels of 0..255, RGB or grey, as this model was trained on: float32, the same shape.

        Grey images [..., H, W, 1] use the mean of the three channels' constants.

        Raises:
            UserError: the last axis has neither three channels nor one.
        """
        import tensorflow as tf

        values = tf.cast(images, tf.float32)
        mean, std = (
            tf.constant(values, tf.float32) for values in (self.input.mean, self.input.std)
        )
        if values.shape[-1] == 1:
            mean, std = tf.reduce_mean(mean), tf.reduce_mean(std)
        elif values.shape[-1] != 3:
            raise UserError(
                "`images` must have three channels (RGB) or one (grey): normalise others yourself. "
                f"Received: shape {tuple(values.shape)}"
            )
        return values * (1.0 / (self.input.scale * std)) - mean / std


def read_manifest(folder: Path | None = None) -> dict[str, Entry]:
    """All entries by name, in the order of `manifest.json` in `folder` (default: the package's).

    Raises:
        UserError: the file is damaged, has keys that this version does not know, or is of a later
            format.
    """
    path = (folder or FOLDER) / "manifest.json"
    document = parse_json(path.read_text(encoding="utf-8"), str(path))
    version = document.get("format") if isinstance(document, dict) else None
    if version != FORMAT or not isinstance(document.get("models"), list):
        raise UserError(
            f"{path} must have format {FORMAT} and a list of models: reinstall burn_tf, or upgrade "
            f"it. Received: format {version!r}"
        )
    entries = [
        build_record(Entry, value, f"{path}: models[{index}]")
        for index, value in enumerate(document["models"])
    ]
    found = {entry.name: entry for entry in entries}
    if len(found) < len(entries):
        raise UserError(f"{path} has a name twice: {[entry.name for entry in entries]}")
    return found


def manifest_text(entries: Iterable[Entry]) -> str:
    """`manifest.json` for these entries."""
    document = {"format": FORMAT, "models": [plain(entry) for entry in entries]}
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def get_entry(name: str) -> Entry:
    """Everything the zoo knows about one model.

    Raises:
        UserError: an unknown name; the nearest one is named.
    """
    entries = read_manifest()
    return entries[check_choice("name", name, entries)]


def list_models(pattern: str | None = None) -> list[str]:
    """Names of the models with weights, sorted.

    Args:
        pattern: with `*`, `?` and `[...]` as in a shell, such as "burn_*". Default None: all.
    """
    return sorted(fnmatch.filter(read_manifest(), pattern or "*"))


def preprocess_input(name: str) -> Callable[[Any], tf.Tensor]:
    """The normalisation of one model, for `dataset.map`: `get_entry(name).preprocess_input`."""
    return get_entry(name).preprocess_input
