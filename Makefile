# Two commands do everything: `make up` and `make test`. See README.md.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STACK ?= examples/lab.yaml
SIM ?= lab
NODE ?= lab
JOBS ?= 2

.PHONY: help
help: ## Show what can be made
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

# The stamp is younger than pyproject.toml as long as what is installed is what it asks for.
$(VENV)/.installed: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing sparkrig into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/.developing: $(VENV)/.installed
	@echo "installing what development needs into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

.PHONY: up
up: $(VENV)/.installed ## The whole stack on an embedded cluster: tools, cluster, releases, status
	@$(BIN)/python scripts/make_up.py --stack $(STACK) --sim $(SIM)

.PHONY: down
down: $(VENV)/.installed ## Delete the embedded cluster
	@$(BIN)/sparkrig cluster delete --on sim:$(SIM)

.PHONY: dev
dev: $(VENV)/.developing ## The virtual environment with everything for development

.PHONY: test
test: $(VENV)/.developing ## All tests that need no root
	@$(BIN)/sparkrig tools install
	@$(BIN)/sparkrig tools install registry promtool kube-score >/dev/null   # for the tests of oci:// sources, alert rules, our own pods
	@$(BIN)/python -m tests.controllers build   # real controllers, for tests/controllers
	@$(BIN)/python scripts/run_tests.py -n $(JOBS) --dist loadgroup --ignore tests/node $(PYTEST_ARGS)

.PHONY: node-up
node-up: $(VENV)/.developing ## Real pods on this machine (root): a one-node Kubernetes in namespaces of its own (NODE, GPUS)
	@$(BIN)/python -m tests.node up --name $(NODE) $(if $(GPUS),--gpus $(GPUS))

.PHONY: node-down
node-down: $(VENV)/.developing ## End that node; nothing of it is left (NODE)
	@$(BIN)/python -m tests.node down --name $(NODE)

.PHONY: node-status
node-status: $(VENV)/.developing ## What of that node runs (NODE)
	@$(BIN)/python -m tests.node status --name $(NODE)

.PHONY: node-images
node-images: $(VENV)/.developing ## Build the images of tests/node/images and load them into that node (IMAGES, NODE)
	@$(BIN)/python -m tests.node images $(IMAGES) --name $(NODE)

.PHONY: node-test
node-test: $(VENV)/.developing ## Tests with real pods (root); skipped with the reason where the machine cannot
	@$(BIN)/python -m pytest tests/node $(PYTEST_ARGS)

.PHONY: e2e
e2e: $(VENV)/.developing ## Each component once on real pods, images first, in stages with times; reports in artefacts/ (NODE)
	@$(BIN)/python -m tests.node.e2e --name $(NODE) $(PYTEST_ARGS)

.PHONY: e2e-all
e2e-all: $(VENV)/.developing ## All tests with real pods; on that node where it is up (NODE)
	@$(BIN)/python -m tests.node.e2e --all --name $(NODE) $(PYTEST_ARGS)

.PHONY: soak
soak: $(VENV)/.developing ## Ten minutes of random operations and faults (SOAK_SECONDS, SOAK_SEED)
	@SOAK_SECONDS=$${SOAK_SECONDS:-600} $(BIN)/python -m pytest -s tests/cluster/test_soak.py --timeout 3600

.PHONY: bench
bench: $(VENV)/.developing ## sparkrig beside helmfile and helm on fresh clusters (BENCH_ARGS; docs/speed.md)
	@$(BIN)/sparkrig tools install helmfile >/dev/null
	@$(BIN)/python -m bench $(BENCH_ARGS)

.PHONY: lint
lint: $(VENV)/.developing ## Formatting, lint, types, import layers, news fragments, language and links of the docs
	@$(BIN)/ruff format --check installer tests scripts bench
	@$(BIN)/ruff check installer tests scripts bench
	@$(BIN)/mypy
	@$(BIN)/lint-imports --config pyproject.toml
	@$(BIN)/python scripts/news.py
	@$(BIN)/python scripts/prose.py
	@$(BIN)/zensical build --strict --clean

.PHONY: measure
measure: ## Sizes of files and functions, Any and comments with a reason per 1,000 lines
	@$(PYTHON) scripts/measure.py

.PHONY: docs
docs: $(VENV)/.installed ## Generated pages: values from the schemas, commands from the program, packages, pictures, navigation of the site
	@$(BIN)/python scripts/reference.py

.PHONY: site
site: $(VENV)/.developing ## The documentation as a site with search, in site/
	@$(BIN)/zensical build --strict --clean

.PHONY: recording
recording: $(VENV)/.developing ## docs/up.svg, from a real run of `up` on a fresh embedded cluster
	@$(BIN)/python scripts/recording.py

.PHONY: dist
dist: $(VENV)/.developing ## The wheel and the source archive, in dist/
	@rm -rf dist
	@$(BIN)/python -m build --outdir dist .

.PHONY: dashboards
dashboards: $(VENV)/.developing ## The dashboards of charts/monitoring, from scripts/dashboards
	@$(BIN)/python -m scripts.dashboards

.PHONY: clean
clean: ## Remove what was made here (not the tools in the user's cache)
	rm -rf $(VENV) dist site .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache artefacts
