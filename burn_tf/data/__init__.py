"""Sources of images, augmentation policies, and the views that methods train on."""

from __future__ import annotations

from burn_tf.data.checks import Check, Finding, check_source
from burn_tf.data.evaluation_views import eval_dataset
from burn_tf.data.objects import Objects
from burn_tf.data.packing import Packed, pack_source
from burn_tf.data.policies import POLICIES, Policy, get_policy
from burn_tf.data.preprocessing import preprocess_input
from burn_tf.data.sources import Source, load_source
from burn_tf.data.views import steps_per_epoch, views_dataset

__all__ = [
    "POLICIES",
    "Check",
    "Finding",
    "Objects",
    "Packed",
    "Policy",
    "Source",
    "check_source",
    "eval_dataset",
    "get_policy",
    "load_source",
    "pack_source",
    "preprocess_input",
    "steps_per_epoch",
    "views_dataset",
]
