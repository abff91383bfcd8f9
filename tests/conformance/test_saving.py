"""What is saved here loads in a fresh process after `import burn_tf`, and gives the same."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.conformance import cases, fresh_process, trained

ROOT = Path(__file__).parents[2]
MODELS = {**cases.LAYERS, **cases.BUILDERS}
NAMES = [
    *(f"{name}{suffix or '.saved_model'}" for name, c in MODELS.items() for suffix in c.formats),
    *(f"{name}.json" for name in cases.LOSSES),
    *(f"{name}.json" for name in cases.SCHEDULES),
    *(f"{name}.json" for name in cases.OPTIMIZERS),
    *(f"{name}.keras" for name in cases.METHODS),
]


class Saved:
    """A folder that fills with things, their inputs, and what they give in this process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest: list[dict[str, str]] = []
        self.inputs: dict[str, np.ndarray] = {}
        self.expected: dict[str, list[np.ndarray] | Exception] = {}

    def add(self, name: str, kind: str, make: Callable[[], Any], inputs: list[np.ndarray]) -> None:
        """Make and save one thing; a failure is kept for its own test."""
        path = self.folder / name.removesuffix(".saved_model")
        try:
            thing = make()
            self._write(thing, path)
            self.expected[name] = fresh_process.RUNNERS[kind](thing, inputs)
        except Exception as error:
            self.expected[name] = error
            return
        self.manifest.append({"name": name, "kind": kind, "path": str(path)})
        self.inputs |= {f"{name}/{index}": array for index, array in enumerate(inputs)}

    @staticmethod
    def _write(thing: Any, path: Path) -> None:
        if path.suffix == ".json":
            path.write_text(json.dumps(tf.keras.saving.serialize_keras_object(thing)), "utf-8")
        else:
            thing.save(path)

    def reload(self) -> dict[str, np.ndarray]:
        """Outputs of the fresh process."""
        np.savez(self.folder / "inputs.npz", **self.inputs)
        (self.folder / "manifest.json").write_text(json.dumps(self.manifest), "utf-8")
        command = [sys.executable, fresh_process.__file__, str(self.folder)]
        subprocess.run(command, check=True, cwd=ROOT, env=_environment(), timeout=600)
        return dict(np.load(self.folder / "outputs.npz"))


def _environment() -> dict[str, str]:
    unset = {"TF_USE_LEGACY_KERAS"}
    kept = {name: value for name, value in os.environ.items() if name not in unset}
    return {**kept, "PYTHONPATH": str(ROOT)}


def _as_model(case: cases.LayerCase) -> tf.keras.Model:
    thing = cases.build(case)
    if isinstance(thing, tf.keras.Model):
        return thing
    fixed = case.shape[0] if case.batch_axis is None else None
    inputs = tf.keras.Input(case.shape[1:], batch_size=fixed)
    return tf.keras.Model(inputs, thing(inputs))


def _save_everything(saved: Saved) -> None:
    for name, case in MODELS.items():
        make = functools.cache(functools.partial(_as_model, case))
        for suffix in case.formats:
            full = f"{name}{suffix or '.saved_model'}"
            saved.add(full, "model", make, [cases.numbers("images", *case.shape)])
    for name, loss in cases.LOSSES.items():
        arrays = [cases.numbers(f"y {index}", *shape) for index, shape in enumerate(loss.shapes)]
        saved.add(f"{name}.json", "loss", functools.partial(cases.build, loss), arrays)
    for name, schedule in cases.SCHEDULES.items():
        saved.add(f"{name}.json", "schedule", functools.partial(cases.build, schedule), [])
    for name, optimizer in cases.OPTIMIZERS.items():
        arrays = [cases.numbers("variable", 3, 4), cases.numbers("slope", 3, 4)]
        saved.add(f"{name}.json", "optimizer", functools.partial(cases.build, optimizer), arrays)
    for name, method in cases.METHODS.items():
        trained_once = functools.partial(trained.after_one_step, method)
        saved.add(f"{name}.keras", "method", trained_once, [trained.IMAGES])


@pytest.fixture(scope="module")
def both(tmp_path_factory) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What each thing gave before it was saved, and after it was loaded."""
    saved = Saved(tmp_path_factory.mktemp("saved"))
    _save_everything(saved)
    return saved.expected, saved.reload()


@pytest.mark.parametrize("name", NAMES)
def test_loads_in_a_fresh_process(name: str, both) -> None:
    expected, outputs = both
    if isinstance(expected[name], Exception):
        raise AssertionError(f"{name} cannot be saved") from expected[name]
    assert f"{name}/error" not in outputs, str(outputs[f"{name}/error"])
    for index, value in enumerate(expected[name]):
        np.testing.assert_allclose(outputs[f"{name}/{index}"], value, rtol=1e-5, atol=1e-6)
    assert any(np.any(value) for value in expected[name])
