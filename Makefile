# The few commands a person needs; `make check` is exactly what CI runs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# Its cases share one name, of which a run side by side would keep a single one.
ONE_NAME := tests/web/test_schemathesis.py

.PHONY: setup run test test-long check lint bench docs clean

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

setup: $(VENV)/.installed

run: setup
	exec $(BIN)/vcpd run --config config.toml

test: setup
	$(BIN)/python -m pytest -n 2 --dist loadfile --ignore $(ONE_NAME)
	$(BIN)/python -m pytest $(ONE_NAME)

# What takes more than a minute by itself: run before a release.
test-long: setup
	$(BIN)/python -m pytest -m long

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint test

bench: setup
	$(BIN)/python -m benchmarks

# The pages that are made from the program itself; tests hold them to it.
docs: setup
	$(BIN)/vcpd show-config --defaults > config.toml
	$(BIN)/vcpd show-config --markdown > docs/configuration.md
	$(BIN)/vcpd manual --format man > docs/vcpd.1
	$(BIN)/vcpd manual --format markdown > docs/command-line.md

clean:
	rm -rf $(VENV) build dist *.egg-info

include systemd/install.mk
