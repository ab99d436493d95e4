# One command, one truth. On a machine with Python >= 3.11, make and git:
#   make demo    solves the instances, fits the faces, writes out/index.html
#   make test    the test suite
#   make check   its stricter sisters: lint, format, types, doctests, docs
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.convexwgan-installed
EXTRAS := torch,images,plot,mosek,dask,metrics,docs,dev
JOBS ?= 2

# One thread a process: pytest-xdist already uses every core, and timings and sums stay reproducible.
THREADS := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1

.PHONY: help venv demo test check lint format types doctest docs clean

help:
	@echo "make venv    the environment in .venv"
	@echo "make demo    solve the instances, fit the faces, write out/index.html"
	@echo "make test    the test suite"
	@echo "make check   ruff, mypy --strict, doctests, documentation"
	@echo "make format  rewrite the sources in the house style"
	@echo "make clean   remove everything that the commands above made"

venv: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "no python3 found: install Python 3.11 or newer"; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "$(PYTHON) is older than Python 3.11: make PYTHON=/path/to/python3.11 venv"; exit 1; }
	test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$(EXTRAS)]'
	@touch $@

demo: venv
	$(THREADS) $(BIN)/convexwgan demo --out out

test: venv
	$(THREADS) $(BIN)/python -m pytest -n $(JOBS)

check: lint types doctest docs

lint: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: venv
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: venv
	$(BIN)/mypy --strict convexwgan

doctest: venv
	$(THREADS) $(BIN)/python -m pytest --doctest-modules convexwgan

docs: venv
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html

clean:
	rm -rf $(VENV) out build dist docs/_build .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find convexwgan tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
