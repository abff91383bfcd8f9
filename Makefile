# make demo    train, probe and export a binary network on scanned digits
# make test    the quick tests (what a contributor runs)
# make help    every target
#
# Each target makes .venv first, from the pins in requirements/lock.txt, and reuses it while they are unchanged.

VENV := .venv
BIN := $(VENV)/bin
# Files are dealt to two processes, in the order of tests/conftest.py.
PYTEST := $(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install demo test slow test-torch torch web lint format types wheel lock benchmark clean

help:
	@echo "make install    .venv with the pinned versions of requirements/lock.txt, and burn_tf itself"
	@echo "make demo       burn-tf demo: pretrain, probe, export, report (about 5 minutes)"
	@echo "make test       the quick tests"
	@echo "make slow       the tests marked slow"
	@echo "make test-torch the tests that read PyTorch checkpoints; adds PyTorch to .venv"
	@echo "make web        the browser example's runtime, from npm"
	@echo "make lint       ruff: rules and format"
	@echo "make format     let ruff rewrite what it can"
	@echo "make types      mypy"
	@echo "make wheel      dist/*.whl"
	@echo "make benchmark  every script in benchmarks/, with PyTorch as the reference"
	@echo "make lock       resolve requirements/lock.txt again from setup.py"
	@echo "make clean      remove .venv, build output and caches"

install: $(STAMP)

# The scripts of a virtual environment hold its absolute path: a moved or copied checkout makes a new one.
ifneq ($(shell cat $(STAMP) 2>/dev/null),$(CURDIR))
.PHONY: $(STAMP)
endif

# An interpreter counts when it runs, is 3.10 to 3.12 and can make virtual environments.
$(STAMP): requirements/lock.txt setup.py pyproject.toml
	@set -e; \
	check='import ensurepip, sys, venv; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))'; \
	for python in python3.11 python3.12 python3.10 python3 python; do \
	  if "$$python" -c "$$check" >/dev/null 2>&1; then found="$$python"; break; fi; \
	done; \
	if [ -z "$${found:-}" ]; then \
	  echo "make: no Python 3.10, 3.11 or 3.12 with the venv module was found on PATH." >&2; \
	  echo "make: install one (Debian and Ubuntu: apt install python3 python3-venv) and try again." >&2; \
	  exit 2; \
	fi; \
	echo "Making $(VENV) with $$found: about 2 GB, a few minutes the first time."; \
	"$$found" -m venv --clear $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements/lock.txt
	$(BIN)/python -m pip install --disable-pip-version-check --no-deps --no-build-isolation -e .
	@printf "%s\n" "$(CURDIR)" > $@

demo: install
	$(BIN)/burn-tf demo

test: install
	$(PYTEST)

slow: install
	$(PYTEST) -m slow --durations 20

torch: install
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements/torch.txt

test-torch: torch
	$(PYTEST) -m torch

web:
	cd examples/web && npm ci --no-audit --no-fund

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: install
	$(BIN)/mypy

wheel: install
	rm -rf build dist
	$(BIN)/python -m pip wheel --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir dist .

benchmark: torch
	@for script in benchmarks/[a-z]*.py; do echo "$$script"; $(BIN)/python "$$script" || exit 1; done

# Needs uv, which pip installs; pip itself cannot resolve for three interpreters at once.
lock: install
	$(BIN)/python -m pip install --disable-pip-version-check --quiet uv
	@sed -n '/^#/p' requirements/lock.txt > requirements/lock.new
	$(BIN)/uv pip compile --quiet --universal --python-version 3.10 --no-header --no-annotate \
	  --extra dev setup.py >> requirements/lock.new
	mv requirements/lock.new requirements/lock.txt

clean:
	rm -rf $(VENV) examples/web/node_modules build dist .pytest_cache .mypy_cache .ruff_cache *.egg-info
	find burn_tf zoo tests benchmarks -name __pycache__ -type d -exec rm -rf {} +
