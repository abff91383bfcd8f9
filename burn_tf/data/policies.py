"""Augmentation policies, by name, with where each figure comes from."""

from __future__ import annotations

import dataclasses
from types import MappingProxyType

from burn_tf._checks import UserError, check_choice, check_integer, check_range

Range = tuple[float, float]
# Of RandAugment: every image has numbers for so many.
MAX_LAYERS = 4


@dataclasses.dataclass(frozen=True)
class Policy:
    """What may happen to a view, and how likely; in this order, but RandAugment precedes grey.

    Args:
        name: what results and logs call the policy.
        crop_area: share of the image's area that the crop covers, drawn uniformly; 0 < low <= high
            <= 1.
        crop_ratio: width / height of the crop, drawn log-uniformly.
        flip: probability of mirroring left-right.
        jitter: probability that brightness, contrast, saturation and hue change, in random order.
        brightness: the factor is drawn from [max(0, 1 - b), 1 + b].
        contrast: likewise; blends with the mean grey of the image.
        saturation: likewise; blends with the pixel's grey.
        hue: the colour circle is turned by a share drawn from [-hue, hue]; at most 0.5.
        grey: probability of dropping colour.
        blur: probability of a Gaussian blur.
        blur_sigma: its standard deviation in pixels of the view, drawn uniformly.
        rand_augment: how many operations of RandAugment are drawn, 0 to 4; see
            `burn_tf.data.rand_augment`.
        rand_magnitude: mean level of these, 0 to 10.
        rand_deviation: deviation of the level, above 0.
        solarise: probability of inverting every value of 128 and more.
        antialias: low-pass filter where the crop is shrunk (Pillow's behaviour); False: plain
            bilinear.

    Raises:
        UserError: a probability or a range outside its limits.

    Example:
        >>> import dataclasses
        >>> import burn_tf
        >>> policy = burn_tf.data.get_policy("moco_v2")
        >>> dataclasses.replace(policy, blur=0.0).blur
        0.0

    Source: T. Chen et al., "A Simple Framework for Contrastive Learning", arXiv 2002.05709,
    appendix A. Departs from source: hue turns chroma in YIQ, see
    `burn_tf.data.colours.jitter`; every crop is resized bilinearly, where SimCLR, BYOL,
    Barlow Twins, VICReg, W-MSE and BURN's authors do so bicubically.
    """

    name: str
    crop_area: Range = (0.08, 1.0)
    crop_ratio: Range = (3 / 4, 4 / 3)
    flip: float = 0.5
    jitter: float = 0.8
    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 0.1
    grey: float = 0.2
    blur: float = 0.5
    blur_sigma: Range = (0.1, 2.0)
    rand_augment: int = 0
    rand_magnitude: float = 10.0
    rand_deviation: float = 0.5
    solarise: float = 0.0
    antialias: bool = True

    def __post_init__(self) -> None:
        for field in ("flip", "jitter", "grey", "blur", "solarise"):
            check_range(field, getattr(self, field), low=0.0, high=1.0)
        for field in ("brightness", "contrast", "saturation"):
            check_range(field, getattr(self, field), low=0.0)
        check_range("hue", self.hue, low=0.0, high=0.5)
        check_integer("rand_augment", self.rand_augment, low=0, high=MAX_LAYERS)
        check_range("rand_magnitude", self.rand_magnitude, low=0.0, high=10.0)
        check_range("rand_deviation", self.rand_deviation, low=0.0, low_open=True)
        _check_pair("crop_area", self.crop_area, high=1.0)
        _check_pair("crop_ratio", self.crop_ratio)
        _check_pair("blur_sigma", self.blur_sigma)


def _check_pair(name: str, pair: Range, high: float | None = None) -> None:
    if len(pair) != 2 or pair[0] > pair[1]:
        raise UserError(f"`{name}` must be a pair (low, high) with low <= high. Received: {pair!r}")
    for value in pair:
        check_range(name, value, low=0.0, low_open=True, high=high)


