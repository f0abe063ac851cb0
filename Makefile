# make demo     train, quantize, export, verify and measure; results in demo/
# make test     what a change must pass;  make test-all: the long matrix too
# make native   the libraries in C++, again after a change in custom_ops/
# make lint     formatting, style and types;  make format: mend what can be mended
# make bench    speed and size, each beside what it is compared to
# make arm64    the C++ tests and a model on aarch64, under emulation;  make android: the delegate for phones;
# make bazel    kernels, delegate and C++ tests by Bazel
# make sanitize the C++ tests under sanitizers;  make fuzz: malformed models to the delegate, for FUZZ_SECONDS
#               what each of these five needs stands in scripts/
PYTHON ?= python3
JOBS ?= 2
DEMO_ARGS ?=
BENCHMARKS ?= training_step export_time file_size bgemm binary_convolution binary_network

BIN := .venv/bin
STAMP := .venv/.setup-done
PIP := $(BIN)/python -m pip install --disable-pip-version-check --quiet --editable

export KERAS_BACKEND ?= tensorflow
export TF_CPP_MIN_LOG_LEVEL ?= 2

.PHONY: setup native demo test test-all lint format bench arm64 android bazel sanitize fuzz clean

setup: native

$(STAMP): pyproject.toml setup.py
	$(PYTHON) -m venv .venv
	$(PIP) '.[test,report,ethos-u,tflm]' || $(PIP) '.[test,report]'  # the two have no wheels for some machines
	scripts/install-dataset
	scripts/install-googletest
	touch $@

native: $(STAMP)
	$(BIN)/python scripts/build_native.py || { [ $$? = 77 ] && [ -z "$$CI" ]; }  # 77: no compiler

demo: setup
	$(BIN)/tfq demo $(DEMO_ARGS)

test: setup
	$(BIN)/python -m pytest -m "not slow" -n $(JOBS) --dist worksteal

test-all: setup
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal

lint: $(STAMP)
	scripts/lint

format: $(STAMP)
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .
	find custom_ops -name '*.cc' -o -name '*.h' | xargs $(BIN)/clang-format -i

bench: setup
	@set -e; for name in $(BENCHMARKS); do \
	  echo "== $$name"; $(BIN)/python -m benchmarks.$$name; \
	done

arm64: $(STAMP)
	scripts/arm64

android:
	scripts/android

bazel:
	scripts/bazel

sanitize: $(STAMP)
	scripts/sanitize

fuzz:
	scripts/fuzz

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache tfq_lowbit/native/*.so
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
