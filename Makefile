# Everything a developer or user does here. `make help` lists it.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
STAGE ?= dev
# jsii prints a banner on Node 20 unless the version is named here.
CDK := JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION=20 CDK_DISABLE_VERSION_CHECK=1 node_modules/.bin/cdk
# Lambda's runtime brings boto3 with these.
IN_RUNTIME := boto3 botocore jmespath python-dateutil s3transfer six urllib3
.DEFAULT_GOAL := help
.PHONY: help setup up demo send test e2e lint format bench lock synth deploy clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The environment is made anew when the lock changes, and marked only when it is whole.
setup: $(VENV)/.ready ## Install what the lock names into .venv
$(VENV)/.ready: requirements-dev.txt
	@echo "setting up $(VENV)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.13")'
	@$(PYTHON) -m venv $(VENV)
	@$(RUN) -m pip install --quiet --disable-pip-version-check uv==0.13.9
	@UV_LINK_MODE=copy $(VENV)/bin/uv pip sync --quiet --python $(RUN) --require-hashes requirements-dev.txt
	@$(VENV)/bin/uv pip install --quiet --python $(RUN) --no-deps --no-build-isolation --editable .
	@touch $@

up: setup ## Start the whole stack here and stay: webhooks and API on PORT (8000), data in STATE_DIR (.local)
	@$(RUN) -m shared.local up

demo: setup ## Start the stack, send real webhooks and show what became of them (CI=1: then exit)
	@$(RUN) -m shared.local demo

send: setup ## Send a sample webhook to the running stack: make send EVENT=pull_request
	@$(RUN) -m shared.local send $(or $(EVENT),pull_request)

test: setup lint ## Lint, types, import contracts and all tests
	@$(RUN) -m pytest -n 3 --dist loadfile --ignore tests/acceptance --ignore tests/e2e
	@$(RUN) -m pytest tests/acceptance
	@$(MAKE) --no-print-directory e2e

e2e: setup node_modules/.ready ## Deploy the templates to an emulator of AWS, update under load, drive and destroy them
	@$(RUN) -m pytest tests/e2e

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
	@$(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --group dev \
		--custom-compile-command "make lock" pyproject.toml -o requirements-dev.txt

	@for layer in workers api migrate; do \
		$(VENV)/bin/uv pip compile --quiet --python-version 3.13 --python-platform aarch64-manylinux_2_28 \
			--only-binary :all: --generate-hashes --constraint requirements-dev.txt --group $$layer $(IN_RUNTIME:%=--no-emit-package %) \
			--custom-compile-command "make lock" -o layers/$$layer/requirements.txt || exit 1; \
	done

# The exact CDK CLI of package-lock.json; npm's `latest` is a stray release that cannot read today's templates.
node_modules/.ready: package-lock.json
	@npm ci --silent --no-audit --no-fund --ignore-scripts
	@touch $@

# The folder of templates is made anew: CDK keeps an asset of the same hash as it was staged first.
synth: setup node_modules/.ready ## Package the functions and write every CloudFormation template to cdk.out
	@rm -rf cdk.out
	@$(RUN) -m infra.packaging
	@$(CDK) synth --quiet --no-notices

deploy: setup node_modules/.ready ## Deploy to the AWS account of the environment: make deploy STAGE=dev
	@rm -rf cdk.out
	@$(RUN) -m infra.packaging --require-bytecode
	@$(CDK) bootstrap --no-notices --context stage=$(STAGE)
	@$(CDK) deploy --all --no-notices --require-approval never --context stage=$(STAGE) --outputs-file build/outputs.json

clean: ## Remove the environment, the caches and the local stack's data
	rm -rf $(VENV) .local .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build cdk.out node_modules
