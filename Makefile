# Everything runs in .venv, which the first target that needs it makes; nothing is installed by
# hand and nothing outside the repository changes (only test-neon, test-torch, test-avx512-emulated,
# bench-peers and count-instructions may ask Debian's package manager for a tool, as root).

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3# makes the virtual environment; 3.11 or newer
VENV   := .venv
PY     := $(VENV)/bin/python
DONE   := $(VENV)/done
# CI builds what was committed; at a desk Cargo may bring the lock file up to date.
LOCKED := $(if $(CI),--locked)

RUST_SOURCES := $(shell find src -name '*.rs') Cargo.toml Cargo.lock pyproject.toml

# pyo3 asks this interpreter, not whichever comes first on PATH.
export PYO3_PYTHON := $(abspath $(PY))
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help
help: ## this list
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 24

# ---- the environment: one stamp for each thing installed ----------------------------------------

$(DONE)/venv:
	@$(PYTHON) tools/check_python.py
	$(PYTHON) -m venv --clear $(VENV)
	$(PY) -m pip install --quiet --upgrade 'pip>=25.1'
	@mkdir -p $(DONE) && touch $@

$(DONE)/group-%: $(DONE)/venv pyproject.toml
	$(PY) -m pip install --quiet --group $*
	@touch $@

# What tiktoken would download: for the tests and the colour study.
$(DONE)/vocabularies: $(DONE)/venv tools/fetch_vocabularies.py
	$(PY) tools/fetch_vocabularies.py $(VENV)/vocabularies
	@touch $@

# The package itself, editable: Python files count as they stand, Rust is built again if it changed.
$(DONE)/core: $(DONE)/group-build $(RUST_SOURCES)
	$(VENV)/bin/maturin develop --release $(LOCKED)
	@touch $@

.PHONY: build
build: $(DONE)/core ## build the package into .venv

# ---- to see it and to check it -------------------------------------------------------------------

.PHONY: demo
demo: $(DONE)/core $(DONE)/group-demo ## the guided tour: real numbers in a minute
	$(PY) examples/demo/main.py

.PHONY: colours
colours: $(DONE)/core $(DONE)/group-study $(DONE)/vocabularies ## the colour study: measured beside expected; writes its figure
	TIKTOKEN_CACHE_DIR=$(abspath $(VENV)/vocabularies) $(PY) examples/colour_study/main.py

.PHONY: test
test: test-rust test-neon-if-ready test-python ## every test; ends with pytest's summary

.PHONY: test-rust
test-rust: ## the core's tests, no Python needed
	cargo test $(LOCKED)

.PHONY: test-python
test-python: $(DONE)/core $(DONE)/group-test $(DONE)/vocabularies ## the Python tests and the examples in docstrings
	$(PY) -m pytest

# The cheap ones first: a build is not waited for to hear of a blank.
.PHONY: lint
lint: lint-format lint-rust lint-python ## formatting, clippy, rustdoc, ruff, mypy, stubtest

.PHONY: lint-format
lint-format: $(DONE)/group-lint
	cargo fmt --check
	$(PY) -m ruff format --check
	$(PY) -m ruff check

.PHONY: lint-rust
lint-rust: $(DONE)/venv
	cargo clippy $(LOCKED) --all-targets -- -D warnings
	cargo clippy $(LOCKED) --all-targets --features python -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc $(LOCKED) --no-deps --document-private-items --features python --quiet

.PHONY: lint-python
lint-python: $(DONE)/core $(DONE)/group-test $(DONE)/group-lint
	$(PY) -m mypy
	$(PY) -m mypy.stubtest logitmeter._core --allowlist tools/stubtest_allowlist.txt

.PHONY: fmt
fmt: $(DONE)/group-lint ## format Rust and Python
	cargo fmt
	$(PY) -m ruff check --fix --exit-zero
	$(PY) -m ruff format

# ---- what takes minutes: proofs, fuzzing, memory safety --------------------------------------------

.PHONY: prove
prove: $(DONE)/core $(DONE)/group-test ## every f32 through exp, 100,000 hostile rows, coverage of intervals (20 minutes)
	cargo test $(LOCKED) --release --lib -- --ignored --nocapture --test-threads=1 prove_
	$(PY) -m pytest -m prove -s -o faulthandler_timeout=0 tests/prove

FUZZ_SECONDS ?= 600
.PHONY: fuzz
fuzz: $(DONE)/core ## parsers of files, and the fuzz targets under AddressSanitizer, FUZZ_SECONDS each (needs a C++ compiler)
	$(PY) tools/fuzz_parsers.py $(FUZZ_SECONDS)
	tools/fuzz.sh $(FUZZ_SECONDS)

.PHONY: fuzz-smoke
fuzz-smoke: $(DONE)/core ## the same for 15 seconds each
	$(PY) tools/fuzz_parsers.py 15
	tools/fuzz.sh 15

