# Vagt: two commands do everything. They install what is missing first (see .ci/install).
#   make demo    the whole clinic on this machine, with simulated homes
#   make test    everything that continuous integration runs
#   make bench   every figure beside its floor and its peers, into docs/benchmarks.md: an hour; QUICK=1: 8 minutes, into target/bench; ONLY="idle growth"
#   make bench-cores  what the pure parts and the kit's agent cost
#   make chaos   a clinic under load and one fault after the other, ROUNDS=6 of SECONDS_EACH=120 from SEED, or KILLS=1000 (docs/chaos.md)
#   make fuzz    every driver against bytes that look for trouble, SECONDS=60 each (docs/fuzzing.md)
#   make package the kit's Debian package, for a kit like this machine

.PHONY: demo test bench bench-cores chaos fuzz build assets schemas check unit system browser deny package package-arm64 package-try clean-assets install-demo install-test
.DEFAULT_GOAL := help

DIST := crates/desk/assets/dist
VENV := target/venv

help:
	@sed -n 's/^#   //p' Makefile

demo: install-demo assets
	cargo build --bins
	target/debug/vagt demo

test: install-test assets check build unit browser package-try deny
	@echo "make test: all of it passed"

bench: install-test assets crates/store/tests/timescale/node_modules/.installed $(VENV)-compare/.installed benches/compare/nodered/node_modules/.installed
	cargo build --release --bins
	$(VENV)-compare/bin/python benches/compare/bench.py $(if $(QUICK),--quick,--page docs/benchmarks.md) $(if $(ONLY),--only $(ONLY))

bench-cores:
	cargo bench -p benches
	cargo bench --profile kit -p edge --bench kit

ROUNDS ?= 6
SECONDS_EACH ?= 120
SEED ?= 20261122
KILLS ?= 0

$(VENV)-compare/.installed: benches/compare/requirements.txt
	python3 -m venv $(VENV)-compare
	$(VENV)-compare/bin/pip install --quiet --disable-pip-version-check --requirement $<
	touch $@

benches/compare/nodered/node_modules/.installed: $(addprefix benches/compare/nodered/,package.json package-lock.json)
	cd benches/compare/nodered && npm ci --no-audit --no-fund --loglevel=error
	touch $@

chaos: install-test build
	cargo build -p tests --bin chaos
	target/debug/chaos --seed $(SEED) --rounds $(ROUNDS) --seconds $(SECONDS_EACH) --kills $(KILLS)
	target/debug/chaos --seed $(SEED) --rounds 1 --only no-database-for-minutes --faults 1 --rate 5

SECONDS ?= 60

fuzz:
	command -v cargo-fuzz >/dev/null || cargo install cargo-fuzz --locked
	cd fuzz && ./targets $$(cargo run --quiet --example seed names) && cargo run --quiet --example seed
	cargo fuzz build --sanitizer none --fuzz-dir fuzz
	fuzz/run $(SECONDS)

# --- the parts

install-demo:
	@.ci/install demo

install-test: $(VENV)/paho
	@.ci/install test

$(VENV)/paho: tests/requirements.txt
	@.ci/install test
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --requirement tests/requirements.txt
	touch $@

assets: $(DIST)/.built

$(DIST)/.built: $(addprefix crates/desk/assets/,package.json package-lock.json build.mjs)
	cd crates/desk/assets && npm ci --no-audit --no-fund --loglevel=error && npm run --silent build
	touch $@

build: assets
	cargo build --workspace --bins --example kiosk

check: assets
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --quiet -- -D warnings

unit: build crates/store/tests/timescale/node_modules/.installed
	cargo nextest run --workspace

browser: build tests/browser/node_modules/.installed
	node --test --test-reporter=spec --test-concurrency=1 tests/browser/*.test.mjs

tests/browser/node_modules/.installed: tests/browser/package.json tests/browser/package-lock.json
	cd tests/browser && npm ci --no-audit --no-fund --loglevel=error
	touch $@

# The real TimescaleDB, for the store's tests.
crates/store/tests/timescale/node_modules/.installed: crates/store/tests/timescale/package.json crates/store/tests/timescale/package-lock.json
	cd crates/store/tests/timescale && npm ci --no-audit --no-fund --loglevel=error
	touch $@

# The kit's Debian package, and the same with the program of the tests, installed, hung, upgraded and removed in a fresh Debian.
package: install-test assets
	cargo deb -p edge --profile kit

package-arm64: install-test assets
	config/debian/aarch64

package-try: build
	mkdir -p target/debian && cp target/debug/vagt-edge target/debian/
	for revision in 1 2; do \
	  cargo deb --quiet -p edge --variant trial --no-build --deb-revision $$revision -o target/debian/kit-$$revision.deb || exit 1; \
	done
	config/debian/try target/debian/kit-1.deb target/debian/kit-2.deb

# Advisories need the network's advisory database, or a copy of it in ADVISORY_DB; without either it is said, not hidden.
deny:
	cargo fetch --locked --quiet
	cargo deny --offline check bans licenses sources
	@if cargo deny fetch db >/dev/null 2>&1; then cargo deny check advisories; \
	else echo "make deny: advisories NOT checked: the advisory database can't be reached from here"; fi

schemas: build
	target/debug/vagt config schema --all docs/schemas
