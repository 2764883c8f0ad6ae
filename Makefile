# Everything a developer or user does here. `make help` lists it.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
.DEFAULT_GOAL := help
.PHONY: help setup up demo send test lint format bench lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The environment is made anew when the lock changes, and marked only when it is whole.
setup: $(VENV)/.ready ## Install what the lock names into .venv
$(VENV)/.ready: requirements-dev.txt
	@echo "setting up $(VENV)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.13")'
	@$(PYTHON) -m venv $(VENV)
	@$(RUN) -m pip install --quiet --disable-pip-version-check uv==0.13.9
	@UV_LINK_MODE=copy $(VENV)/bin/uv pip sync --quiet --python $(RUN) --require-hashes requirements-dev.txt
	@touch $@

up: setup ## Start the whole stack here and stay: webhooks and API on PORT (8000), data in STATE_DIR (.local)
	@$(RUN) -m shared.local up

demo: setup ## Start the stack, send real webhooks and show what became of them (CI=1: then exit)
	@$(RUN) -m shared.local demo

send: setup ## Send a sample webhook to the running stack: make send EVENT=pull_request
	@$(RUN) -m shared.local send $(or $(EVENT),pull_request)

test: setup lint ## Lint, types, import contracts and all tests
	@$(RUN) -m pytest

lint: setup ## Formatting, rules, strict types and import contracts
	@$(VENV)/bin/ruff format --check --quiet .
	@$(VENV)/bin/ruff check --quiet .
	@$(VENV)/bin/mypy --no-error-summary
	@$(VENV)/bin/lint-imports --no-logo

format: setup ## Format the code and mend what can be mended
	@$(VENV)/bin/ruff format --quiet .
	@$(VENV)/bin/ruff check --quiet --fix .

bench: setup ## Measure CPU and memory against their budgets and print the table
	@$(RUN) -m tests.benchmarks

lock: setup ## Renew the hash locks from pyproject.toml
	@$(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--custom-compile-command "make lock" pyproject.toml -o layers/requirements.txt
	@$(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --group dev \
		--custom-compile-command "make lock" pyproject.toml -o requirements-dev.txt

clean: ## Remove the environment, the caches and the local stack's data
	rm -rf $(VENV) .local .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build
