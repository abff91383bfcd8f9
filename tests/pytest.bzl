"""One Bazel test per folder of tests, run by pytest."""

load("@rules_python//python:defs.bzl", "py_library", "py_test")

def pytest_folder(name, deps = [], data = []):
    """Runs the tests that lie directly in a folder; other folders may depend on its `sources`.

    Args:
      name: name of the target.
      deps: libraries beyond //burn_tf and what conftest.py needs.
      data: files that the tests read.
    """
    sources = native.glob(["*.py"], exclude = ["run_pytest.py"])
    py_library(
        name = "sources",
        testonly = True,
        srcs = sources,
        visibility = ["//tests:__subpackages__"],
        deps = deps,
    )
    py_test(
        name = name,
        size = "large",
        srcs = sources + ["//tests:run_pytest.py"],
        args = [native.package_name()],
        data = data,
        main = "//tests:run_pytest.py",
        deps = ["//tests:conftest"] + deps,
    )
