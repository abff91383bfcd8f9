"""Run as a script: loads what was saved, after `import burn_tf` alone, and writes what it gives.

    python fresh_process.py FOLDER

FOLDER holds `manifest.json`, a list of {"name", "kind", "path"}, and `inputs.npz` with the inputs
of each entry under "NAME/0", "NAME/1"; outputs go to `outputs.npz` under the same names.
"""

from __future__ import annotations

# The only import that loading may need, and the first one: it selects Keras 2.
import burn_tf  # noqa: F401

# isort: split
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

Arrays = list[np.ndarray]
STEPS = range(11)


def _revived(path: Path) -> Any:
    return tf.keras.saving.deserialize_keras_object(json.loads(path.read_text("utf-8")))


def run_model(model: Any, inputs: Sequence[np.ndarray]) -> Arrays:
    """Output in inference mode."""
    return [np.array(model(tf.constant(inputs[0]), training=False))]


def run_loss(loss: Any, inputs: Sequence[np.ndarray]) -> Arrays:
    """The reduced loss."""
    return [np.array(loss(*map(tf.constant, inputs)))]


def run_schedule(schedule: Any, inputs: Sequence[np.ndarray]) -> Arrays:
    """A table of values."""
    del inputs
    return [np.array([schedule(step) for step in STEPS])]


def run_optimizer(optimizer: Any, inputs: Sequence[np.ndarray]) -> Arrays:
    """A variable after two updates."""
    variable = tf.Variable(inputs[0])
    for _ in range(2):
        optimizer.apply_gradients([(tf.constant(inputs[1]), variable)])
    return [variable.numpy()]


def run_method(method: Any, inputs: Sequence[np.ndarray]) -> Arrays:
    """Features, the update counts, and every weight."""
    counts = [method.update_step.numpy(), method.optimizer.iterations.numpy()]
    return [*run_model(method, inputs), *map(np.array, counts), *method.get_weights()]


RUNNERS: dict[str, Callable[[Any, Sequence[np.ndarray]], Arrays]] = {
    "model": run_model,
    "loss": run_loss,
    "schedule": run_schedule,
    "optimizer": run_optimizer,
    "method": run_method,
}


def _run(entry: dict[str, str], inputs: Sequence[np.ndarray]) -> dict[str, Any]:
    """The outputs of one entry, or the error instead."""
    name, path = entry["name"], Path(entry["path"])
    load = _revived if path.suffix == ".json" else tf.keras.models.load_model
    try:
        outputs = RUNNERS[entry["kind"]](load(path), inputs)
    except Exception as error:
        return {f"{name}/error": np.array(f"{type(error).__name__}: {error}")}
    return {f"{name}/{index}": output for index, output in enumerate(outputs)}


def main(folder: Path) -> None:
    """Load and run every entry of the folder's manifest."""
    given = dict(np.load(folder / "inputs.npz"))
    outputs: dict[str, Any] = {}
    for entry in json.loads((folder / "manifest.json").read_text("utf-8")):
        own = [given[key] for key in sorted(given) if key.rsplit("/", 1)[0] == entry["name"]]
        outputs |= _run(entry, own)
    np.savez(folder / "outputs.npz", **outputs)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
