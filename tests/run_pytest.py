"""Runs pytest on the test files that lie directly in one folder: the main of every Bazel test."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

if __name__ == "__main__":
    folder, *options = sys.argv[1:]
    files = sorted(str(path) for path in Path(folder).glob("test_*.py"))
    # A folder without tests must not pass as one.
    sys.exit(pytest.main([*files, *options]) if files else pytest.ExitCode.NO_TESTS_COLLECTED)
