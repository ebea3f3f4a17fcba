# make train: the autoencoder on all of MNIST, with pictures.   make test: what a change must pass, in twelve minutes.
# make thorough: all the other checks, in an hour.   make docs: the book.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ALONE = $(shell grep -rl --include='test_*.py' 'mark\.alone' tests) # pytest takes half a minute to read all files
MAKEFLAGS += --no-print-directory
unexport PYTHONDONTWRITEBYTECODE # each of some hundred processes would compile the whole package

.PHONY: train assignment test thorough live bench matrix docs clean

train: $(VENV)/installed
	$(BIN)/python examples/train.py $(ARGS)

assignment: $(VENV)/installed
	$(BIN)/python examples/assignment.py $(ARGS)

test: $(VENV)/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
ifeq ($(ARGS),)
	$(BIN)/python tests/support/warm.py & $(BIN)/mypy && wait $$!
	$(BIN)/python -m pytest -m 'not alone and not thorough' -n auto --dist worksteal --durations=12 --durations-min=2
	$(BIN)/python -m pytest -m 'alone and not thorough' $(ALONE)
else
	$(BIN)/mypy
	$(BIN)/python -m pytest $(ARGS)
endif

# What `make test` leaves out, and again what it does with a sample of cases: with all of them, and eight seeds of data.
thorough: export FASTAE_SEEDS = 8
thorough: $(VENV)/installed-thorough
ifeq ($(ARGS),)
	$(BIN)/python -m pytest -m '(thorough or larger) and not alone' -n auto --dist worksteal --durations=12 --durations-min=2
	$(BIN)/python -m pytest -m 'thorough and alone' $(ALONE)
else
	$(BIN)/python -m pytest $(ARGS)
endif

# Against PyTorch itself, which is large: the committed trajectories in tests/golden stand for it in `make test`.
live: $(VENV)/installed-bench
	$(BIN)/python -m pytest tests/live benchmarks/test_bench.py $(ARGS)

bench: $(VENV)/installed-bench
	$(BIN)/fastae bench $(ARGS)

# The wheel, made from the sdist, tested with the lowest and newest dependencies and on every Python that is here;
# ARGS='-e next' tries releases that are not out yet, and ones of Numba that are newer than we allow.
matrix: $(VENV)/installed-matrix
	UV_PYTHON_DOWNLOADS=never $(BIN)/tox run --skip-missing-interpreters true $(ARGS)

# The book, of which every page's code is run: some two minutes.
docs: $(VENV)/installed-docs
	$(BIN)/sphinx-build -n -W --keep-going -q docs docs/_build/html $(ARGS)
	@echo "see docs/_build/html/index.html"

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "fastae needs Python 3.11 or newer; name one with: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV) || \
	  { rm -rf $(VENV); echo "python3 -m venv failed; on Debian and Ubuntu: apt install python3-venv" >&2; exit 2; }

$(VENV)/installed: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/installed-docs: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[docs]'
	@touch $@ $(VENV)/installed

$(VENV)/installed-test: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -e '.[test]'
	@$(BIN)/python -m compileall -q -j 0 $(VENV)/lib || true # on all cores, where pip would take one
	@touch $@ $(VENV)/installed

$(VENV)/installed-thorough: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -e '.[thorough]'
	@$(BIN)/python -m compileall -q -j 0 $(VENV)/lib || true
	@touch $@ $(VENV)/installed $(VENV)/installed-test $(VENV)/installed-docs

$(VENV)/installed-bench: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test,bench]'
	@touch $@ $(VENV)/installed $(VENV)/installed-test

$(VENV)/installed-matrix: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check tox tox-uv
	@touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks .tox docs/_build docs/api docs/auto_gallery
