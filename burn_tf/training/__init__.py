"""Running recipes: building, training, checkpoints, guarding."""

from burn_tf.training.building import build_backbone, build_method, build_optimizer
from burn_tf.training.checkpoints import CheckpointStore, DamagedCheckpoint
from burn_tf.training.guard import TrainingGuard, TrainingStopped
from burn_tf.training.metrics_log import MetricsLog
from burn_tf.training.periodic import PeriodicCheckpoint
from burn_tf.training.pretraining import (
    BACKBONE_FILE,
    check_recipe,
    dry_run,
    load_backbone,
    pretrain,
)

__all__ = [
    "BACKBONE_FILE",
    "CheckpointStore",
    "DamagedCheckpoint",
    "MetricsLog",
    "PeriodicCheckpoint",
    "TrainingGuard",
    "TrainingStopped",
    "build_backbone",
    "build_method",
    "build_optimizer",
    "check_recipe",
    "dry_run",
    "load_backbone",
    "pretrain",
]
