"""Backbones in the style of Keras Applications: binary ReActNets and float ResNets."""

from burn_tf.backbones.binarize import set_binarize
from burn_tf.backbones.inspection import MacCount, count_macs, end_points
from burn_tf.backbones.reactnet import ReActNetA, ReActNetTiny
from burn_tf.backbones.resnet import ResNet18, ResNet50

__all__ = [
    "MacCount",
    "ReActNetA",
    "ReActNetTiny",
    "ResNet18",
    "ResNet50",
    "count_macs",
    "end_points",
    "set_binarize",
]
