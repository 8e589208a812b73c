# Every command that a developer or CI runs. `make` alone explains them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:

PYTHON ?= python3
PYTEST_ARGS ?=
BENCH_ARGS ?=
FIRST ?= 0
SEEDS ?= 200
BUGS ?=
BIN := .venv/bin
STAMPS := .venv/stamps
# What maturin tells pyo3's build script. Cargo alone must say the same, or each change between the two rebuilds pyo3 (10 s).
AS_MATURIN = PYO3_BUILD_EXTENSION_MODULE=1 PYO3_PYTHON=$(abspath $(BIN)/python) PYTHON_SYS_EXECUTABLE=$(abspath $(BIN)/python) \
  PYO3_CONFIG_FILE=$$(ls $(CURDIR)/target/maturin/pyo3-config-*.txt) \
  PYO3_ENVIRONMENT_SIGNATURE=$$($(BIN)/python -c 'import platform, sys; print("cpython-%d.%d-%s" % (*sys.version_info[:2], platform.architecture()[0]))')
export CARGO_TERM_COLOR ?= auto

RUST_SOURCES := Cargo.toml Cargo.lock $(shell find crates -name '*.rs' -o -name Cargo.toml -o -name build.rs)

.PHONY: help setup verify audit fix generate figures test test-rust test-python sim conformance fault bench bench-scale bench-modes demo clean

help: ## Print this list.
	@echo "ternmq: targets"
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  \1|\2/' | awk -F'|' '{printf "  %-13s %s\n", $$1, $$2}'

$(STAMPS)/environment: requirements-dev.txt scripts/check_toolchain.py
	@$(PYTHON) scripts/check_toolchain.py
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements-dev.txt
	@mkdir -p $(STAMPS) && touch $@

# The package is installed once, in place: Python files are read from python/, only the extension is built.
$(STAMPS)/package: pyproject.toml $(STAMPS)/environment
	@if [ ! -f README.md ]; then echo "README.md is missing" >&2; exit 1; fi
	source $(BIN)/activate && maturin develop --release --locked --quiet > /dev/null
	@touch $(STAMPS)/extension $@

$(STAMPS)/extension: $(RUST_SOURCES) | $(STAMPS)/package
	source $(BIN)/activate && maturin develop --release --locked --quiet --skip-install > /dev/null
	@touch $@

setup: $(STAMPS)/package $(STAMPS)/extension ## Make .venv with the command ternmq and the optimised extension.

verify: setup ## All static checks; writes nothing.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest ternmq._core --concise
	$(BIN)/lint-imports
	cargo fmt --all --check
	$(AS_MATURIN) cargo clippy --release --workspace --all-targets --locked -- -D warnings
	$(AS_MATURIN) RUSTDOCFLAGS="-D warnings" cargo doc --release --workspace --no-deps --locked --quiet

audit: setup ## Licences, sources and advisories of crates and packages; what cannot be reached is counted and no failure.
	$(BIN)/python scripts/audit.py

fix: setup ## Format, and apply the fixes that are safe.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	cargo fmt --all

generate: setup ## Write docs/compatibility.md from the dispatch tables, and docs/settings.md from the table of settings.
	$(BIN)/python scripts/compatibility.py
	$(BIN)/python scripts/settings.py

figures: ## Lines, cycles, names defined twice, and what is longest; of the sources alone, builds nothing.
	@$(PYTHON) -m scripts.structure

test: test-python test-rust ## Fast tests, and the short forms of conformance and fault (skipped by name where Java or Go is missing).

test-python: setup
	$(BIN)/pytest tests/unit tests/property -m "not long" --numprocesses 2 $(PYTEST_ARGS)
	$(BIN)/pytest tests --ignore tests/unit --ignore tests/property -m "not long" $(PYTEST_ARGS)

test-rust: setup
	cargo test --release --locked
	$(BIN)/python scripts/known_defects.py run

sim: setup ## Histories of whole groups on disks that lie: seeds FIRST (0) to SEEDS (200), or BUGS=300 to plant each bug in turn.
	cargo build --release --locked -p tern-sim
	target/release/tern-sim $(if $(BUGS),bugs $(BUGS),$(FIRST) $(SEEDS))

conformance: setup ## Foreign clients against our cluster, the long form; needs Java, Maven and Go.
	$(BIN)/pytest tests/conformance $(PYTEST_ARGS)
	$(BIN)/python scripts/conformance_table.py

fault: setup ## Kills and stops with a history checker, and attacks; the long forms.
	$(BIN)/pytest tests/fault tests/attack $(PYTEST_ARGS)

# What is measured is what is installed: the wheel, in an environment of its own. It is compiled for speed, which takes minutes.
$(STAMPS)/bench: $(RUST_SOURCES) $(shell find python -name '*.py') requirements-dev.txt | $(STAMPS)/package
	rm -rf target/bench target/wheels-bench
	source $(BIN)/activate && maturin build --profile dist --locked --quiet --out target/wheels-bench > /dev/null
	$(PYTHON) -m venv target/bench
	target/bench/bin/python -m pip install --quiet --disable-pip-version-check --requirement requirements-dev.txt target/wheels-bench/*.whl
	@touch $@

bench: setup $(STAMPS)/bench ## Rates, latencies, CPU and memory beside Apache's servers, in one run of half an hour; BENCH_ARGS="--rows ..." for parts.
	target/bench/bin/python -m benches $(BENCH_ARGS)

bench-scale: setup $(STAMPS)/bench ## One topic over 1, 2, 3 and 5 Raft groups at 20,000 messages a second each; SCALE_ARGS="--groups 5 --seconds 60".
	target/bench/bin/python -m benches.scale $(SCALE_ARGS)

bench-modes: setup $(STAMPS)/bench ## Our four modes beside Apache's, a cluster at a time, an hour; MODES_ARGS="--modes raft --side ours --json FILE".
	target/bench/bin/python -m benches.modes $(MODES_ARGS)

demo: setup ## A cluster of nine processes, faults, and a proof that nothing acknowledged was lost.
	$(BIN)/ternmq demo

clean: ## Remove what was built: .venv, target and caches.
	rm -rf .venv target .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache python/ternmq/_core*.so
