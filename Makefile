# The verbs of this tree. `make help` lists them.
#
# Tools are installed once, by pinned version, into .tools/, .venv/ and node_modules/, all ignored by git; a second run
# asks no registry. Debian packages are installed only where a command is missing.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

NEXTEST_VERSION := 0.9.143
# What `make run` passes to `mcp up`: make run ARGS="--listen 127.0.0.1:9443"
ARGS ?=
# What `make test` and `make bench` hand to cargo: make test NEXTEST_ARGS="-p mcp-rpc"
NEXTEST_ARGS ?=
BENCH_ARGS ?=

# The specifications that also run on PostgreSQL and OpenBao: those of data. (One signs with the platform's own key, which
# does not leave a vault.)
ON_SERVERS := binary(/^(contexts|histories|isolation|roles|windows)$$/) & !test(a_window_acts_with_the_callers_rights)

CONSOLE := services/gateway/console
BROWSER := tests/browser
STAMPS := .tools/stamps

export PATH := $(CURDIR)/.tools/bin:$(CURDIR)/.venv/bin:$(PATH)
export MCP_BIN ?= $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)/debug/mcp

PROTOS := $(shell find proto -name '*.proto')
CONSOLE_SOURCES := $(wildcard $(CONSOLE)/src/*.ts $(CONSOLE)/src/*/*.ts $(CONSOLE)/public/*) $(CONSOLE)/build.mjs $(CONSOLE)/tsconfig.json

##@ Use

.PHONY: run
run: $(STAMPS)/debian-run $(STAMPS)/venv console ## Start the whole platform and print a quickstart (ARGS="..." goes to `mcp up`)
	cargo build -p mcp-platform
	@exec env MCP_GRPCURL=.venv/bin/grpcurl "$$MCP_BIN" up $(ARGS)

.PHONY: servers servers-stop
servers: $(STAMPS)/debian-run $(STAMPS)/debian-test $(STAMPS)/venv console ## Start PostgreSQL, OpenBao and Redis in .mcp-servers, as production has them
	@tools/servers.sh start .mcp-servers
	cargo build -p mcp-platform
	@"$$MCP_BIN" store migrate --config deploy/dev/production-like.toml \
	  --owner mcp_owner --password-file .mcp-servers/owner.password --guard-keys .mcp-servers/guard

servers-stop: ## Stop them; their data stays
	@tools/servers.sh stop .mcp-servers

##@ Verify

.PHONY: test
test: ## Run every check and every test, installing what they need
	@tools/stages.sh \
	  "tools=$(MAKE) --no-print-directory tools" \
	  "format=$(MAKE) --no-print-directory fmt-check" \
	  "generate=$(MAKE) --no-print-directory generate" \
	  "console=$(MAKE) --no-print-directory console console-check" \
	  "protocol=$(MAKE) --no-print-directory lint-proto" \
	  "clippy=$(MAKE) --no-print-directory clippy" \
	  "build=cargo build -p mcp-platform" \
	  "rust=cargo nextest run --workspace $(NEXTEST_ARGS)" \
	  "split=MCP_WORLD=split cargo nextest run -p mcp-tests $(NEXTEST_ARGS)" \
	  "servers=MCP_WORLD=servers cargo nextest run -p mcp-tests -E '$(ON_SERVERS)' $(NEXTEST_ARGS)" \
	  "doctests=cargo test --workspace --doc --quiet" \
	  "python=$(MAKE) --no-print-directory test-python" \
	  "browser=$(MAKE) --no-print-directory test-browser"

.PHONY: check
check: fmt-check lint ## Everything that needs no running platform and no test: format, lints, types

.PHONY: lint
lint: clippy lint-proto console-check ## Clippy, buf lint, buf breaking, the console's types

.PHONY: fmt
fmt: $(STAMPS)/rust $(STAMPS)/foreign-protos ## Format Rust and proto files
	cargo fmt --all
	buf format --write

.PHONY: bench
bench: $(STAMPS)/debian-run console ## Measure: criterion, then the load run with its table
	cargo bench --workspace --bench '*' $(BENCH_ARGS)
	cargo build --release -p mcp-platform
	cargo run --release -p mcp-tests --bin load

# The stages of `test`, one by one.
.PHONY: fmt-check clippy lint-proto console-check test-python test-browser
fmt-check: $(STAMPS)/rust $(STAMPS)/foreign-protos
	cargo fmt --all --check
	buf format --diff --exit-code

clippy: $(STAMPS)/rust $(STAMPS)/debian-run console
	cargo clippy --workspace --all-targets -- -D warnings

lint-proto: $(STAMPS)/foreign-protos
	buf lint
	tools/breaking.sh

console-check: $(STAMPS)/generate
	cd $(CONSOLE) && npm run --silent check

test-python: $(STAMPS)/generate
	cd tests/python && python -m pytest

test-browser: $(STAMPS)/debian-test $(STAMPS)/npm-browser console
	cd $(BROWSER) && node --test --test-concurrency=1 *.test.mjs

##@ Make

.PHONY: generate
generate: $(STAMPS)/generate ## Generate the TypeScript and Python stubs (Rust's come from the build script)

.PHONY: console
console: $(CONSOLE)/dist/app.js ## Bundle the console page that the gateway embeds

.PHONY: tools
tools: $(STAMPS)/rust $(STAMPS)/debian-run $(STAMPS)/debian-test $(STAMPS)/venv $(STAMPS)/npm-console $(STAMPS)/npm-browser $(STAMPS)/nextest ## Install every tool that run and test need

.PHONY: clean
clean: ## Remove what was built and generated; tools and data stay
	cargo clean
	rm -rf $(CONSOLE)/dist $(CONSOLE)/src/gen tests/python/gen third_party $(STAMPS)/generate $(STAMPS)/foreign-protos

.PHONY: help
help: ## Show this
	@awk -v bold="$$([ -t 1 ] && printf '\033[1m')" -v name="$$([ -t 1 ] && printf '\033[36m')" -v off="$$([ -t 1 ] && printf '\033[0m')" \
	  'BEGIN { FS = ":.*## "; print bold "MCP Platform" off ": make VERB" } \
	   /^##@ / { print "\n" bold substr($$0, 5) off } \
	   /^[a-z-]+:.*## / { split($$1, target, ":"); printf "  %s%-10s%s %s\n", name, target[1], off, $$2 }' $(firstword $(MAKEFILE_LIST))

# === tools ===

$(STAMPS):
	@mkdir -p $@

$(STAMPS)/debian-run: tools/debian.sh | $(STAMPS)
	@tools/debian.sh cc=build-essential protoc=protobuf-compiler \
	  /usr/include/google/protobuf/descriptor.proto=libprotobuf-dev python3=python3 curl=curl jq=jq
	@touch $@

# Rust itself is the one thing that must be there; its lesser parts are fetched where the toolchain came without them.
$(STAMPS)/rust: | $(STAMPS)
	@cargo --version >/dev/null || { echo "Rust is missing: install it with rustup, then try again." >&2; exit 69; }
	@cargo fmt --version >/dev/null 2>&1 || rustup component add rustfmt
	@cargo clippy --version >/dev/null 2>&1 || rustup component add clippy
	@touch $@

$(STAMPS)/debian-test: tools/debian.sh | $(STAMPS)
	@tools/debian.sh chromium=chromium git=git openssl=openssl redis-server=redis-server \
	  /usr/lib/postgresql/15/bin/postgres=postgresql-15
	@touch $@

$(STAMPS)/venv: tools/venv.sh $(wildcard tools/requirements*.txt) $(STAMPS)/debian-run | $(STAMPS)
	@tools/venv.sh
	@touch $@

$(STAMPS)/npm-console: $(CONSOLE)/package-lock.json $(STAMPS)/venv | $(STAMPS)
	@cd $(CONSOLE) && npm ci --silent --prefer-offline
	@touch $@

$(STAMPS)/npm-browser: $(BROWSER)/package-lock.json $(STAMPS)/venv | $(STAMPS)
	@cd $(BROWSER) && npm ci --silent --prefer-offline
	@touch $@

$(STAMPS)/nextest: | $(STAMPS)
	@cargo nextest --version >/dev/null 2>&1 || cargo install cargo-nextest --locked --version $(NEXTEST_VERSION) --root .tools
	@touch $@

# === generated ===

$(STAMPS)/foreign-protos: tools/lay_foreign_protos.py Cargo.lock $(STAMPS)/venv | $(STAMPS)
	@python tools/lay_foreign_protos.py
	@touch $@

$(STAMPS)/generate: buf.gen.yaml buf.yaml tools/protoc_gen_python.py $(PROTOS) $(STAMPS)/foreign-protos $(STAMPS)/npm-console | $(STAMPS)
	@buf generate
	@touch $@

$(CONSOLE)/dist/app.js: $(CONSOLE_SOURCES) $(STAMPS)/generate
	@cd $(CONSOLE) && npm run --silent build
