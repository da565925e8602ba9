# What people type. `make` alone lists it.
# Needs make and a Python 3.11 to 3.13. To choose one: make clean setup PYTHON=/path/to/python3.12

PYTHON ?=
BIN := .venv/bin
INSTALLED := .venv/.installed

# Without bytecode every start of dbt compiles it again (3 s), so this one is not inherited.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo ui test check bench format docs screenshots lock clean

help: ## lists these targets
	@grep -E '^[a-z-]+:.* ## ' $(MAKEFILE_LIST) | sed 's/:.* ## /#/' | \
		awk -F'#' '{ printf "  make %-11s %s\n", $$1, $$2 }'

setup: $(INSTALLED) ## builds .venv from requirements.lock; does nothing when it is up to date

demo: setup ## production, capture, masking, gold: the whole night on real servers, in .demo
	@$(BIN)/analytics-replica demo run

ui: setup ## the same graph in Dagster, in the browser
	@$(BIN)/analytics-replica ui

test: setup ## every test, on real servers
	@$(BIN)/python -m pytest -n 4 --dist loadfile

check: setup ## format, lint, types, the import rule and the fast tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m pytest -q -m "not slow" $(addprefix analytics_replica_tests/,unit architecture properties)

bench: setup ## measures every figure of the README
	@$(BIN)/python -m benchmarks

format: setup ## formats, and mends what ruff can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: setup ## writes docs/reference anew from the code; a test fails when it is stale
	$(BIN)/python -m analytics_replica.cli.reference

# Not in the lock: 130 MB that only these two pictures need.
screenshots: setup ## takes the README's pictures of `make ui` in Chromium, which must be installed
	$(BIN)/uv pip install -q --python $(BIN)/python "playwright>=1.60,<2"
	$(BIN)/python docs/screenshots.py

lock: setup ## resolves setup.cfg into requirements.lock again; newest versions: make lock UPGRADE=-U
	$(BIN)/uv pip compile setup.cfg --all-extras --universal --python-version 3.11 \
		--no-emit-index-url --custom-compile-command "make lock" $(UPGRADE) \
		--quiet --output-file requirements.lock

clean: ## removes .venv, caches and dbt's artefacts; the demo's data: analytics-replica demo reset
	rm -rf .venv build dist logs *.egg-info dbt_project/target dbt_project/logs
	rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -not -path './.demo/*' -prune -exec rm -rf {} +

# -------------------------------------------------------------------------- setup

# A Python of the right version that can make a venv; a shim that exists but does not run is not one.
USABLE := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))

# uv does not read pip's configuration, so where that names an index of its own, pip installs.
OWN_INDEX := index-url=|no-index=

$(INSTALLED): requirements.lock setup.cfg
	@set -e; \
	for python in $(or $(PYTHON),python3.13 python3.12 python3.11 python3 python); do \
		if "$$python" -c '$(USABLE)' >/dev/null 2>&1; then found=$$python; break; fi; \
	done; \
	if [ -z "$${found:-}" ]; then \
		echo "No usable Python among: $(or $(PYTHON),python3.13 python3.12 python3.11 python3 python)." >&2; \
		echo "analytics-replica needs Python 3.11, 3.12 or 3.13 with its venv module" >&2; \
		echo "(on Debian and Ubuntu: apt install python3-venv)." >&2; \
		echo "Install one, or name it: make setup PYTHON=/path/to/python3.12" >&2; \
		exit 1; \
	fi; \
	echo "Installing the packages of requirements.lock into .venv with $$("$$found" --version): about half a minute."; \
	if ! $(BIN)/python -c '$(USABLE)' >/dev/null 2>&1 || [ -n "$(PYTHON)" ]; then "$$found" -m venv --clear .venv; fi; \
	if $(BIN)/python -m pip config list | grep -E '(^|\.)($(OWN_INDEX))' >/dev/null \
		|| ! $(BIN)/python -m pip install -qq "$$(grep '^uv==' requirements.lock)" \
		|| ! $(BIN)/uv pip sync -q --compile-bytecode --python $(BIN)/python requirements.lock; \
	then \
		echo "With pip, which takes about two minutes."; \
		$(BIN)/python -m pip install -qq --no-deps -r requirements.lock; \
	fi; \
	$(BIN)/python -m pip install -qq --no-deps --no-build-isolation --editable .; \
	touch $@
