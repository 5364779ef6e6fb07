# `make demo` and `make test` set everything up by themselves; PYTHON names the interpreter to use.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test check bench matrix clean

demo: $(READY)
	$(BIN)/sumlctl demo --workspace demo

test: check
	$(BIN)/pytest

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell

bench: $(READY)
	$(BIN)/python -m benchmarks

# Every Python that is there, oldest and newest packages; hours. MATRIX_PYTHONS names interpreters.
matrix: $(READY)
	$(BIN)/python tools/matrix.py

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt uv
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --constraint constraints.txt --editable '.[offline,dev]'
	touch $@

clean:
	rm -rf $(VENV) demo build dist
