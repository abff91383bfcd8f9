"""The table of methods that can be compared: their options, sized for the backbone at hand."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from types import MappingProxyType

from burn_tf.recipes import options
from burn_tf.recipes.base import Optimizer, Views
from burn_tf.recipes.options import MethodOptions

UNTRAINED, RAW_PIXELS = "untrained", "raw_pixels"
# The float networks that methods learn from, by their rows.
TEACHER, CLASSIFIER = "teacher", "classifier"
TEACHERS: Mapping[str, str] = MappingProxyType(
    {TEACHER: "float teacher (MSBReg)", CLASSIFIER: "float classifier (Supervised)"}
)
BASELINES: Mapping[str, str] = MappingProxyType(
    {UNTRAINED: "untrained backbone", RAW_PIXELS: "raw pixels"}
)
# For runs of minutes: the papers' 0.996 and 0.999 would hardly leave the initial weights.
_EMA = 0.99
_MOST_KEYS = 65_536
# Of SwAV's six, for runs of minutes.
_LOCAL_VIEWS = 4
_LEAST_LOCAL = 8
_LOCAL_POLICIES = {"cifar": "cifar_local", "digits": "digits"}
# S2-BNN's for MoCo v2: no warm-up.
_TUNED = Optimizer("adam", learning_rate=3e-4)


_SWAV_NOTE = (
    "SwAV has an epsilon of 0.03, which its authors advise where all images come to one code "
    "(the paper's is 0.05), and no queue."
)


@dataclasses.dataclass(frozen=True)
class Sizes:
    """What heads and queues are sized by, in the proportions of the papers.

    Args:
        feature_dim: D of the backbone.
        batch_size: images of a step.
        num_images: images of an epoch.
        stage_steps: updates of a stage.
    """

    feature_dim: int
    batch_size: int
    num_images: int
    stage_steps: int

    @property
    def embedding_dim(self) -> int:
        """A quarter of D, as MSBReg has 128 on ResNet-18's 512."""
        return max(16, self.feature_dim // 4)

    @property
    def whitened_dim(self) -> int:
        """W-MSE's 64, or what half a batch can whiten."""
        return max(2, min(64, self.embedding_dim, self.batch_size // 2))

    @property
    def frozen_steps(self) -> int:
        """SwAV's first epoch, in which prototypes stay; at most a quarter of a stage."""
        return min(self.num_images // self.batch_size, self.stage_steps // 4)

    @property
    def queue_size(self) -> int:
        """Keys of half an epoch in whole batches, at most the paper's 65,536."""
        batches = min(self.num_images // 2, _MOST_KEYS) // self.batch_size
        return self.batch_size * max(1, batches)


@dataclasses.dataclass(frozen=True)
class Entry:
    """One method.

    Args:
        options: from sizes to the recipe's choice of method.
        num_views: views of each image in a step.
        form: what tells it from another entry of the same method.
        local_views: small views of each image in a step, beside the others (multi-crop).
        optimizer: the method's own, where its form is one of training; None: as all others.
        note: what the table says of its settings.
    """

    options: Callable[[Sizes], MethodOptions]
    num_views: int = 2
    form: str = ""
    local_views: int = 0
    optimizer: Optimizer | None = None
    note: str = ""

    def views(self, shared: Views, num_views: int | None = None) -> Views:
        """Its views: the policy and size that all methods share."""
        own = dataclasses.replace(shared, num_views=num_views or self.num_views)
        if not self.local_views:
            return own
        return dataclasses.replace(
            own,
            local_views=self.local_views,
            local_size=max(_LEAST_LOCAL, shared.image_size * 3 // 7),  # 96 of 224 pixels
            local_policy=_LOCAL_POLICIES.get(shared.policy, "multicrop_local"),
        )


def _burn(sizes: Sizes) -> MethodOptions:
    return options.BURNOptions(num_outputs=sizes.feature_dim, hidden_dim=sizes.feature_dim)


def _burn_authors(sizes: Sizes) -> MethodOptions:
    return options.BURNOptions(
        num_outputs=sizes.feature_dim,
        hidden_dim=sizes.feature_dim,
        feature_loss="normalized_l2",
        feature_projection="logits",
        view_pairing="crossed",
    )


def _msbreg(sizes: Sizes) -> MethodOptions:
    return options.MSBRegOptions(sizes.feature_dim, sizes.embedding_dim, ema_base=_EMA)


def _byol(sizes: Sizes) -> MethodOptions:
    return options.BYOLOptions(sizes.feature_dim, sizes.embedding_dim, ema_base=_EMA)


def _moco_v2(sizes: Sizes) -> MethodOptions:
    return options.MoCoV2Options(
        sizes.feature_dim, sizes.embedding_dim, queue_size=sizes.queue_size, ema_decay=_EMA
    )


def _infomin(sizes: Sizes) -> MethodOptions:
    return options.InfoMinOptions(
        sizes.feature_dim, sizes.embedding_dim, queue_size=sizes.queue_size, ema_decay=_EMA
    )


def _s2bnn(sizes: Sizes) -> options.S2BNNOptions:
    return options.S2BNNOptions(
        hidden_dim=sizes.feature_dim, queue_size=sizes.queue_size, ema_decay=_EMA
    )


def _s2bnn_contrastive(sizes: Sizes) -> MethodOptions:
    return dataclasses.replace(_s2bnn(sizes), mode="contrastive")


def _s2bnn_both(sizes: Sizes) -> MethodOptions:
    return dataclasses.replace(_s2bnn(sizes), mode="both")


def _swav(sizes: Sizes) -> MethodOptions:
    # Codes are shared out over the prototypes by one batch: no more of them than that can fill.
    # With the paper's epsilon of 0.05 all images came to have the same code (the loss stayed at
    # log P, with and without frozen prototypes; CIFAR-10, 2026-11-22, commit f2bee6f); 0.03 is
    # what its authors advise then.
    return options.SwAVOptions(
        sizes.feature_dim,
        sizes.embedding_dim,
        num_prototypes=max(2, min(sizes.embedding_dim, sizes.batch_size)),
        epsilon=0.03,
        frozen_steps=sizes.frozen_steps,
    )


def _simclr_v2(sizes: Sizes) -> MethodOptions:
    return options.SimCLRV2Options(sizes.feature_dim, sizes.embedding_dim)


def _simsiam(sizes: Sizes) -> MethodOptions:
    return options.SimSiamOptions(sizes.feature_dim, sizes.feature_dim, sizes.embedding_dim)


def _barlow_twins(sizes: Sizes) -> MethodOptions:
    return options.BarlowTwinsOptions(2 * sizes.feature_dim, 2 * sizes.feature_dim)


def _vicreg(sizes: Sizes) -> MethodOptions:
    return options.VICRegOptions(2 * sizes.feature_dim, 2 * sizes.feature_dim)


def _wmse(sizes: Sizes) -> MethodOptions:
    return options.WMSEOptions(sizes.feature_dim, sizes.whitened_dim)


def _supervised(sizes: Sizes) -> MethodOptions:
    return options.SupervisedOptions()


def _supervised_classifier(sizes: Sizes) -> MethodOptions:
    return options.SupervisedOptions(targets="teacher")


METHODS: Mapping[str, Entry] = MappingProxyType(
    {
        "burn": Entry(_burn, num_views=1),
        "burn_authors": Entry(_burn_authors, form="authors' code"),
        "msbreg": Entry(_msbreg),
        "byol": Entry(_byol),
        "byol_multicrop": Entry(_byol, form="multi-crop", local_views=_LOCAL_VIEWS),
        "moco_v2": Entry(_moco_v2),
        "moco_v2_tuned": Entry(_moco_v2, form="tuned", optimizer=_TUNED),
        "s2bnn": Entry(_s2bnn, num_views=1),
        "s2bnn_contrastive": Entry(_s2bnn_contrastive, form="contrast"),
        "s2bnn_both": Entry(_s2bnn_both, form="distillation and contrast"),
        "swav": Entry(_swav, note=_SWAV_NOTE),
        "swav_multicrop": Entry(
            _swav, form="multi-crop", local_views=_LOCAL_VIEWS, note=_SWAV_NOTE
        ),
        "simclr_v2": Entry(_simclr_v2),
        "infomin": Entry(_infomin, num_views=3),
        "simsiam": Entry(_simsiam),
        "barlow_twins": Entry(_barlow_twins),
        "vicreg": Entry(_vicreg),
        "wmse": Entry(_wmse),
        "supervised": Entry(_supervised, num_views=1, form="labels"),
        "supervised_classifier": Entry(
            _supervised_classifier, num_views=1, form="float classifier's answers"
        ),
    }
)
