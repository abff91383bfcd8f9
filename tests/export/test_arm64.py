"""Files of built-in operators on 64-bit ARM, whose runtime has kernels of its own.

`BURN_TF_ARM64` is a command that starts a Python with NumPy and ai-edge-litert there: `ssh pi
python3`, or an emulator. CONTRIBUTING says how one is set up.
"""

from __future__ import annotations

import base64
import json
import os
import shlex
import subprocess
from typing import Any

import numpy as np
import pytest

from burn_tf.backbones import ReActNetA
from burn_tf.data import preprocess_input
from burn_tf.export import to_litert
from burn_tf.export.comparison import sample_pictures
from burn_tf.export.runtime import load_runtime

COMMAND = shlex.split(os.environ.get("BURN_TF_ARM64", ""))
# Reads everything from its input and prints the scores, so that it runs over ssh too.
PROGRAM = """
import base64, json, platform, sys
import numpy as np
from ai_edge_litert.interpreter import Interpreter
given = json.loads(sys.stdin.read())
pictures = np.array(given["pictures"], np.uint8)
answers = {"machine": platform.machine()}
for name, content in given["files"].items():
    interpreter = Interpreter(model_content=base64.b64decode(content), num_threads=1)
    interpreter.allocate_tensors()
    entry = interpreter.get_input_details()[0]["index"]
    end = interpreter.get_output_details()[0]["index"]
    scores = []
    for picture in pictures:
        interpreter.set_tensor(entry, picture[None])
        interpreter.invoke()
        scores.append(interpreter.get_tensor(end)[0].tolist())
    answers[name] = scores
print(json.dumps(answers))
"""


def answers(files: dict[str, bytes], pictures: np.ndarray) -> dict[str, Any]:
    """Scores of each file, and the machine's name."""
    packed = {name: base64.b64encode(content).decode() for name, content in files.items()}
    given = json.dumps({"files": packed, "pictures": pictures.tolist()})
    command = [*COMMAND, "-c", shlex.quote(PROGRAM) if COMMAND[0] == "ssh" else PROGRAM]
    run = subprocess.run(command, input=given, capture_output=True, text=True, timeout=600)
    assert run.returncode == 0, run.stderr
    found: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return found


@pytest.mark.slow
@pytest.mark.skipif(not COMMAND, reason="BURN_TF_ARM64 names no Python on 64-bit ARM")
@pytest.mark.parametrize("pad_values", [1.0, 0.0])
def test_arm_gives_the_scores_of_keras(pad_values: float, shaken: Any) -> None:
    model = shaken(ReActNetA((32, 32, 3), width=0.25, classes=10, pad_values=pad_values))
    pictures = sample_pictures(6, 32, 32)
    files = {
        "compact": to_litert(model).flatbuffer,
        "int4": to_litert(model, int4_from=1).flatbuffer,
        "int8": to_litert(model, precision="int8", calibration=pictures).flatbuffer,
    }
    found = answers(files, pictures)
    assert found.pop("machine") in ("aarch64", "arm64")
    keras = np.asarray(model(preprocess_input(pictures), training=False))
    scale = np.abs(keras).max()
    for name, content in files.items():
        there = np.array(found[name], np.float32)
        if name == "int8":
            np.testing.assert_array_equal(there, load_runtime(content).run(pictures))
        else:
            # A value at a sign's threshold may fall on its other side: most pictures, not all.
            differences = np.abs(there - keras).max(axis=1) / scale
            assert np.median(differences) < 1e-4
