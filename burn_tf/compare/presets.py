"""Ablations as sets of rows: the papers', with the figures that their authors report, and ours."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any


@dataclasses.dataclass(frozen=True)
class Variant:
    """One row of a comparison.

    Args:
        name: of the row and of its folders.
        method: name in `METHODS`, or "untrained", "raw_pixels".
        options: fields of the method's options that differ from its own sizes and defaults.
        stages: "two", "one" or "float" where the row fixes it; None: as asked for.
        num_views: views of each image where the row fixes it.
        reported: linear top-1 % that the authors report; None: not known here.
    """

    name: str
    method: str
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    stages: str | None = None
    num_views: int | None = None
    reported: float | None = None


@dataclasses.dataclass(frozen=True)
class Preset:
    """An ablation.

    Args:
        title: what it shows and where it stands.
        variants: its rows, in the paper's order.
        backbone: the kind of network the paper uses, where it is not the base recipe's.
        note: what a reader must know of how the rows were made.
        is_published: whether a paper has such a table, and with it figures to set beside ours.
    """

    title: str
    variants: tuple[Variant, ...]
    backbone: str | None = None
    note: str = ""
    is_published: bool = True


REPORTED = "reported by the authors, ImageNet, ReActNet-A"


def _constant(weight: float) -> dict[str, Any]:
    return {"feature_weight_kind": "constant", "feature_weight_end": weight}


_TABLE5 = Preset(
    "BURN, Table 5: what each component adds",
    (
        Variant("1_joint_classifier", "burn", _constant(0.0), "one", reported=57.33),
        Variant("2_feature_term", "burn", _constant(0.7), "one", reported=59.53),
        Variant("3_dynamic_weight", "burn", {}, "one", reported=61.43),
        Variant("4_two_stages", "burn", {}, "two", reported=62.29),
    ),
    note="Row 2 holds lambda at 0.7. The one-stage rows train as many epochs as both stages of row "
    "4 together.",
)
_BASELINES = Preset(
    "BURN and the methods that its authors set beside it (README of their code)",
    (
        Variant("supervised_classifier", "supervised_classifier", reported=64.10),
        Variant("swav", "swav", reported=49.41),
        Variant("byol", "byol", reported=49.25),
        Variant("moco_v2_tuned", "moco_v2_tuned", reported=52.50),
        Variant("s2bnn", "s2bnn", reported=61.50),
        Variant("burn", "burn", reported=62.29),
    ),
)
_TABLE6 = Preset(
    "BURN, Table 6: the feature term's distance",
    (
        Variant("l1", "burn", {"feature_loss": "l1"}, reported=51.46),
        Variant("l2", "burn", {"feature_loss": "l2"}, reported=50.28),
        Variant("cosine", "burn", {"feature_loss": "cosine"}, reported=62.29),
    ),
)
_TABLE7 = Preset(
    "BURN, Table 7: the feature term's weight lambda(t)",
    (
        Variant("constant", "burn", _constant(0.7), reported=55.83),
        Variant("step", "burn", {"feature_weight_kind": "step"}, reported=55.60),
        Variant("cosine", "burn", {"feature_weight_kind": "cosine"}, reported=62.29),
    ),
)
_CROSSED = {"view_pairing": "crossed"}
_LOGITS = {"feature_projection": "logits"}
_UNIT_LENGTH = {"feature_loss": "normalized_l2"}
_FORMS = Preset(
    "BURN, from the paper's form to that of its authors' code",
    (
        Variant("paper", "burn"),
        Variant("distance", "burn", _UNIT_LENGTH),
        Variant("logits", "burn", _LOGITS),
        Variant("two_views", "burn", num_views=2),
        Variant("crossed", "burn", _CROSSED, num_views=2),
        Variant("authors_code", "burn", _CROSSED | _LOGITS | _UNIT_LENGTH, num_views=2),
    ),
    note="Each row but the last changes one thing: the feature term as a squared distance of unit "
    "vectors (twice the cosine's), on the classifiers' outputs, two views each with its own "
    "target, or each with the other's. Two views cost more time in an epoch.",
    is_published=False,
)


def _terms(singular_value: bool, brownian: bool) -> dict[str, Any]:
    """The options without the terms that are off."""
    weights = {"singular_value_weight": singular_value, "brownian_weight": brownian}
    return {name: 0.0 for name, is_on in weights.items() if not is_on}


_TABLE8 = Preset(
    "MSBReg, Table 8: the loss terms on and off",
    (
        Variant("centroid", "msbreg", _terms(False, False)),
        Variant("centroid_singular", "msbreg", _terms(True, False)),
        Variant("centroid_brownian", "msbreg", _terms(False, True)),
        Variant("all_terms", "msbreg", _terms(True, True)),
    ),
    backbone="resnet18",
    note="The rows are ours; the paper's own rows and figures: reported: not known here.",
)
_TABLE11 = Preset(
    "MSBReg, Table 11: the number of views",
    tuple(Variant(f"views_{count}", "msbreg", {}, num_views=count) for count in (2, 4, 8)),
    backbone="resnet18",
    note="The rows are ours; the paper's own rows and figures: reported: not known here. More "
    "views cost more time in an epoch.",
)
PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "burn_baselines": _BASELINES,
        "burn_table5": _TABLE5,
        "burn_table6": _TABLE6,
        "burn_table7": _TABLE7,
        "burn_forms": _FORMS,
        "msbreg_table8": _TABLE8,
        "msbreg_table11": _TABLE11,
    }
)
