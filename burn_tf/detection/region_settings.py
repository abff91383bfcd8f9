"""Sizes of Faster R-CNN and Mask R-CNN."""

from __future__ import annotations

import dataclasses

from burn_tf._checks import check_integer, check_range

_COUNTS = (
    "filters",
    "head_convs",
    "fc_units",
    "anchors_per_image",
    "candidates",
    "proposals",
    "regions",
    "mask_regions",
    "max_objects",
    "max_detections",
)


@dataclasses.dataclass(frozen=True)
class RegionSettings:
    """Sizes of Faster R-CNN and Mask R-CNN; every default is tf-models-official's for COCO.

    Args:
        masks: Mask R-CNN; False: Faster R-CNN.
        filters: channels of the pyramid and of the heads' convolutions.
        head_convs: 3 x 3 convolutions of the box and of the mask head.
        fc_units: width of the box head's dense layer.
        anchor_scale: side of the square anchor, in pixels of its level.
        anchors_per_image: that the loss of the region proposals looks at.
        candidates: anchors per level that stay before non-maximum suppression, in training.
        proposals: regions that stay after it.
        regions: of them in the loss of the box head, per image.
        mask_regions: in the loss of the mask head, per image.
        max_objects: annotated objects per image; further ones are left out in training.
        max_detections: per image.
        score_threshold: below it nothing is reported.
        norm_momentum: of the moving averages of the pyramid's and the heads' batch norm.

    Raises:
        UserError: a count below 1, or a value outside its range.
    """

    masks: bool = True
    filters: int = 256
    head_convs: int = 4
    fc_units: int = 1024
    anchor_scale: float = 8.0
    anchors_per_image: int = 256
    candidates: int = 2000
    proposals: int = 1000
    regions: int = 512
    mask_regions: int = 128
    max_objects: int = 100
    max_detections: int = 100
    score_threshold: float = 0.05
    norm_momentum: float = 0.997

    def __post_init__(self) -> None:
        for name in _COUNTS:
            check_integer(name, getattr(self, name), low=1)
        check_range("anchor_scale", self.anchor_scale, low=0, low_open=True)
        check_range("score_threshold", self.score_threshold, low=0, high=1)
        check_range("norm_momentum", self.norm_momentum, low=0, high=1, high_open=True)
