# Tapestream. Bare `make` says what there is.

.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --no-print-directory
.SUFFIXES:

VENV := .venv
BIN := $(VENV)/bin
# The first that runs and is of a version that we support; PYTHON=… names another.
FITS := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for each in python3.11 python3.12 python3.13 python3; do \
	if $$each -c '$(FITS)' 2>/dev/null; then echo $$each; break; fi; done)

PROJECTS := $(sort $(wildcard libs/*/pyproject.toml services/*/pyproject.toml))
DISTS := $(patsubst %/pyproject.toml,./%,$(PROJECTS))
PIP := $(BIN)/python -m pip -qq --disable-pip-version-check --no-input
WORKERS ?= 2

.PHONY: help run test lint fmt bench soak clean install install-dev lock env-example psql

help: ## this text
	@echo "Tapestream: make TARGET [SETTING=value …]"; echo
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16
	@echo; echo "Settings are listed in .env.example: make run FEED=binance PORT=8001"

run: $(VENV)/.runtime ## install what is missing and start everything
	@exec $(BIN)/python -P -m tapestream.common.supervisor

test: $(VENV)/.dev ## all tests but the long ones (ARGS=… goes to pytest)
	@$(BIN)/python -m tapestream.analytics.warmup  # else each of the systems under test compiles the kernels
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not soak" $(ARGS)

lint: $(VENV)/.dev ## style, types and the direction of imports
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports --no-cache

fmt: $(VENV)/.dev ## format the code, mend what can be mended
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

bench: $(VENV)/.dev ## measure, print one table, write bench-results/
	$(BIN)/python -m tests.bench $(ARGS)

soak: $(VENV)/.dev ## the long tests
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m soak tests/soak $(ARGS)

install: $(VENV)/.runtime ## .venv with what a run needs
install-dev: $(VENV)/.dev ## .venv with tools and tests, too

psql: $(VENV)/.runtime ## a shell in the database of a running Tapestream
	@exec $(BIN)/python -P -m tapestream.common.supervisor.psql

env-example: $(VENV)/.dev ## write .env.example from the settings classes
	$(BIN)/python tests/architecture/env_example.py > .env.example.new && mv .env.example.new .env.example

clean: ## remove .venv, caches and results; the data in .tapestream stays
	rm -rf $(VENV) bench-results .pytest_cache .ruff_cache .import_linter_cache .hypothesis build dist
	find libs services tests -name __pycache__ -prune -exec rm -rf {} +

# pip's own exit leaves no stamp behind, so that an interrupted install goes on next time.
$(VENV)/.made:
	@test -n "$(PYTHON)" || { echo "Tapestream needs Python 3.11, 3.12 or 3.13: install one, or name it with PYTHON=…" >&2; exit 1; }
	@$(PYTHON) -c '$(FITS)' || { echo "$(PYTHON) is not Python 3.11, 3.12 or 3.13: name another with PYTHON=…" >&2; exit 1; }
	@echo "making $(VENV) with $(PYTHON)"
	@$(PYTHON) -m venv $(VENV) || { echo "$(PYTHON) cannot make a virtual environment: on Debian, install python3-venv" >&2; exit 1; }
	@touch $@

$(VENV)/.runtime: requirements.lock $(PROJECTS) | $(VENV)/.made
	@echo "installing what requirements.lock names (a minute the first time)"
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation $(addprefix -e ,$(DISTS))
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.runtime
	@echo "installing what requirements-dev.lock names"
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@

# The versions that are locked now stay unless something needs others; UPGRADE=--upgrade takes the newest.
COMPILE = printf '%s\n' $(DISTS) | $(UV) pip compile - --quiet --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-emit-find-links --no-header $(UPGRADE) \
	$(foreach dist,$(DISTS),--no-emit-package tapestream-$(notdir $(dist)))
UV ?= $(BIN)/uv

lock: ## compile requirements*.lock from the pyproject files (UPGRADE=--upgrade for newer versions)
	@test -x "$$(command -v $(UV))" || { echo "uv is missing: make install-dev, or UV=…" >&2; exit 1; }
	$(COMPILE) requirements-build.in -o requirements.lock
	$(COMPILE) requirements-build.in requirements-dev.in -c requirements.lock -o requirements-dev.lock
