# What a fresh checkout needs: Python 3.11 to 3.13, nothing else.
#
#   make demo    install, then build the template project in demo/ and show what came of it
#   make test    install, then run all tests
#   make recordings LLAMA_PYTHON=...    record examples/local_model anew
#
PYTHON ?= python3
BIN := .venv/bin
TESTS ?= tests
# Real data for the examples and for tests on real votes: a folder, or empty to leave these out.
TEACHKIT_DATA ?=
export TEACHKIT_DATA

# A Python that has the extra `local`, for `make recordings`.
LLAMA_PYTHON ?= $(BIN)/python

.PHONY: demo test lint format clean recordings

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

demo: .venv/installed
	test -f demo/teachkit.yml || $(BIN)/teachkit init demo
	$(BIN)/teachkit --project-dir demo build
	$(BIN)/teachkit --project-dir demo show spam_labels --limit 5
	$(BIN)/teachkit --project-dir demo analyze spam
	$(BIN)/teachkit --project-dir demo lineage spam_labels c0389

test: .venv/installed
	$(BIN)/python -m pytest -n auto $(TESTS)

lint: .venv/installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/installed
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# Asks the model of examples/local_model anew: needed when the bodies of requests change. Takes minutes.
recordings: .venv/installed
	rm -rf recorded
	$(BIN)/teachkit init recorded --example local_model
	LLAMA_PYTHON=$(LLAMA_PYTHON) $(BIN)/python recorded/serve.py
	rm -rf examples/local_model/recordings
	mv recorded/recordings examples/local_model/recordings
	rm -rf recorded

clean:
	rm -rf .venv demo dist
