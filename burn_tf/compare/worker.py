"""One run in a process of its own: `python -m burn_tf.compare.worker`, with a pickled job on stdin.

Progress goes to stdout, what goes wrong to stderr; the run's folder holds the rest.
"""

from __future__ import annotations

import dataclasses
import json
import pickle
import sys
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf._files import atomic_write
from burn_tf.compare.clock import RunClock, follow_parent, read_clock
from burn_tf.compare.plan import Run, load_splits
from burn_tf.evaluation import EvaluationData, raw_pixels, run_protocols
from burn_tf.evaluation.splits import labelled_features
from burn_tf.methods import feature_deviation
from burn_tf.recipes import Recipe
from burn_tf.training import TeacherCache, build_backbone, pretrain

RESULT_FILE, FAILURE_FILE = "result.json", "failure.json"
_DEVIATION_IMAGES = 2048


@dataclasses.dataclass(frozen=True)
class Job:
    """What a worker does: one run of a comparison and its probes.

    Args:
        run: the run.
        data, images, strict: the source, as in `Settings`.
        image_size: side in pixels at which features are measured.
        probes: names of protocols.
        checkpoint_seconds: time between checkpoints.
        teacher_cache: where the frozen teacher's features are kept, if it has one; or None.
    """

    run: Run
    data: str
    images: int | None
    strict: bool
    image_size: int
    probes: tuple[str, ...]
    checkpoint_seconds: float
    teacher_cache: TeacherCache | None = None


def work(job: Job) -> dict[str, Any]:
    """Train, or finish what was begun, and probe; returns what `result.json` then holds."""
    train, test = load_splits(job.data, job.images, job.strict)
    folder = job.run.folder
    folder.mkdir(parents=True, exist_ok=True)
    if job.run.trained:
        recipe = _recipe(job.run)
        with RunClock(folder):
            backbone = pretrain(
                recipe,
                train,
                folder,
                checkpoint_seconds=job.checkpoint_seconds,
                stream=sys.stdout,
                label=f"{job.run.label}: ",
                teacher_cache=job.teacher_cache if recipe.method.teacher else None,
            )
    else:
        backbone = _untrained(job.run, job.image_size)
    data = EvaluationData(train, test, job.image_size)
    result = {**probe(backbone, data, job.probes), **read_clock(folder)}
    atomic_write(folder / RESULT_FILE, json.dumps(result, indent=2) + "\n")
    return result


def _recipe(run: Run) -> Recipe:
    if run.recipe is None:
        raise ValueError(f"run {run.label} has no recipe")
    return run.recipe


def _untrained(run: Run, image_size: int) -> Callable[..., tf.Tensor]:
    if run.recipe is None:
        return raw_pixels
    tf.keras.utils.set_random_seed(run.seed)
    return build_backbone(run.recipe.backbone, image_size, run.recipe.stages[-1])


def probe(
    backbone: Callable[..., tf.Tensor], data: EvaluationData, names: tuple[str, ...]
) -> dict[str, Any]:
    """`probes` (protocol -> metrics) and `test_feature_std`, from features extracted once."""
    splits = labelled_features(backbone, data)
    results = run_protocols(names, backbone, data, splits)
    return {
        "probes": {result.protocol: result.metrics for result in results},
        "test_feature_std": _deviation(splits.test_features),
    }


def _deviation(features: np.ndarray) -> float:
    shown = np.linspace(0, len(features) - 1, min(len(features), _DEVIATION_IMAGES)).astype(int)
    return round(float(feature_deviation(tf.constant(features[shown], tf.float32))), 6)


def reason_of(error: BaseException) -> str:
    """One line for a table: what a `UserError` says, else the error's kind and its last line."""
    lines = str(getattr(error, "message", error)).strip().splitlines()
    if isinstance(error, UserError):
        return lines[0]
    if isinstance(error, (MemoryError, tf.errors.ResourceExhaustedError)):
        return ": ".join(["out of memory", *lines[:1]])
    # Errors inside a graph function begin with a list of places.
    return ": ".join([type(error).__name__, *[line.strip() for line in lines[-1:]]])


def main() -> int:
    """Do the job on stdin for the process of this number; 0 when its result is written."""
    follow_parent(int(sys.argv[1]))
    job: Job = pickle.load(sys.stdin.buffer)
    try:
        work(job)
    except Exception as error:
        traceback.print_exc()
        failure = {"reason": reason_of(error), "kind": type(error).__name__}
        atomic_write(job.run.folder / FAILURE_FILE, json.dumps(failure) + "\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
