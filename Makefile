# The tasks of this checkout. `make` alone lists them.
#
# Everything is installed into .venv, from requirement files with hashes. Stamp files record what is installed, so that a
# second call installs nothing.

SHELL := /bin/sh
PYTHON ?= python3
HOST ?= 127.0.0.1
PORT ?= 8080
APP_PORT ?= 8090
UV := $(shell command -v uv 2>/dev/null || echo .tools/bin/uv)
LOCK := $(UV) pip compile --quiet --generate-hashes --no-annotate --universal --python-version 3.11 \
  --no-emit-index-url --no-emit-find-links 
RUN := .venv/bin
PARALLEL ?= -n 2 --dist loadfile
# Slow tests wait more than they compute. In the order of files the longest ones do not begin last.
SLOW_PARALLEL ?= -n 3 --dist loadfile --no-loadscope-reorder
SLOWEST := --durations=25 --durations-min=0.5
RUNTIME := .venv/.runtime-installed
DEV := .venv/.dev-installed
export UV_PYTHON_DOWNLOADS := never
unexport PYTHONDONTWRITEBYTECODE # else every process compiles all modules again, which takes two seconds

.DEFAULT_GOAL := help
.PHONY: help serve example install test test-full check format screenshots bench lock wheel clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

serve: $(RUNTIME) ## Run a server with sample data on http://127.0.0.1:8080 (PORT=… for another)
	@exec $(RUN)/latchstring demo --host $(HOST) --port $(PORT)

example: $(RUNTIME) ## Run the example app on http://127.0.0.1:8090 (APP_PORT=…) with its Latchstring server
	@exec $(RUN)/python examples/documents/run.py --port $(APP_PORT) --latchstring-port $(PORT)

install: $(RUNTIME) ## Install into .venv only

test: $(DEV) ## Run all tests, quick ones first; installs a browser if there is none
	@scripts/ensure-browser >/dev/null
	@$(RUN)/pytest -m "not slow" $(PARALLEL) $(SLOWEST) --cov --cov-report= --cov-fail-under=70
	@$(RUN)/pytest -m alone $(SLOWEST) tests/blackbox/test_jobs.py
	@$(RUN)/pytest -m "slow and not alone" $(SLOW_PARALLEL) $(SLOWEST)

test-full: ## Run all tests with full kill loops, more random examples and all time limits
	@LATCHSTRING_TEST_FULL=1 $(MAKE) --no-print-directory test

check: $(DEV) ## Check format, lint, types, import contracts, dead code and migrations; run the quick tests
	@$(RUN)/ruff format --check --quiet . || { echo "Run make format."; exit 1; }
	@$(RUN)/ruff check --quiet .
	@$(RUN)/mypy --no-error-summary
	@$(RUN)/lint-imports --no-logo
	@$(RUN)/python scripts/check_dead_code.py
	@$(RUN)/python scripts/check_migrations.py
	@$(RUN)/pytest -m "not slow" $(PARALLEL)

format: $(DEV) ## Format the code and apply the fixes of the linter
	@$(RUN)/ruff check --quiet --fix-only .
	@$(RUN)/ruff format --quiet .

screenshots: $(DEV) ## Take the screenshots of the README from a running demo
	@scripts/ensure-browser >/dev/null
	@$(RUN)/python scripts/make_screenshots.py

bench: $(DEV) ## Measure the hot paths on SQLite and PostgreSQL
	@$(RUN)/python -m bench

lock: $(UV) ## Update the locked versions from pyproject.toml
	$(LOCK) pyproject.toml -o requirements/runtime.txt
	$(LOCK) pyproject.toml --group dev -c requirements/runtime.txt -o requirements/dev.txt
	$(LOCK) requirements/build.in -o requirements/build.txt
	$(LOCK) requirements/uv.in -o requirements/uv.txt

wheel: $(DEV) ## Build the package into dist/
	@$(UV) build --quiet --wheel --build-constraint requirements/build.txt --out-dir dist .

clean: ## Remove everything that was installed or built; var/ with its data stays
	rm -rf .venv .tools dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

.tools/bin/uv: requirements/uv.txt
	@$(PYTHON) -m venv .tools
	@.tools/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@touch $@

.venv/bin/python: | $(UV)
	@$(PYTHON) -c 'import sys; sys.exit("Latchstring needs Python 3.11 or newer: make PYTHON=python3.12 …" if sys.version_info < (3, 11) else 0)'
	@$(UV) venv --quiet --clear --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')" .venv

$(RUNTIME): requirements/runtime.txt requirements/build.txt pyproject.toml | .venv/bin/python
	@echo "installing into .venv"
	@$(UV) pip install --quiet --python .venv --require-hashes -r requirements/runtime.txt
	@$(UV) pip install --quiet --python .venv --no-deps --build-constraint requirements/build.txt --editable .
	@touch $@

$(DEV): requirements/dev.txt $(RUNTIME)
	@echo "installing test dependencies into .venv"
	@$(UV) pip install --quiet --python .venv --require-hashes -r requirements/dev.txt
	@touch $@
