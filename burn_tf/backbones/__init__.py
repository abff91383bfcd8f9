"""Backbones in the style of Keras Applications: binary ReActNets, float ResNets, EfficientNet."""

from burn_tf.backbones.binarize import set_binarize
from burn_tf.backbones.efficientnet_lite import EfficientNetLite0
from burn_tf.backbones.inspection import MacCount, count_macs, end_points
from burn_tf.backbones.reactnet import ReActNetA, ReActNetTiny
from burn_tf.backbones.recalibration import recalibrate_batch_norm
from burn_tf.backbones.resnet import ResNet18, ResNet50

__all__ = [
    "EfficientNetLite0",
    "MacCount",
    "ReActNetA",
    "ReActNetTiny",
    "ResNet18",
    "ResNet50",
    "count_macs",
    "end_points",
    "recalibrate_batch_norm",
    "set_binarize",
]
