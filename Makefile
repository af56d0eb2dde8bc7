# onetake: every command that the README and CONTRIBUTING name.
# `make demo` and `make test` need only Python 3.11 or newer, make and git.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.DEFAULT_GOAL := help
.PHONY: help demo test test-all catalog-fal capabilities faults coverage packages soak check fix docs live clean

help:  ## say what there is
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(READY): pyproject.toml providers/fal/pyproject.toml providers/kling/pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("onetake needs Python 3.11 or newer") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e '.[sandbox]' -e providers/fal -e providers/kling --group dev
	touch $@

demo: $(READY)  ## the same shot through fal and Kling, offline, as MP4 files, with the price
	$(BIN)/python examples/demo.py demo-output

test: $(READY)  ## the test-suite, with few frames per film
	$(BIN)/python -m pytest --media=fast -m "not full_media and not live and not thorough and not packaging and not capabilities and not faults and not docs" -n auto

test-all: $(READY)  ## everything, with every frame drawn, and on both databases
	LIVES=40 $(BIN)/python -m pytest --media=full -m "not live" -n auto --timeout=300

capabilities: $(READY)  ## every model makes its real output on the sandbox; JavaScript clients of others run against it
	$(BIN)/python -m pytest --media=fast -m capabilities -n auto

faults: $(READY)  ## kills and races beyond those of `make test`: fal, PostgreSQL
	$(BIN)/python -m pytest --media=fast -m "faults and not thorough" -n auto tests/faults

coverage: $(READY)  ## branch coverage of the engine and the ledger; needs Python 3.13 or newer
	$(BIN)/python tools/coverage_of_engine.py

packages: $(READY)  ## build wheels and source packages, and try them beside a third party's provider
	$(BIN)/python -m pytest -m packaging tests/house

soak: $(READY)  ## JOBS=500 SEED=1: both vendors under random faults and kills, then the books are compared
	$(BIN)/python -m tests.faults.soak --jobs $(or $(JOBS),500) --seed $(or $(SEED),1)

check: $(READY)  ## lint, types, import contracts, generated docs, and every command that the docs show
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python tools/catalog_fal.py --check
	$(BIN)/python tools/generate_docs.py --check
	$(BIN)/python -m pytest --media=fast -m docs -n auto tests/house

fix: $(READY)  ## mend what a machine can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(READY)  ## write the generated parts of the docs anew
	$(BIN)/python tools/generate_docs.py

catalog-fal: $(READY)  ## fal's catalog from its schemas; with FAL_KEY it says what has changed, WRITE=1 takes it over
	$(BIN)/python tools/catalog_fal.py $(if $(FAL_KEY),--live) $(if $(WRITE),--write)

live: $(READY)  ## opt-in: one paid job with real keys, at most LIVE_MAX_USD (default 0.30)
	ONETAKE_LIVE=1 LIVE_MAX_USD=$${LIVE_MAX_USD:-0.30} $(BIN)/python -m pytest -m live tests/live

clean:  ## remove the environment and everything built
	rm -rf $(VENV) build dist demo-output .pytest_cache .mypy_cache .ruff_cache .hypothesis
