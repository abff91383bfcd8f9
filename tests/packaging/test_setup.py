"""setup.py, the lock and the imports of the library agree with each other."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement

import burn_tf

ROOT = Path(__file__).resolve().parents[2]
PYTHONS = ("3.10", "3.11", "3.12")
# Where the distribution's name is not the name that is imported.
DISTRIBUTIONS = {
    "PIL": "pillow",
    "absl": "absl-py",
    "keras_cv": "keras-cv",
    "larq_compute_engine": "larq-compute-engine",
    "sklearn": "scikit-learn",
    "tensorflow_datasets": "tensorflow-datasets",
    "tf_keras": "tf-keras",
}
# Installed by TensorFlow, which cannot work without them.
FROM_TENSORFLOW = {"h5py", "packaging", "flatbuffers"}


def metadata(*fields: str) -> list[str]:
    """What setup.py states, without building anything."""
    done = subprocess.run(
        [sys.executable, "setup.py", "--quiet", *fields],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip().splitlines()


def setup_lists() -> dict[str, list[str]]:
    """The literal lists and dicts of setup.py, by name."""
    tree = ast.parse((ROOT / "setup.py").read_text(encoding="utf-8"))
    found: dict[str, object] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            code = compile(ast.Expression(node.value), "setup.py", "eval")
            name = node.targets[0].id
            found[name] = eval(code, {"Path": Path, "__file__": str(ROOT / "setup.py"), **found})
    extras = found["EXTRAS_REQUIRE"]
    assert isinstance(extras, dict)
    return {"install": list(found["INSTALL_REQUIRES"]), **extras}  # type: ignore[call-overload]


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def environment(python: str, system: str = "linux", machine: str = "x86_64") -> dict[str, str]:
    return {
        **{key: str(value) for key, value in default_environment().items()},
        "extra": "",
        "python_version": python,
        "python_full_version": f"{python}.1",
        "sys_platform": system,
        "platform_machine": machine,
    }


def pins(python: str, system: str = "linux", machine: str = "x86_64") -> dict[str, str]:
    """Distribution -> version that the lock gives to one interpreter."""
    where = environment(python, system, machine)
    found: dict[str, str] = {}
    for line in (ROOT / "requirements" / "lock.txt").read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        requirement = Requirement(line)
        (specifier,) = requirement.specifier
        assert specifier.operator == "==", line
        if requirement.marker is None or requirement.marker.evaluate(where):
            assert normal(requirement.name) not in found, f"two pins of {requirement.name}"
            found[normal(requirement.name)] = specifier.version
    return found


def test_the_version_is_the_one_of_the_package() -> None:
    assert metadata("--name", "--version") == ["burn_tf", burn_tf.__version__]


@pytest.mark.parametrize("python", PYTHONS)
def test_the_lock_satisfies_setup(python: str) -> None:
    locked = pins(python)
    lists = setup_lists()
    for line in lists["install"] + lists["dev"]:
        requirement = Requirement(line)
        assert requirement.marker is None or requirement.marker.evaluate(environment(python))
        assert requirement.specifier.contains(locked[normal(requirement.name)]), line


@pytest.mark.parametrize(
    ("system", "machine", "has_wheel"),
    [
        ("linux", "x86_64", True),
        ("darwin", "arm64", True),
        ("win32", "AMD64", True),
        ("linux", "aarch64", False),
    ],
)
def test_the_compute_engine_is_asked_for_where_it_has_wheels(
    system: str, machine: str, has_wheel: bool
) -> None:
    assert ("larq-compute-engine" in pins("3.11", system, machine)) is has_wheel
    (line,) = [line for line in setup_lists()["install"] if "compute" in line]
    marker = Requirement(line).marker
    assert marker is not None
    assert marker.evaluate(environment("3.11", system, machine)) is has_wheel
    assert not marker.evaluate(environment("3.13", system, machine))


def test_the_lock_names_no_index() -> None:
    text = (ROOT / "requirements" / "lock.txt").read_text(encoding="utf-8")
    assert not re.search(r"https?:|--index|--extra-index|--find-links|--hash| @ ", text)


def test_setup_asks_for_everything_that_the_library_imports() -> None:
    stated = {normal(Requirement(line).name) for line in setup_lists()["install"]}
    for path in [path for top in ("burn_tf", "zoo") for path in (ROOT / top).rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for top in {name.split(".")[0] for name in names} - {"burn_tf", "zoo"}:
                known = top in sys.stdlib_module_names or top in FROM_TENSORFLOW
                assert known or DISTRIBUTIONS.get(top, top) in stated, f"{path} imports {top}"


def test_every_package_has_an_init_file() -> None:
    for top in ("burn_tf", "zoo"):
        for folder in {path.parent for path in (ROOT / top).rglob("*.py")}:
            assert (folder / "__init__.py").is_file(), f"{folder} would not be in the wheel"
