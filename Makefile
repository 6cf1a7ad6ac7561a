# `make` alone lists what there is. One cargo profile (dev) serves everything here, so nothing is compiled twice.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:

ARGS ?=
TARGET := $(or $(CARGO_TARGET_DIR),target)
MESH30K := $(TARGET)/debug/mesh30k
DATA := $(or $(XDG_DATA_HOME),$(HOME)/.local/share)/mesh30k
CARGO := .tools/with-rocksdb.sh cargo

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

.PHONY: up
up: build ## build what is missing, start a local mesh and watch it work (ARGS="--nodes 20 --agents 3000")
	@$(MESH30K) testnet up $(ARGS)

.PHONY: build
build: ## install what the machine lacks (asks first) and build the binary
	@.tools/setup.sh
	@echo "Building mesh30k. The first time takes some minutes (RocksDB once, then the crates); after that, seconds."
	@started=$$(date +%s); $(CARGO) build --locked --package mesh30k; echo "Built in $$(($$(date +%s) - started)) s: $(MESH30K)"

.PHONY: test
test: setup-tests verify ## format, lints, every test, then the whole main job once
	@# Binary and tests in one go: whole-system tests start the binary, and the same features are compiled once.
	@$(CARGO) build --locked --workspace --lib --bins --tests
	@$(CARGO) nextest run --locked --workspace
	@$(MESH30K) testnet up --once --json $(ARGS)

.PHONY: sequence
sequence: ## a million random ledger operations, audited after each (ARGS="STEPS SEED")
	@cargo run --locked --release --package mesh30k-ledger --example sequence -- $(ARGS)

.PHONY: roots
roots: ## the same random history in debug and release, exported, restored: equal roots (ARGS="STEPS SEED")
	@.tools/equal-roots.sh $(ARGS)

.PHONY: growth
growth: ## ten million transfers over a million accounts on RocksDB: disk, memory, times (ARGS="ACCOUNTS TRANSFERS DIRECTORY MINUTES")
	@$(CARGO) run --locked --release --package mesh30k-chain --features rocksdb --example growth -- $(ARGS)

.PHONY: fuzz
fuzz: ## fuzz every decoder, coverage-guided, for so many minutes in all (ARGS="MINUTES TARGET...", by default 10 and all; SANITIZER=address)
	@.tools/fuzz.sh $(ARGS)

.PHONY: faults
faults: ## 500 lives of consensus and ledger under faults (ARGS="FIRST COUNT", or one SEED for its story)
	@cargo run --locked --package mesh30k-chain --example faults -- $(ARGS)

.PHONY: setup-tests
setup-tests:
	@.tools/setup.sh --tests

.PHONY: verify
verify: ## check format, lints and what the light crates depend on; writes nothing but build output
	@cargo fmt --all --check
	@cargo fmt --manifest-path tests/fuzz/Cargo.toml --check
	@.tools/light-crates.sh
	@$(CARGO) clippy --locked --workspace --all-targets -- --deny warnings

.PHONY: fmt
fmt: ## format the code
	@cargo fmt --all
	@cargo fmt --manifest-path tests/fuzz/Cargo.toml

.PHONY: lint
lint: ## lints alone
	@$(CARGO) clippy --locked --workspace --all-targets -- --deny warnings

.PHONY: deny
deny: ## licences, bans and sources of the dependencies, by cargo-deny
	@cargo deny --version >/dev/null 2>&1 || { echo "cargo-deny is not installed; run: cargo install cargo-deny --locked"; exit 1; }
	@cargo deny --locked check --config .deny.toml bans licenses sources

.PHONY: book
book: ## build the book into target/book, by mdbook
	@command -v mdbook >/dev/null || { echo "mdbook is not installed; run: cargo install mdbook --locked"; exit 1; }
	@mdbook build docs

.PHONY: clean-data
clean-data: ## delete the local networks (asks first); the build stays
	@if [ ! -e "$(DATA)" ]; then echo "nothing at $(DATA)"; exit 0; fi; \
	if [ "$${YES:-}" != 1 ]; then read -r -p "delete $(DATA) with every key in it? [y/N] " answer; [ "$$answer" = y ] || exit 1; fi; \
	rm -rf "$(DATA)"; echo "deleted $(DATA)"
