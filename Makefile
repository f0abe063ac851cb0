# make demo     train, quantize, export, verify and measure; results in demo/
# make test     what a change must pass;  make test-all: the long matrix too
# make lint     formatting, style and types;  make format: mend what can be mended
# make bench    speed and size, each beside what it is compared to
PYTHON ?= python3
JOBS ?= 2
DEMO_ARGS ?=
BENCHMARKS ?= training_step export_time file_size

BIN := .venv/bin
STAMP := .venv/.setup-done

export KERAS_BACKEND ?= tensorflow
export TF_CPP_MIN_LOG_LEVEL ?= 2

.PHONY: setup demo test test-all lint format bench clean

setup: $(STAMP)

$(STAMP): pyproject.toml setup.py
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --editable '.[test,report]'
	scripts/install-dataset
	touch $@

demo: setup
	$(BIN)/tfq demo $(DEMO_ARGS)

test: setup
	$(BIN)/python -m pytest -m "not slow" -n $(JOBS) --dist worksteal

test-all: setup
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal

lint: setup
	scripts/lint

format: setup
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

bench: setup
	@set -e; for name in $(BENCHMARKS); do \
	  echo "== $$name"; $(BIN)/python -m benchmarks.$$name; \
	done

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
