"""The table of methods that can be compared: their options, sized for the backbone at hand."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from types import MappingProxyType

from burn_tf.recipes import options
from burn_tf.recipes.options import MethodOptions

UNTRAINED, RAW_PIXELS, TEACHER = "untrained", "raw_pixels", "teacher"
BASELINES: Mapping[str, str] = MappingProxyType(
    {UNTRAINED: "untrained backbone", RAW_PIXELS: "raw pixels"}
)
# For runs of minutes: the papers' 0.996 and 0.999 would hardly leave the initial weights.
_EMA = 0.99
_MOST_KEYS = 65_536


@dataclasses.dataclass(frozen=True)
class Sizes:
    """What heads and queues are sized by, in the proportions of the papers.

    Args:
        feature_dim: D of the backbone.
        batch_size: images of a step.
        num_images: images of an epoch.
    """

    feature_dim: int
    batch_size: int
    num_images: int

    @property
    def embedding_dim(self) -> int:
        """A quarter of D, as MSBReg has 128 on ResNet-18's 512."""
        return max(16, self.feature_dim // 4)

    @property
    def whitened_dim(self) -> int:
        """W-MSE's 64, or what half a batch can whiten."""
        return max(2, min(64, self.embedding_dim, self.batch_size // 2))

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
    """

    options: Callable[[Sizes], MethodOptions]
    num_views: int = 2
    form: str = ""


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


def _s2bnn(sizes: Sizes) -> MethodOptions:
    return options.S2BNNOptions(
        hidden_dim=sizes.feature_dim, queue_size=sizes.queue_size, ema_decay=_EMA
    )


def _swav(sizes: Sizes) -> MethodOptions:
    # Codes are shared out over the prototypes by one batch: no more of them than that can fill.
    return options.SwAVOptions(
        sizes.feature_dim,
        sizes.embedding_dim,
        num_prototypes=max(2, min(sizes.embedding_dim, sizes.batch_size)),
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


METHODS: Mapping[str, Entry] = MappingProxyType(
    {
        "burn": Entry(_burn, num_views=1),
        "burn_authors": Entry(_burn_authors, form="authors' code"),
        "msbreg": Entry(_msbreg),
        "byol": Entry(_byol),
        "moco_v2": Entry(_moco_v2),
        "s2bnn": Entry(_s2bnn, num_views=1),
        "swav": Entry(_swav),
        "simclr_v2": Entry(_simclr_v2),
        "infomin": Entry(_infomin, num_views=3),
        "simsiam": Entry(_simsiam),
        "barlow_twins": Entry(_barlow_twins),
        "vicreg": Entry(_vicreg),
        "wmse": Entry(_wmse),
        "supervised": Entry(_supervised, num_views=1),
    }
)
