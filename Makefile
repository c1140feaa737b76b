# The few commands a person needs; `make check` is exactly what CI runs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
AUDIT := .venv-audit
LATEST := .venv-latest

# Its cases share one name, of which a run side by side would keep a single one.
ONE_NAME := tests/web/test_schemathesis.py

.PHONY: setup kernels run test test-long test-latest check lint bench docs site dist lock audit clean

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

setup: $(VENV)/.installed
	@$(MAKE) --no-print-directory kernels

# Compiles the modules with a .pxd file, those that changed: about half a minute the first time.
kernels:
	@$(BIN)/python setup.py --quiet build_ext --inplace

run: setup
	exec $(BIN)/vcpd run --config config.toml

# Three processes for two cores: many tests wait for a daemon. In the order of the files, so that the folder with
# the longest tests comes first and none of them is left for the end.
test: setup
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder --ignore $(ONE_NAME)
	$(BIN)/python -m pytest $(ONE_NAME)

# What takes more than a minute by itself: run before a release.
test-long: setup
	$(BIN)/python -m pytest -m long

# The newest of every library, upper bounds left aside: what the next release of one would break.
test-latest:
	$(PYTHON) -m venv $(LATEST)
	$(LATEST)/bin/python -m pip install --quiet --upgrade pip
	$(LATEST)/bin/python -c "import re, tomllib; p = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
	print('\n'.join(re.sub(r',<[0-9.]+', '', d) for d in p['dependencies'] + p['optional-dependencies']['dev']))" \
	> $(LATEST)/newest.txt
	$(LATEST)/bin/python -m pip install --quiet --upgrade --upgrade-strategy eager --requirement $(LATEST)/newest.txt
	$(LATEST)/bin/python -m pip install --quiet --no-deps --editable .
	$(LATEST)/bin/python -m pytest -n 2 --dist loadfile --ignore $(ONE_NAME)

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

# The documentation as a site in build/site; a link that leads nowhere fails it.
site: setup
	$(BIN)/python -W ignore -m mkdocs build --quiet --strict
	@echo "open build/site/index.html"

# Wheel and source archive, with metadata that an index accepts.
dist: setup
	rm -rf dist build
	$(BIN)/python -m build --outdir dist .
	$(BIN)/python -m twine check --strict dist/*

# What releases install, each file by its hash; edit pyproject.toml, then make this anew.
lock: $(AUDIT)/.installed
	$(AUDIT)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-header --upgrade pyproject.toml --output-file requirements.lock

# resvg_py names no licence in its metadata; its licence file is the text of MIT.
LICENCE_READ_BY_HAND := resvg_py

# Licences of what a release installs, its known vulnerabilities where the index offers them, its bill of materials.
RELEASED := .venv-audit/released
$(AUDIT)/.installed: pyproject.toml
	$(PYTHON) -m venv $(AUDIT)
	$(AUDIT)/bin/python -m pip install --quiet --upgrade pip
	$(AUDIT)/bin/python -m pip install --quiet $$($(PYTHON) -c "import tomllib; \
	print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies']['audit'])")
	touch $@

audit: $(AUDIT)/.installed
	mkdir -p dist
	rm -rf $(RELEASED) dist/vulnerabilities.json
	$(PYTHON) -m venv $(RELEASED)
	$(RELEASED)/bin/python -m pip install --quiet --require-hashes --requirement requirements.lock
	$(AUDIT)/bin/pip-licenses --python $(RELEASED)/bin/python --from=mixed --ignore-packages pip setuptools $(LICENCE_READ_BY_HAND)
	-$(AUDIT)/bin/pip-audit --require-hashes --disable-pip --requirement requirements.lock --format json \
	--output dist/vulnerabilities.json
	$(AUDIT)/bin/cyclonedx-py environment --output-file dist/bill-of-materials.json $(RELEASED)/bin/python
	@test -s dist/vulnerabilities.json || { echo "known vulnerabilities: this index offers none"; exit 0; }; \
	$(PYTHON) -c "import json, sys; bad = [d['name'] for d in json.load(open('dist/vulnerabilities.json'))['dependencies'] if d.get('vulns')]; \
	sys.exit('known vulnerabilities in: ' + ', '.join(bad) if bad else 0)"

clean:
	rm -rf $(VENV) $(LATEST) $(AUDIT) build dist *.egg-info
	find vcpd -name '*.so' -delete

include systemd/install.mk
