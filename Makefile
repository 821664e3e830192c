PYTHON ?= python3
BIN := .venv/bin

# A sweep starts many processes, and each imports torch: compile what they import once, also where the machine says no.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test lint install clean

# The comparison on scikit-learn's digits: seven methods and the original model, three seeds.
demo: install
	$(BIN)/unlearn-sweep run digits

# Everything: style, types, tests.
test: lint
	$(BIN)/python -m pytest

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

install: .venv/.installed

# uv installs in seconds what takes pip minutes; it lives in the virtual environment only.
.venv/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv build dist *.egg-info
