"""Running recipes: building, training, checkpoints, guarding."""

from burn_tf.training.building import build_backbone, build_method, build_optimizer
from burn_tf.training.checkpoints import CheckpointStore, DamagedCheckpoint
from burn_tf.training.guard import TrainingGuard, TrainingStopped
from burn_tf.training.metrics_log import MetricsLog
from burn_tf.training.model_files import load_backbone
from burn_tf.training.peers import PeerWatch
from burn_tf.training.periodic import PeriodicCheckpoint
from burn_tf.training.pretraining import check_recipe, dry_run, pretrain
from burn_tf.training.strategies import STRATEGIES, make_workers
from burn_tf.training.teacher_cache import CachedFeatures, TeacherCache
from burn_tf.training.workers import LostWorker, Workers
from burn_tf.watching.run_files import BACKBONE_FILE

__all__ = [
    "BACKBONE_FILE",
    "STRATEGIES",
    "CachedFeatures",
    "CheckpointStore",
    "DamagedCheckpoint",
    "LostWorker",
    "MetricsLog",
    "PeerWatch",
    "PeriodicCheckpoint",
    "TeacherCache",
    "TrainingGuard",
    "TrainingStopped",
    "Workers",
    "build_backbone",
    "build_method",
    "build_optimizer",
    "check_recipe",
    "dry_run",
    "load_backbone",
    "make_workers",
    "pretrain",
]
