"""The console script `burn-tf`: reaches burn_tf.cli without importing TensorFlow first.

`import burn_tf` imports TensorFlow, which takes seconds, and refuses a broken installation. A help
page should not wait for the one, and `burn-tf doctor` has to run exactly in the case of the other.
So the package is put in place here unexecuted; `burn_tf.cli.main` executes it before it runs a
command that needs the library.
"""

from __future__ import annotations

import importlib.util
import sys


def place_package() -> None:
    """Make `burn_tf.cli` importable without running burn_tf/__init__.py."""
    if "burn_tf" in sys.modules:
        return
    spec = importlib.util.find_spec("burn_tf")
    if spec is None:
        raise ImportError("burn_tf is not installed beside its launcher. Run: pip install burn_tf")
    sys.modules["burn_tf"] = importlib.util.module_from_spec(spec)


def main() -> int:
    """Run the command line and return its exit code."""
    place_package()
    from burn_tf.cli.main import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
