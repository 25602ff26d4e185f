# `make demo` and `make test` do all of the set-up themselves; what is done is not done again.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
KAFKA := .headrace/kafka
REGISTRY := .headrace/registry
KERNELS := $(wildcard */*/kernels/*.py)

# The first Python here that Bytewax has wheels for; looked for only when the venv is made.
FITS := 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))'
PYTHON = $(shell for name in python3 python3.12 python3.11; do \
	$$name -c $(FITS) >/dev/null 2>&1 && echo $$name && break; done)

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore

# Sets up what a command needs: one make at a time in a tree, its steps side by side.
define set_up
+@mkdir -p .headrace; exec 9>.headrace/setup.lock; \
flock --nonblock 9 || { echo 'Another make is setting up here: waiting'; flock 9; }; \
$(MAKE) --no-print-directory $(if $(findstring jobserver,$(MAKEFLAGS)),,-j4) $(1)
endef

.PHONY: help setup demo test check bench docs lock .for-lock .for-demo .for-check .for-test

help:
	@echo 'make demo    servers, a stream of ticks, the market flow; ARGS="--seconds 20"; ARGS=adt'
	@echo 'make test    all tests; ARGS="-k kafka" for some'
	@echo 'make check   ruff, mypy, import-linter'
	@echo 'make bench   the benchmarks; ARGS="market"'
	@echo 'make docs    docs/schemas, openapi.json and asyncapi.json anew, from the code'
	@echo 'make setup   what the demo needs, nothing else: packages, the Kafka jars'
	@echo 'make lock    the lock files anew, from pyproject.toml; ARGS="--upgrade" for newer versions'

setup:
	$(call set_up,.for-demo)

demo: setup
	@$(BIN)/headrace demo $(ARGS)

test:
	$(call set_up,.for-test)
	@$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder $(ARGS)

check:
	$(call set_up,.for-check)
	@echo 'ruff check' && $(BIN)/ruff check --quiet
	@echo 'ruff format' && $(BIN)/ruff format --check --quiet
	@echo 'mypy --strict' && $(BIN)/mypy --no-error-summary
	@echo 'import-linter' && { $(BIN)/lint-imports >$(VENV)/imports.log || { \
		cat $(VENV)/imports.log; exit 1; }; }

bench:
	$(call set_up,.for-check .for-demo)
	@$(BIN)/headrace bench $(ARGS)

docs: setup
	@$(BIN)/headrace schemas --out docs

# With hashes and no address: good for any index, on Python 3.11 and 3.12 for Linux on x86-64.
lock:
	$(call set_up,.for-lock)
	@$(BIN)/python deploy/packages.py lock $(ARGS)

.for-lock: $(VENV)/.made
.for-demo: $(VENV)/.warm $(KAFKA)/.jars
.for-check: $(VENV)/.headrace $(VENV)/.dev
.for-test: .for-demo .for-check $(REGISTRY)/.app
.for-lock .for-demo .for-check .for-test:
	@:

# The stamps: what has one is done. An environment without its first is a rest of an interruption.
$(VENV)/.made:
	@test -n '$(PYTHON)' || { echo 'Python 3.11 or 3.12 is needed, and none was found'; exit 1; }
	@echo 'Setting up: $(VENV) with $(PYTHON)'
	@$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/.locked: requirements.lock requirements-uv.lock | $(VENV)/.made
	@echo 'Setting up: the packages of requirements.lock'
	@$(BIN)/python deploy/packages.py install requirements.lock
	@touch $@

$(VENV)/.warm: $(KERNELS) | $(VENV)/.headrace
	@echo 'Setting up: kernels are compiled'
	@$(BIN)/headrace warm >$(VENV)/warm.log
	@touch $@

$(VENV)/.dev: requirements-dev.lock requirements-uv.lock | $(VENV)/.headrace
	@echo 'Setting up: the packages of requirements-dev.lock'
	@$(BIN)/python deploy/packages.py install requirements-dev.lock
	@touch $@

$(VENV)/.headrace: pyproject.toml | $(VENV)/.locked
	@$(BIN)/python deploy/packages.py project
	@touch $@

# Without Java or Maven there is no stamp: it says so each time, and goes on.
$(KAFKA)/.jars: deploy/kafka/pom.xml
	@command -v java >/dev/null && command -v mvn >/dev/null || { \
		echo 'No Java or no Maven: librdkafka stands in for Apache Kafka'; exit 0; }; \
	echo 'Setting up: the jars of Apache Kafka'; \
	rm -rf $(KAFKA)/new && mkdir -p $(KAFKA)/new; \
	mvn --quiet --batch-mode -f deploy/kafka/pom.xml dependency:copy-dependencies \
		-DincludeScope=runtime -DoutputDirectory='$(CURDIR)/$(KAFKA)/new' >$(KAFKA)/maven.log 2>&1 || { \
		cat $(KAFKA)/maven.log; exit 1; }; \
	rm -rf $(KAFKA)/lib && mv $(KAFKA)/new $(KAFKA)/lib; \
	touch $@

$(REGISTRY)/.app: deploy/registry/pom.xml
	@command -v java >/dev/null && command -v mvn >/dev/null || { \
		echo 'No Java or no Maven: nothing is tested with a schema registry'; exit 0; }; \
	echo 'Setting up: the schema registry for the tests'; \
	rm -rf $(REGISTRY)/new && mkdir -p $(REGISTRY)/new; \
	mvn --quiet --batch-mode -f deploy/registry/pom.xml dependency:unpack \
		-DoutputDirectory='$(CURDIR)/$(REGISTRY)/new' >$(REGISTRY)/maven.log 2>&1 || { \
		cat $(REGISTRY)/maven.log; exit 1; }; \
	rm -rf $(REGISTRY)/app && mv $(REGISTRY)/new $(REGISTRY)/app; \
	touch $@
