"""Transfer to another data set: BURN's linear probe, and whether the images are the set's."""

from __future__ import annotations

import dataclasses
from typing import Any

from burn_tf._checks import check_choice
from burn_tf.data import Source
from burn_tf.evaluation.features import EvaluationData
from burn_tf.evaluation.linear import LinearProbe
from burn_tf.report.runs import OTHER_DATA

# BURN's constants for pictures of scenes, which `linear:burn-scene` has as well.
SCENES: dict[str, Any] = {
    "learning_rate": 0.01,
    "epochs": 28,
    "decay_epochs": (7, 14, 21),
    "weight_decay": 1e-5,
}
_CIFAR10 = frozenset(
    ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
)


@dataclasses.dataclass(frozen=True)
class TransferSet:
    """A data set to transfer to.

    Args:
        classes: how many it has.
        source: what to give as `--data`, and where it comes from.
        constants: of the probe, where they are not `linear:burn`'s.
        names: of its classes, where their number alone says little; empty: any.
    """

    classes: int
    source: str
    constants: dict[str, Any] = dataclasses.field(default_factory=dict)
    names: frozenset[str] = frozenset()


TRANSFER_SETS = {
    "cifar10": TransferSet(
        10, "tfds:cifar10 (3.0.2), or folders train/CLASS and test/CLASS", names=_CIFAR10
    ),
    "cifar100": TransferSet(100, "tfds:cifar100 (3.0.2), or folders train/CLASS and test/CLASS"),
    "cub200": TransferSet(200, "tfds:caltech_birds2011 (0.2.0), or cub:CUB_200_2011 as unpacked"),
    "birdsnap": TransferSet(500, "no TFDS builder: folders train/CLASS and test/CLASS"),
    "places205": TransferSet(205, "no TFDS builder: folders train/CLASS and val/CLASS", SCENES),
    "inat18": TransferSet(
        8142, "tfds:i_naturalist2018 (1.0.0), or folders train/CLASS and val/CLASS"
    ),
}


class Transfer(LinearProbe):
    """`linear:burn` with the constants of one of the sets that the papers transfer to.

    It runs on any images with labels. Where the number of classes (of CIFAR-10: their names) shows
    that they are another set's, the result's provenance says so under `other_data`, since its
    figure then cannot stand beside the papers'.

    Args:
        dataset: cifar10, cifar100, cub200, birdsnap, places205 or inat18.
        seed: of the start values and of the order of rows.

    Raises:
        UserError: another name.

    Example:
        >>> from burn_tf.evaluation import Transfer
        >>> probe = Transfer("places205")
        >>> probe.name, probe.sgd.epochs
        ('transfer:places205', 28)

    Source: Kim & Choi (BURN, arXiv 2110.08851), transfer tables and supplement; methods.md,
        section 4. Scenes (Places205) have BURN's constants for scenes.
    Departs from source: see `LinearProbe`.
    """

    def __init__(self, dataset: str = "cifar10", seed: int = 0) -> None:
        self.dataset = check_choice("dataset", dataset, TRANSFER_SETS)
        self.set = TRANSFER_SETS[dataset]
        super().__init__(f"transfer:{dataset}", **self.set.constants, seed=seed)

    def remarks(self, data: EvaluationData) -> dict[str, Any]:
        """What shows that the images are another set's, if anything, under `other_data`."""
        other = self.other_data(data.train)
        return {} if other is None else {OTHER_DATA: other}

    def other_data(self, train: Source) -> str | None:
        """What shows that the images are not the set's, and what its images are; None: nothing."""
        names, labels = train.class_names, train.labels
        assert labels is not None  # as `check` says
        count = int(labels.max()) + 1 if names is None else len(names)
        if count != self.set.classes:
            shown = f"{count} classes in place of {self.set.classes}"
        elif self.set.names and names is not None and set(names) != self.set.names:
            shown = "other classes"
        else:
            return None
        return f"{train.name} is not {self.dataset}: {shown} ({self.set.source})"
