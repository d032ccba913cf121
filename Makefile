# Every target sets itself up on a fresh Debian or Ubuntu with Python 3.10 to 3.13; see Testing/setup_environment.sh.
# PYTHON=/path/to/python chooses the interpreter, PYTEST_ARGUMENTS goes to pytest.

SETUP := Testing/setup_environment.sh
BIN := .venv/bin
# Panel first: its tests take longest, and workers share whole classes.
TESTS := $(wildcard Testing/panel Testing/slicer Testing/unit)
# Up to four processes; PYTEST_ARGUMENTS="-n 0" for one.
WORKERS := -n auto --maxprocesses 4 --dist loadscope

export PYTHON

.DEFAULT_GOAL := help
.PHONY: help demo test bench lint clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-6s %s\n", $$1, $$2 }' Makefile

demo: ## make a sample patient, run everything, write demo-output/
	@$(SETUP) scene,test rendering
	$(BIN)/tarecomet demo --out demo-output

test: ## run all tests; the end of the output counts passes, and skips by reason
	@$(SETUP) scene,test rendering
	$(BIN)/python -m pytest $(WORKERS) $(TESTS) $(PYTEST_ARGUMENTS)

bench: ## measure speed against the peers
	@$(SETUP) scene,test,bench
	$(BIN)/tarecomet bench

lint: ## ruff and mypy
	@$(SETUP) lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean: ## remove the environment, caches, builds and demo-output/
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache demo-output
	find TARECOMET TARECOMETLib Testing -name __pycache__ -type d -prune -exec rm -rf {} +
