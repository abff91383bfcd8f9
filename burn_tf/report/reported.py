"""Figures that the papers' authors report, to print beside ours. None of them was measured here.

Source: Kim & Choi, "Unsupervised Representation Learning for Binary Networks by Joint Classifier
    Learning" (BURN), CVPR 2022, arXiv 2110.08851, Tables 1 to 7; the other methods' rows of the
    linear evaluation are those in the README of the authors' code.
Not here: the other methods' rows of the other tables, BURN's supplement, and MSBReg's tables.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType

MARK = "reported by the authors"
_NETWORK = "ReActNet-A"


@dataclasses.dataclass(frozen=True)
class Reported:
    """One row of a paper's table.

    Args:
        method: as the paper calls it.
        protocol: what it was measured with, by the name of our protocol of the same constants.
        data: labelled data set of the evaluation.
        metrics: figures by our names, in percent.
        source: paper and table.
    """

    method: str
    protocol: str
    data: str
    metrics: Mapping[str, float]
    source: str

    @property
    def mark(self) -> str:
        """Says that the row is not ours, and whose it is."""
        return f"{MARK}: {self.source}, {_NETWORK}, pretrained on ImageNet"


def _row(method: str, protocol: str, data: str, source: str, **metrics: float) -> Reported:
    return Reported(method, protocol, data, MappingProxyType(metrics), source)


def _linear(source: str, **rows: float) -> tuple[Reported, ...]:
    return tuple(
        _row(name, "linear:burn", "ImageNet", source, top1=top1) for name, top1 in rows.items()
    )


_TASKS = "BURN, Tables 1 to 4"
_README = "BURN, README of the authors' code"
_TASK_ROWS = (
    *_linear(
        _README,
        **{
            "Supervised pretraining": 64.10,
            "SwAV": 49.41,
            "BYOL": 49.25,
            "Tuned MoCo v2": 52.50,
            "S2-BNN": 61.50,
        },
    ),
    *_linear(_TASKS, BURN=62.29),
    _row("BURN", "semi:1pct", "ImageNet, 1 %", _TASKS, top1=39.75, top5=67.13),
    _row("BURN", "semi:10pct", "ImageNet, 10 %", _TASKS, top1=49.96, top5=75.52),
    _row("BURN", "svm:voc07", "VOC07", _TASKS, map11=77.49),
    _row("BURN", "detect:voc", "VOC 07+12, test 07", _TASKS, ap=41.00, ap50=70.91, ap75=41.45),
    _row("BURN", "transfer:cifar10", "CIFAR-10", _TASKS, top1=84.60),
    _row("BURN", "transfer:cifar100", "CIFAR-100", _TASKS, top1=61.99),
    _row("BURN", "transfer:cub200", "CUB-200-2011", _TASKS, top1=49.62),
    _row("BURN", "transfer:birdsnap", "Birdsnap", _TASKS, top1=34.48),
    _row("BURN", "transfer:places205", "Places205", _TASKS, top1=47.22),
)
REPORTED: Mapping[str, tuple[Reported, ...]] = MappingProxyType(
    {
        "BURN, Tables 1 to 4: downstream tasks": _TASK_ROWS,
        "BURN, Table 5: what each component adds": _linear(
            "BURN, Table 5",
            **{
                "1 random joint classifier": 57.33,
                "2 + feature term, constant weight": 59.53,
                "3 + dynamic weight": 61.43,
                "4 + two stages (BURN)": 62.29,
            },
        ),
        "BURN, Table 6: distance of the feature term": _linear(
            "BURN, Table 6", L1=51.46, L2=50.28, cosine=62.29
        ),
        "BURN, Table 7: weight λ(t) of the feature term": _linear(
            "BURN, Table 7", constant=55.83, step=55.60, cosine=62.29
        ),
    }
)


def reported_rows(protocol: str) -> tuple[Reported, ...]:
    """Returns the papers' rows to print beside a result of `protocol`.

    A linear probe of any kind stands beside the papers' linear evaluation, and SVMs on few images
    beside the one on all; every other protocol has its own rows or none.

    Example:
        >>> [row.metrics["top5"] for row in reported_rows("semi:1pct")]
        [67.13]
        >>> reported_rows("knn:20")
        ()
    """
    task = protocol.partition(":")[0]
    if task == "linear":
        return tuple(row for row in _TASK_ROWS if row.protocol == "linear:burn")
    wanted = protocol.removesuffix("-fewshot")
    return tuple(row for row in _TASK_ROWS if row.protocol == wanted)
