# Each target makes .venv and installs what it needs, once.
#
#     make demo         train the example network
#     make test         the tests
#     make conformance  what is drawn in tests, twenty times as much, and cases that repeat what others show
#     make lint         ruff and mypy
#     make bench        the command line, the compiler and training, against peers in the same run: a quarter of an hour
#     make exactness    whether annotations hold to the bit under all that training does; 45 minutes
#     make fuzz         broken and hostile text for the compiler; an hour

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo test conformance lint bench exactness fuzz clean

export TF_CPP_MIN_LOG_LEVEL ?= 3
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# The first Python of the right age; `make test PYTHON=python3.12` chooses another.
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 10))
PYTHON ?= $(shell for one in python3 python3.13 python3.12 python3.11 python3.10; do \
	$$one -c '$(NEW_ENOUGH)' 2>/dev/null && echo $$one && break; done)

help:
	@sed -n 's/^#     //p' Makefile

demo: .venv/.for-demo
	@.venv/bin/python demo/digits.py

# Two at a time, each file whole: its tests share what they have built. tests/conftest.py says which begin first.
test: .venv/.for-dev
	@.venv/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

conformance: .venv/.for-dev
	@WDSL_MORE_EXAMPLES=20 .venv/bin/python -m pytest tests/conformance tests/properties
	@.venv/bin/python -m pytest -m repeated

lint: .venv/.for-dev
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy

# Into docs/bench/; `make bench SAVE=` writes into build/. Less than fifteen minutes on two cores that nothing else uses.
SAVE = --save
bench: .venv/.for-dev
	@.venv/bin/python -m tests.bench.run $(SAVE)
	@.venv/bin/python -m tests.bench.compiler $(SAVE)
	@.venv/bin/python -m tests.bench.training $(SAVE)
	@.venv/bin/python -m tests.bench.modules $(SAVE)
	@$(if $(SAVE),.venv/bin/python -m tests.bench.document)

exactness: .venv/.for-dev
	@.venv/bin/python -m tests.exactness.run

fuzz: .venv/.for-fuzz
	@WDSL_MAX_LAYERS=100000 .venv/bin/python -m pytest -q tests/test_hostile.py
	@.venv/bin/python -m tests.fuzz.run --seconds $(or $(SECONDS),3600)

clean:
	rm -rf .venv build dist

.venv/bin/python:
	@if ! $(or $(PYTHON),false) -c '$(NEW_ENOUGH)' 2>/dev/null; then \
		echo "wdsl needs Python 3.10 or later, and $(or $(PYTHON),python3) is not. Name one: make PYTHON=/path/to/python3" >&2; \
		exit 1; \
	fi
	@$(PYTHON) -m venv .venv

.venv/.for-demo: EXTRAS := tensorflow,demo
.venv/.for-dev: EXTRAS := tensorflow,dev
.venv/.for-fuzz: EXTRAS := fuzz
.venv/.for-%: pyproject.toml | .venv/bin/python
	@echo "Installing wdsl[$(EXTRAS)] in .venv; the first time that takes a minute or two"
	@.venv/bin/python -m pip install -e '.[$(EXTRAS)]' 2>&1 | tee .venv/install.log \
		| awk '/^Collecting / { print "  " $$2; fflush() } /^Installing collected/ { print "  unpacking"; fflush() }' \
		|| { tail -n 30 .venv/install.log; exit 1; }
	@touch $@
