"""Run as a script: trains once undisturbed, then again under kills, each run a process of its own.

    python killed_process.py METHOD FOLDER KILLS

METHOD is BURN or MSBReg, both in two stages with two micro-batches, on scikit-learn's digits.
FOLDER gets `whole/` and `killed/`. One kill in five is SIGTERM, one SIGINT, all others SIGKILL, at
updates drawn at random over both stages (but for the last four) and some milliseconds later. Every
other run saves after each update; of the rest a killed one does several updates again. Prints
a JSON line: for each kill the signal, the update it was sent at and what the process ended with.

Processes are forked from one that has imported TensorFlow and never run it.
"""

from __future__ import annotations

# The first import, as everywhere: it selects Keras 2.
import burn_tf  # noqa: F401

# isort: split
import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import sklearn.datasets  # noqa: F401  slow to import, and the processes share it
import tensorflow as tf

from burn_tf import layers
from burn_tf.data import load_source
from burn_tf.recipes import Recipe, get_recipe, override
from burn_tf.training import TeacherCache, building, pretrain

STEPS = 20
STAGES = 2
# Seconds between checkpoints: one after every update, and one in a while.
EACH, SELDOM = 1e-9, 0.1
# Last updates before which no kill is drawn: each comes some updates later than it was meant to.
SPARED = 4
SETTINGS = [
    "batch_size=8",
    "accumulate=2",
    "epochs=1",
    f"max_steps={STEPS}",
    "stages=activations,both",
    "method.hidden_dim=8",
]
OF_METHOD = {
    "BURN": ("burn_digits", ["method.num_outputs=8", "method.restart_teacher_classifier=true"]),
    "MSBReg": ("msbreg_digits", ["method.embedding_dim=8"]),
}
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGKILL, signal.SIGINT)


def small_backbone(network: object, size: int | None, binarize: str) -> tf.keras.Model:
    """One binary block in place of the recipe's network: a step of milliseconds."""
    images = x = tf.keras.Input((size, size, 3))
    for layer in (
        layers.BinaryConv2D(6, 3, strides=2, binarize="none", name="stem"),
        layers.BatchNorm(name="norm_1"),
        layers.RSign(name="sign"),
        layers.BinaryConv2D(6, 3, strides=2, binarize=binarize, name="conv"),
        layers.BatchNorm(name="norm_2"),
        layers.RPReLU(name="act"),
        tf.keras.layers.GlobalAveragePooling2D(name="pool"),
    ):
        x = layer(x)
    return tf.keras.Model(images, x, name="small_backbone")


def recipe_of(method: str, folder: Path) -> Recipe:
    """The recipe, with a teacher from a file where it needs one."""
    name, settings = OF_METHOD[method]
    recipe = override(get_recipe(name), [*SETTINGS, *settings])
    if recipe.teacher is None:
        return recipe
    teacher = folder / "teacher.keras"
    if not teacher.exists():
        tf.keras.utils.set_random_seed(1)
        small_backbone(None, recipe.views.image_size, "none").save(teacher)
    return override(recipe, [f"teacher.weights={teacher}"])


def train(
    method: str,
    folder: Path,
    name: str,
    data: str = "digits",
    cache: TeacherCache | None = None,
    seconds: float = EACH,
) -> None:
    """The run, with so many seconds between checkpoints."""
    vars(building)["build_backbone"] = small_backbone
    with open(folder / f"{name}.log", "a", buffering=1, encoding="utf-8") as log:
        recipe = recipe_of(method, folder)
        source = load_source(data, split="train")
        # Graphs as they are written need none of autograph's rewriting, a sixth of the time.
        plainly = tf.autograph.experimental.do_not_convert(pretrain)
        options = {"checkpoint_seconds": seconds, "stream": log, "teacher_cache": cache}
        plainly(recipe, source, folder / name, **options)


def in_child(action: Callable[[], None]) -> int:
    """The id of a new process that does `action` and ends as Python programs do."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        action()
        code = 0
    except SystemExit as left:
        code = int(left.code or 0)
    finally:
        os._exit(code)


def ended(child: int) -> int:
    """Exit code of a process, or minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def updates_logged(folder: Path) -> int:
    log = folder / "metrics.jsonl"
    return log.read_bytes().count(b"\n") if log.exists() else 0


def kill_at(
    method: str, folder: Path, update: int, number: int, later: float, seconds: float
) -> list[int]:
    """Start the run, send the signal `later` seconds after this update was logged.

    Or after the run's own first update, where an earlier process came as far.
    """
    update = max(update, updates_logged(folder / "killed") + 1)
    child = in_child(lambda: train(method, folder, "killed", seconds=seconds))
    while updates_logged(folder / "killed") < update:
        time.sleep(0.001)
        if os.waitpid(child, os.WNOHANG)[0]:
            raise RuntimeError(f"the run ended before update {update}, see {folder}/killed.log")
    time.sleep(later)
    os.kill(child, number)
    return [int(number), update, ended(child)]


def main(method: str, folder: Path, kills: int) -> None:
    """Everything above, in turn."""
    first = in_child(lambda: train(method, folder, "whole"))
    if ended(first):
        raise RuntimeError(f"the undisturbed run failed, see {folder}/whole.log")
    rng = random.Random(method)
    updates = sorted(rng.sample(range(1, STAGES * STEPS - SPARED), kills))
    record = [
        kill_at(
            *(method, folder, update, SIGNALS[i % len(SIGNALS)], rng.uniform(0, 0.02)),
            seconds=(EACH, SELDOM)[i % 2],
        )
        for i, update in enumerate(updates)
    ]
    last = ended(in_child(lambda: train(method, folder, "killed")))
    print(json.dumps({"kills": record, "last": last}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
