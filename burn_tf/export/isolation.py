"""Calls a function of this package in a fresh process, without importing TensorFlow there."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from typing import Any

from burn_tf._checks import UserError

_SECONDS = 900
# The packages are put in place unexecuted: their __init__.py import TensorFlow, which takes seconds
# and half a gigabyte.
_PROGRAM = """
import importlib.util, sys
for name in ("burn_tf", "burn_tf.export"):
    sys.modules[name] = importlib.util.module_from_spec(importlib.util.find_spec(name))
from burn_tf.export.isolation import answer
answer(sys.argv[1])
"""


def call_isolated(function: str, *arguments: Any) -> Any:
    """The result of a function of `burn_tf.export`, called in a fresh process.

    Args:
        function: "module.function" below `burn_tf.export`; it takes and returns JSON types.
        arguments: Its arguments.

    Raises:
        UserError: the process failed, whatever ended it; a mistake found there keeps its words.
    """
    request = json.dumps([function, arguments])
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_USE_LEGACY_KERAS": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, request],
        env=environment,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no message"]
        raise UserError(
            f"{function} failed in a process of its own: check the file and `burn-tf doctor`. "
            f"Received: exit code {done.returncode}, {lines[-1]}"
        )
    result = json.loads(done.stdout.splitlines()[-1])
    if "mistake" in result:
        raise UserError(result["mistake"])
    return result["value"]


def answer(request: str) -> None:
    """Call what `call_isolated` asked for, and print the result as the last line."""
    function, arguments = json.loads(request)
    module, _, name = function.rpartition(".")
    call = getattr(importlib.import_module(f"burn_tf.export.{module}"), name)
    try:
        result = {"value": call(*arguments)}
    except UserError as error:
        result = {"mistake": str(error)}
    print(json.dumps(result), flush=True)