.PHONY: asan
asan: ## the Rust tests under AddressSanitizer
	tools/asan.sh rust

.PHONY: asan-python
asan-python: $(DONE)/core $(DONE)/group-test ## the Python tests of bad and awkward input under AddressSanitizer (needs gcc)
	tools/asan.sh python tests/test_garbage.py tests/test_awkward_input.py tests/test_bad_logits.py tests/test_edge_cases.py

# ---- the wheel -----------------------------------------------------------------------------------

.PHONY: wheel
wheel: $(DONE)/group-build ## build dist/*.whl (one for every Python from 3.11 on)
	rm -rf dist
	$(VENV)/bin/maturin build --release $(LOCKED) --out dist

.PHONY: wheel-check
wheel-check: wheel ## install it elsewhere, evaluate, and see that importing loads only NumPy
	tools/check_wheel.sh $(PYTHON) dist/*.whl

# ---- instruction sets and peers that this machine may not have -----------------------------------

.PHONY: test-neon
test-neon: ## the Rust tests on aarch64, emulated (as root: installs a cross compiler and qemu)
	tools/test_neon.sh

# Installs nothing: `make test` runs NEON where the emulator is there. CI runs test-neon, a must.
.PHONY: test-neon-if-ready
test-neon-if-ready:
	tools/test_neon.sh --if-ready

.PHONY: test-avx512-emulated
test-avx512-emulated: ## the kernel's tests and the digests of states with AVX-512, emulated (as root: installs Bochs)
	tools/test_avx512.sh

.PHONY: test-torch
test-torch: wheel ## the tests that need torch, with Debian's (as root: installs it)
	tools/test_torch.sh dist/*.whl

.PHONY: test-browser
test-browser: $(DONE)/core $(DONE)/group-browser ## the page of finetune explain in a browser (as root: installs Chromium)
	tools/test_browser.sh $(PY)

# ---- speed ---------------------------------------------------------------------------------------

BENCH_NATIVE := target/bench/release/libbench_native.so
BENCH_READY  := $(DONE)/core $(DONE)/group-bench $(BENCH_NATIVE)

$(BENCH_NATIVE): $(wildcard benches/native/src/*.rs) benches/native/Cargo.toml benches/native/Cargo.lock
	cargo build --release $(LOCKED) --manifest-path benches/native/Cargo.toml --target-dir target/bench
	@touch $@

.PHONY: bench
bench: $(BENCH_READY) ## share of the speed of memory, and peers; writes benches/results/
	$(PY) benches/run.py

.PHONY: bench-quick
bench-quick: $(BENCH_READY) ## the same, small: does it run, and do the answers agree?
	$(PY) benches/run.py --quick

.PHONY: bench-chart
bench-chart: $(BENCH_READY) ## share against V for each element type, drawn to benches/results/share.svg
	$(PY) benches/chart.py

.PHONY: bench-growth
bench-growth: $(BENCH_READY) ## time against N, V and threads: slopes and residuals
	$(PY) benches/growth.py

GIGABYTES ?= 2
.PHONY: bench-streaming
bench-streaming: $(BENCH_READY) ## warm files of each format, mapped and read, beside the same rows in memory
	$(PY) benches/streaming.py

.PHONY: bench-memory
bench-memory: $(DONE)/core $(DONE)/group-bench ## memory that a dump takes, by format (GIGABYTES=20: files with holes)
	$(PY) benches/memory.py --gigabytes $(GIGABYTES)

.PHONY: bench-kernel
bench-kernel: ## the kernel alone, by Criterion
	CARGO_TARGET_DIR=$(abspath target/bench) cargo bench $(LOCKED) --manifest-path benches/kernel/Cargo.toml

TORCH ?= debian# or pypi: the current one, with 5 GB of CUDA libraries
.PHONY: bench-peers
bench-peers: ## torch as a peer of `make bench`, in .venv-peers (as root: installs Debian's)
	benches/install_peers.sh $(TORCH)

# Of the crates that the package's own linters do not see.
BENCH_CRATES := native kernel
.PHONY: bench-lint
bench-lint: ## formatting, clippy and tests of the benches' Rust
	for crate in $(BENCH_CRATES); do \
	    cargo fmt --check --manifest-path benches/$$crate/Cargo.toml; \
	    cargo clippy $(LOCKED) --manifest-path benches/$$crate/Cargo.toml --target-dir target/bench -- -D warnings; \
	    cargo test $(LOCKED) --release --manifest-path benches/$$crate/Cargo.toml --target-dir target/bench; \
	done

.PHONY: count-instructions
count-instructions: ## instructions an element under their ceilings (as root: installs valgrind)
	tools/count_instructions.sh

.PHONY: clean
clean: ## remove all that was built
	rm -rf $(VENV) .venv-peers target dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	rm -f python/logitmeter/_core*.so
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
