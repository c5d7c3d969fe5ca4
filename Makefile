# `make` alone lists the targets.

VENV := .venv
NODE_CLIENTS := $(patsubst %/package.json,%,$(wildcard tests/clients/*/package.json examples/*/package.json))
PAGES := $(patsubst %/vite.config.js,%,$(wildcard tests/clients/*/vite.config.js examples/*/vite.config.js))
WORKERS := $(shell echo $$((2 * $$(nproc 2>/dev/null || echo 1)))) # tests wait more than they work
CHROMIUM := /usr/bin/chromium
SYSTEMD := /usr/bin/systemd-analyze
BENCH_PEER := tests/bench/peers/trpc
PLUGINS := $(patsubst %/pyproject.toml,%,$(wildcard plugins/*/pyproject.toml))
PIP := $(VENV)/bin/python -m pip --quiet --disable-pip-version-check --no-input

export PIP_REQUIRE_VIRTUALENV := 1

.DELETE_ON_ERROR:
.PHONY: help setup demo test lint bench conformance fuzz clean node
.SECONDEXPANSION:

help: ## list the targets
	@awk -F ':.* ## ' '/^[a-z]+:.* ## / { printf "make %-11s %s\n", $$1, $$2 }' Makefile

setup: $(VENV)/.ready ## make .venv: adohub, every plugin, the tools

demo: setup ## a hub, a real task, a live view
	@$(VENV)/bin/adohub demo

test: setup $(NODE_CLIENTS:%=%/node_modules/.ready) $(BENCH_PEER)/node_modules/.ready $(PAGES:%=%/dist/index.html) $(CHROMIUM) $(SYSTEMD) ## run all tests
	@$(VENV)/bin/python -m pytest --numprocesses $(WORKERS) --dist loadfile $(PYTEST_ARGS)

lint: setup ## ruff, mypy, and no registry addresses
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	@set -e; for plugin in $(PLUGINS); do echo "mypy $$plugin"; \
	  (cd $$plugin && $(CURDIR)/$(VENV)/bin/mypy --config-file $(CURDIR)/pyproject.toml --cache-dir $(CURDIR)/.mypy_cache .); done
	@$(no_registry_addresses)

bench: $(VENV)/.bench-ready $(BENCH_PEER)/node_modules/.ready ## the side-by-side table
	@$(VENV)/bin/python -m tests.bench $(BENCH_ARGS)

conformance: $(VENV)/.conformance-ready ## the Autobahn suite against both hosts
	@$(VENV)/bin/python -m tests.conformance

fuzz: $(VENV)/.fuzz-ready ## look for what breaks a reader: FUZZ_ARGS='TARGET --seconds N'
	@$(VENV)/bin/python -m tests.fuzz $(FUZZ_ARGS)

clean: ## remove what make made
	rm -rf $(VENV) $(NODE_CLIENTS:%=%/node_modules) $(PAGES:%=%/dist) $(BENCH_PEER)/node_modules
	rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis .fuzz-corpus
	find adohub plugins tests -type d -name __pycache__ -prune -exec rm -rf {} +

# The prerequisite `plugins` is the folder itself: it changes when a plugin comes or goes.
$(VENV)/.ready: pyproject.toml constraints.txt plugins $(PLUGINS:%=%/pyproject.toml)
	@$(find_python); \
	$(VENV)/bin/python -c '' 2>/dev/null || rm -rf $(VENV); \
	echo "making $(VENV) with $$($$python --version)"; \
	$$python -m venv $(VENV)
	@$(PIP) install --constraint constraints.txt hatchling
	@$(PIP) install --constraint constraints.txt --no-build-isolation --editable '.[dev]' $(PLUGINS:%=--editable ./%)
	@touch $@

# What only one target needs is an extra by its name.
$(VENV)/.%-ready: $(VENV)/.ready
	@$(PIP) install --constraint constraints.txt --no-build-isolation --editable '.[$*]'
	@touch $@

# The first Python that is new enough and can make a virtual environment.
define find_python
for python in $(PYTHON) python3 python3.13 python3.12 python3.11 none; do \
  $$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break; \
done; \
if [ $$python = none ]; then \
  echo "adohub needs Python 3.11 or newer with venv (on Debian and Ubuntu: python3 and python3-venv)." >&2; \
  echo "If it is installed under another name: make PYTHON=/path/to/python3 $(MAKECMDGOALS)" >&2; \
  exit 1; \
fi
endef

%/node_modules/.ready: %/package.json %/package-lock.json %/.npmrc | node
	@echo "npm ci in $*"
	@cd $* && npm ci --loglevel=error --no-audit --no-fund >/dev/null
	@touch $@

%/dist/index.html: %/node_modules/.ready $$(wildcard $$*/*.html $$*/*.js $$*/src/*)
	@echo "vite build in $*"
	@cd $* && npm run --silent build

node:
	@node -e '[a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)' 2>/dev/null \
	  && npm --version >/dev/null 2>&1 || { \
	  echo "The tests run real tRPC clients and need Node 20.19 or newer with npm. Everything else works without." >&2; exit 1; }

# The tests show pages in a real browser, and let systemd judge its units: packages of Debian and its kin.
$(CHROMIUM) $(SYSTEMD): package = $(if $(findstring chromium,$@),chromium,systemd)
$(CHROMIUM) $(SYSTEMD):
	@command -v apt-get >/dev/null || { \
	  echo "The tests need $@. Install the package $(package) and run make test again." >&2; exit 1; }
	@echo "installing $(package)"
	@$(as_root) sh -c 'apt-get update && apt-get install -y --no-install-recommends $(package)' >/dev/null || { \
	  echo "The package $(package) could not be installed: install it as root and run make test again." >&2; exit 1; }

as_root = $$([ "$$(id -u)" = 0 ] || echo sudo)

# Whoever installs adohub chooses where packages come from, so no tracked file may.
define no_registry_addresses
if ! git rev-parse >/dev/null 2>&1; then echo "no git checkout: tracked files are not looked at" >&2; exit 0; fi; \
if git grep -nIE 'pypi[.]org|pythonhosted[.]org|registry[.](npmjs|yarnpkg)[.]|npmmirror[.]com|npmjs[.]org'; then \
  echo "these files name a package registry" >&2; exit 1; fi; \
if git grep -n '"resolved"' -- '*package-lock.json' '*npm-shrinkwrap.json'; then \
  echo "these lock files name where packages come from: npm install --omit-lockfile-registry-resolved" >&2; exit 1; fi; \
if git ls-files | grep -E '(^|/)uv[.]lock$$'; then \
  echo "uv.lock names a package registry" >&2; exit 1; fi
endef
