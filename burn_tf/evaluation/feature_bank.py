"""Features of a whole source, computed once and kept in a file where a folder is given for it."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf

from burn_tf._bank_file import DamagedBank, fits_half, read_bank, write_bank
from burn_tf._checks import UserError
from burn_tf.backbones.identity import feature_key
from burn_tf.data import Source
from burn_tf.evaluation.features import EvaluationData, feature_batches
from burn_tf.report.terminal import ProgressLine

# Up to here (512 MiB) a bank is float32, what networks give; beyond, half the memory counts more.
_FLOAT32_VALUES = 2**27


@dataclasses.dataclass(frozen=True)
class FeatureBank:
    """Features [N, D], float32 or float16, and the labels of a source's images, in its order.

    Args:
        features: in memory, or a read-only map of a file.
        labels: int64 [N], -1 where there are none; what the source has, for other targets.
    """

    features: np.ndarray
    labels: np.ndarray


class _NotHalf(Exception):
    """These features lose too much in float16."""


def features(
    backbone: Callable[..., tf.Tensor], source: Source, data: EvaluationData
) -> FeatureBank:
    """Features of every image of a source, with the backbone in inference mode.

    Up to 2^27 values are float32. Larger banks are float16, as 1.28 million x 1,024 then take
    2.6 GB, unless rounding moves an image's features by more than 2^-10 of their length (or out of
    float16's range): then they are float32 as well. With `data.cache` they are written to a file
    there, as they come, and mapped; the next call with the same weights, architecture, images,
    size and resizing reads that file. Files of networks no longer of interest are yours to delete.

    Args:
        backbone: images [B, H, W, C] -> features [B, D]. Without a config and weights (a plain
            function) it has no key, and its features stay in memory.
        source: the images.
        data: image and batch size, resizing, cache and progress; its splits are not looked at.

    Returns:
        The bank.

    Raises:
        UserError: as `extract_features`; or the cache cannot be written.

    Example:
        >>> from burn_tf.data import load_source
        >>> from burn_tf.evaluation import EvaluationData, feature_bank, raw_pixels
        >>> digits = load_source("digits", split="test")
        >>> bank = feature_bank.features(raw_pixels, digits, EvaluationData(digits, digits, 8))
        >>> bank.features.shape, bank.labels.shape
        ((359, 192), (359,))

    Source: none.
    Departs from source: none.
    """
    found = _extracted(backbone, source, data)
    labels = np.full(source.num_images, -1, np.int64) if source.labels is None else source.labels
    return FeatureBank(found, np.asarray(labels))


def _extracted(
    backbone: Callable[..., tf.Tensor], source: Source, data: EvaluationData
) -> np.ndarray:
    key = None if data.cache is None else feature_key(backbone, _input_facts(source, data))
    if key is None or data.cache is None:
        return _in_precision(lambda half: _in_memory(backbone, source, data, half))
    path = Path(data.cache).expanduser() / f"{key}.npy"
    kept = _kept(path, key, source.num_images)
    if kept is not None:
        return kept
    return _in_precision(lambda half: _to_file(path, key, backbone, source, data, half))


def _input_facts(source: Source, data: EvaluationData) -> dict[str, object]:
    return {"images": source.fingerprint, "image_size": data.image_size, **data.resizing()}


def _in_precision(extract: Callable[[bool], np.ndarray]) -> np.ndarray:
    try:
        return extract(True)
    except _NotHalf:
        print("features do not fit into float16: computed anew in float32", file=sys.stderr)
        return extract(False)


def _kept(path: Path, key: str, rows: int) -> np.ndarray | None:
    """The features in a file that holds the right ones, else None."""
    try:
        return read_bank(path, key, rows)
    except FileNotFoundError:
        return None
    except DamagedBank as error:
        print(f"kept features {path} are {error}: computed anew", file=sys.stderr, flush=True)
        return None
    except OSError as error:
        raise _unusable(path, error) from error


def _unusable(path: Path, error: OSError) -> UserError:
    return UserError(
        "`cache` must be a folder to write to with enough space: give another one, or none. "
        f"Received: {str(path.parent)!r} ({error.strerror or error})"
    )


def _in_memory(
    backbone: Callable[..., tf.Tensor], source: Source, data: EvaluationData, half: bool
) -> np.ndarray:
    dim, dtype, batches = _begin(backbone, source, data, half)
    array, used = np.empty((source.num_images, dim), dtype), 0
    for rows in batches:
        array[used : used + len(rows)] = rows
        used += len(rows)
    return array


def _to_file(
    path: Path,
    key: str,
    backbone: Callable[..., tf.Tensor],
    source: Source,
    data: EvaluationData,
    half: bool,
) -> np.ndarray:
    try:
        # Before the features, which may take hours.
        path.parent.mkdir(parents=True, exist_ok=True)
        dim, dtype, batches = _begin(backbone, source, data, half)
        with contextlib.closing(batches):  # Its progress ends before a message begins.
            write_bank(path, key, (source.num_images, dim), dtype, batches)
        return read_bank(path, key, source.num_images)
    except OSError as error:
        raise _unusable(path, error) from error


def _begin(
    backbone: Callable[..., tf.Tensor], source: Source, data: EvaluationData, half: bool
) -> tuple[int, np.dtype, Generator[np.ndarray, None, None]]:
    """Number of features, the type to keep them in, and the rows in that type."""
    batches = (rows for rows, _ in feature_batches(backbone, data.dataset(source)))
    first = next(batches)
    dim = int(first.shape[1])
    half = half and source.num_images * dim > _FLOAT32_VALUES
    rows = _rounded(itertools.chain([first], batches), np.dtype("f2" if half else "f4"))
    return dim, np.dtype("f2" if half else "f4"), _shown(rows, source) if data.progress else rows


def _rounded(batches: Iterator[np.ndarray], dtype: np.dtype) -> Generator[np.ndarray, None, None]:
    for rows in batches:
        with np.errstate(over="ignore"):
            kept = rows.astype(dtype)
            if dtype.itemsize == 2 and not fits_half(kept, rows):
                raise _NotHalf
        yield kept


def _shown(batches: Iterator[np.ndarray], source: Source) -> Generator[np.ndarray, None, None]:
    done = 0
    with ProgressLine(source.num_images, f"features of {source.name} ({source.split})") as line:
        for rows in batches:
            yield rows
            done += len(rows)
            line.update(done)