# SimCLR, appendix A, at its default strength of 1.
_SIMCLR = Policy("simclr", brightness=0.8, contrast=0.8, saturation=0.8, hue=0.2)
_ALL = (
    # The paper does not print its augmentation; SimCLR's, which its baselines share, with the
    # jitter of MoCo v2.
    Policy("burn_paper"),
    # BURN's authors' published settings, for both views.
    Policy("burn_authors", jitter=0.6, blur=0.2),
    # MoCo v2's "aug+" (X. Chen et al., arXiv 2003.04297).
    Policy("moco_v2", crop_area=(0.2, 1.0)),
    # MSBReg, Table 9.
    Policy("msbreg", saturation=0.2, hue=0.1, blur=1.0, solarise=0.2),
    # SwAV, appendix A: two large crops and six small ones, with the jitter of SimCLR.
    dataclasses.replace(_SIMCLR, name="multicrop_global", crop_area=(0.14, 1.0)),
    dataclasses.replace(_SIMCLR, name="multicrop_local", crop_area=(0.05, 0.14)),
    # InfoMin, appendix: twice the jitter of MoCo v2, and RandAugment as in the authors' code.
    dataclasses.replace(_SIMCLR, name="infomin", crop_area=(0.2, 1.0), rand_augment=2),
    # The authors' code for the view that is cut into pieces: a large crop, nothing else.
    Policy("infomin_jigsaw", crop_area=(0.6, 1.0), jitter=0.0, grey=0.0, blur=0.0),
    _SIMCLR,
    # S2-BNN, the authors' settings.
    Policy("s2bnn", crop_area=(0.2, 1.0), jitter=0.6, blur=0.2),
    # BYOL, appendix B, Table 6; Barlow Twins takes the same: one policy for each of two views.
    Policy("byol_1", saturation=0.2, blur=1.0),
    Policy("byol_2", saturation=0.2, blur=0.1, solarise=0.2),
    # VICReg, appendix C: BYOL's two policies made one.
    Policy("vicreg", saturation=0.2, solarise=0.1),
    # W-MSE, the authors' command for ImageNet-100.
    dataclasses.replace(_SIMCLR, name="wmse", blur=0.0),
    # Ours. A mirrored digit is another digit or none, colour carries nothing; a hard crop cuts a 7
    # into a 1.
    Policy("digits", crop_area=(0.6, 1.0), flip=0.0, saturation=0.0, hue=0.0, grey=0.0, blur=0.0),
    # 32 px: as SimCLR on CIFAR-10 (appendix B.9), no blur; the crop of MoCo v2.
    Policy("cifar", crop_area=(0.2, 1.0), blur=0.0),
    # Multi-crop on 32 px: the large crops as above, small ones of a quarter of the area and less.
    Policy("cifar_local", crop_area=(0.1, 0.3), blur=0.0),
    Policy("msbreg_cifar", crop_area=(0.2, 1.0), saturation=0.2, blur=0.0, solarise=0.2),
    # Flip and crop only: supervised training.
    Policy("supervised", jitter=0.0, grey=0.0, blur=0.0),
    Policy(
        "none",
        crop_area=(1.0, 1.0),
        crop_ratio=(1.0, 1.0),
        flip=0.0,
        jitter=0.0,
        grey=0.0,
        blur=0.0,
    ),
)
POLICIES = MappingProxyType({policy.name: policy for policy in _ALL})


def get_policy(policy: str | Policy) -> Policy:
    """The policy of that name; a `Policy` is handed through.

    Raises:
        UserError: unknown name; the nearest one is shown.

    Example:
        >>> import burn_tf
        >>> burn_tf.data.get_policy("msbreg").solarise
        0.2

    Source: none.
    Departs from source: none.
    """
    if isinstance(policy, Policy):
        return policy
    return POLICIES[check_choice("policy", policy, sorted(POLICIES))]
