"""Named protocols: the identifier in a result says exactly how it was measured."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import tensorflow as tf

from burn_tf._checks import UserError, check_choice
from burn_tf.evaluation.detect import DetectionProbe
from burn_tf.evaluation.embedding import EmbeddingProbe
from burn_tf.evaluation.fast_linear import FastLinearProbe
from burn_tf.evaluation.features import EvaluationData
from burn_tf.evaluation.frozen import FrozenFeatures
from burn_tf.evaluation.knn import KNNProbe
from burn_tf.evaluation.linear import LinearProbe
from burn_tf.evaluation.results import Result
from burn_tf.evaluation.segment import InstanceSegmentation
from burn_tf.evaluation.semi_supervised import SemiSupervised
from burn_tf.evaluation.splits import FeatureSplits, split_features
from burn_tf.evaluation.svm import SHOTS, SVMProbe
from burn_tf.evaluation.transfer import SCENES, TRANSFER_SETS, Transfer

# A probe of frozen features, or what trains the network itself.
Protocol = (
    FrozenFeatures
    | SemiSupervised
    | SVMProbe
    | EmbeddingProbe
    | DetectionProbe
    | InstanceSegmentation
)


def _burn() -> LinearProbe:
    return LinearProbe("linear:burn")


def _burn_scene() -> LinearProbe:
    return LinearProbe("linear:burn-scene", **SCENES)


def _msbreg() -> LinearProbe:
    return LinearProbe("linear:msbreg", learning_rate=0.2, weight_decay=1e-4)


PROTOCOLS: dict[str, Callable[[], Protocol]] = {
    "linear:burn": _burn,
    "linear:burn-scene": _burn_scene,
    "linear:msbreg": _msbreg,
    "linear:fast": FastLinearProbe,
    "knn:5": lambda: KNNProbe(5),
    "knn:20": lambda: KNNProbe(20),
    "knn:200": lambda: KNNProbe(200),
    "semi:1pct": lambda: SemiSupervised("semi:1pct", 0.01),
    "semi:10pct": lambda: SemiSupervised("semi:10pct", 0.1),
    "semi:list": lambda: SemiSupervised("semi:list", 1.0),
    "svm:voc07": SVMProbe,
    "svm:voc07-fewshot": lambda: SVMProbe("svm:voc07-fewshot", SHOTS),
    **{f"transfer:{name}": functools.partial(Transfer, name) for name in TRANSFER_SETS},
    "embedding": EmbeddingProbe,
    "detect:voc": DetectionProbe,
    "segment:coco": InstanceSegmentation,
}


def get_protocol(name: str) -> Protocol:
    """A new probe with the settings that `name` stands for.

    Args:
        name: One of `PROTOCOLS`: `linear:burn` (objects), `linear:burn-scene`, `linear:msbreg`,
            `linear:fast` (ours, closed form), `knn:5`, `knn:20`, `knn:200`, `semi:1pct`,
            `semi:10pct`, `semi:list` (the train split is the labelled part, such as
            images:1percent.txt:FOLDER), `svm:voc07`, `svm:voc07-fewshot`, `transfer:NAME`,
            `embedding`, `detect:voc` (a RetinaNet; needs boxes), `segment:coco` (Mask R-CNN; needs
            outlines, and tf-models-official in an environment of its own).

    Raises:
        UserError: unknown name; the message shows the nearest one.

    Example:
        >>> from burn_tf.evaluation import get_protocol
        >>> get_protocol("knn:20").k
        20

    Source: BURN and MSBReg; methods.md, section 4.
    Departs from source: see the probes.
    """
    check_choice("protocol", name, PROTOCOLS)
    return PROTOCOLS[name]()


def check_protocols(names: Sequence[str]) -> list[Protocol]:
    """New probes of several names.

    Raises:
        UserError: no name, an unknown one, or one twice.
    """
    protocols = [get_protocol(name) for name in names]
    if not names or len(set(names)) < len(names):
        raise UserError(f"`protocol` must be one or more names, each once. Received: {list(names)}")
    return protocols


def run_protocols(
    names: Sequence[str],
    backbone: Callable[..., tf.Tensor],
    data: EvaluationData,
    splits: FeatureSplits | None = None,
) -> list[Result]:
    """Several protocols on one backbone, whose features are extracted once.

    Args:
        names: of `PROTOCOLS`, each once.
        backbone: images [B, H, W, C] -> features [B, D]; its weights are read, not changed.
        data: the splits.
        splits: features of just this backbone and data, where they are there already.

    Returns:
        A result per name, in order: what each protocol's own `run` gives.

    Raises:
        UserError: no name, an unknown one, or one twice; and before any feature is computed, data
            that one of the protocols refuses.

    Example:
        >>> from burn_tf.data import load_source
        >>> from burn_tf.evaluation import EvaluationData, raw_pixels, run_protocols
        >>> digits = [load_source("digits", split=split) for split in ("train", "test")]
        >>> data = EvaluationData(*digits, image_size=8)
        >>> [result.protocol for result in run_protocols(["knn:5", "knn:20"], raw_pixels, data)]
        ['knn:5', 'knn:20']

    Source: none.
    Departs from source: none.
    """
    protocols = check_protocols(names)
    frozen = [protocol for protocol in protocols if isinstance(protocol, FrozenFeatures)]
    for protocol in protocols:
        protocol.check(data)
    if frozen and splits is None:
        splits = split_features(backbone, data)
    return [
        protocol.result(backbone, data, splits)
        if isinstance(protocol, FrozenFeatures) and splits is not None
        else protocol.run(backbone, data)
        for protocol in protocols
    ]
