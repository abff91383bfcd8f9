"""`python -m burn_tf`: the same commands as the console script `burn-tf`."""

from __future__ import annotations

import sys

from burn_tf.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
