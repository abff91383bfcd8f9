"""Object detection with binary backbones: KerasCV's RetinaNet on their feature pyramids."""

from burn_tf.detection.batches import check_boxes, scoring_batches, training_batches
from burn_tf.detection.detector import Detections, Detector
from burn_tf.detection.losses import focal_loss, retinanet_losses
from burn_tf.detection.pyramid import feature_pyramid, pyramid_backbone
from burn_tf.detection.retinanet import retinanet
from burn_tf.detection.training import DetectorTraining

__all__ = [
    "Detections",
    "Detector",
    "DetectorTraining",
    "check_boxes",
    "feature_pyramid",
    "focal_loss",
    "pyramid_backbone",
    "retinanet",
    "retinanet_losses",
    "scoring_batches",
    "training_batches",
]
