PYTHON ?= python3
BIN := .venv/bin

# A sweep starts many processes, and each imports torch: compile what they import once, also where the machine says no.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test lowest soak lint docs install clean

# The comparison on scikit-learn's digits: Retrain, eight methods and the original model, three seeds.
demo: install
	$(BIN)/unlearn-sweep run digits

# Everything: style, types, tests, in two processes, each of which computes on one core and has a Ray of its own.
# Files keep their order, in which those that start Ray come early: a long one at the end would run alone.
test: lint
	OMP_NUM_THREADS=1 $(BIN)/python $(suite)

suite = -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

# The same tests with the oldest release of each library that pyproject.toml allows.
lowest: install
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv/lowest
	$(BIN)/uv pip install --quiet --python .venv/lowest/bin/python --resolution lowest-direct --editable '.[dev]'
	OMP_NUM_THREADS=1 .venv/lowest/bin/python $(suite)

# What takes long to prove: tests marked so, processes killed and files damaged at random. Their last output is kept.
soak: SHELL := /bin/bash
soak: install
	$(call proof,soak,-m pytest -m soak)
	$(call proof,chaos,benchmarks/chaos.py --runs 20)
	$(call proof,search-kills,benchmarks/search_kills.py)
	$(call proof,corruption,benchmarks/corruption.py 6000)

proof = set -o pipefail; $(BIN)/python -u $(2) | tee benchmarks/results/$(1).txt

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The pages of docs/ and a reference made from the code, as site/index.html. A warning, such as a broken link, is an error.
docs: install
	$(BIN)/sphinx-build --quiet --fresh-env --fail-on-warning --keep-going -c docs -d .venv/.doctrees . site
	@echo "site/index.html"

install: .venv/.installed

# uv installs in seconds what takes pip minutes; it lives in the virtual environment only.
.venv/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -c 'import sys; sys.exit("Linux or macOS is needed: on Windows, use WSL" if sys.platform == "win32" else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv build dist site *.egg-info
