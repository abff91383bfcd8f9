"""Keeps what TensorFlow's C++ side prints at start-up off the terminal."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator

from burn_tf._checks import UserError

_STDERR = 2


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Hold back everything written to stderr; show it after all where the body fails.

    A `UserError` or an interrupt is no failure: its line says all.

    TensorFlow 2.21 reports oneDNN and missing GPUs before it reads TF_CPP_MIN_LOG_LEVEL, so that
    only the file descriptor itself can be silenced.
    """
    sys.stderr.flush()
    terminal = os.dup(_STDERR)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), _STDERR)
        try:
            yield
        except (UserError, KeyboardInterrupt):
            _restore(terminal)
            raise
        except BaseException:
            _restore(terminal)
            held.seek(0)
            sys.stderr.write(held.read().decode(errors="replace"))
            raise
        else:
            _restore(terminal)


def _restore(terminal: int) -> None:
    sys.stderr.flush()
    os.dup2(terminal, _STDERR)
    os.close(terminal)
