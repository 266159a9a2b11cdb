# Spreadboard. `make run` and `make test` are all that is needed; each target sets up what it needs.
export PYTHONASYNCIODEBUG ?=

.PHONY: help setup run test conformance lint types bench images clean

help:
	@echo "make run     start the dashboard (demo unless spreadboard.toml says otherwise); HOST and PORT from the environment"
	@echo "make test    every test;  make conformance   every exchange against its simulator, and the table in the docs"
	@echo "make lint    style;  make types   static types;  make bench   measurements (build/bench.json)"

setup:
	@scripts/setup.sh run

run: setup
	@exec .venv/bin/python manage.py serve

test:
	@scripts/setup.sh test
	PATH="$$PWD/.venv/bin:$$PATH" node --test tests/js/*.test.mjs
	scripts/test.sh

conformance:
	@scripts/setup.sh test
	.venv/bin/python -m tests.conformance --write

lint:
	@scripts/setup.sh test
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

types:
	@scripts/setup.sh test
	.venv/bin/mypy

bench:
	@scripts/setup.sh test
	.venv/bin/python -m bench

clean:
	rm -rf .venv node_modules staticfiles build .mypy_cache .ruff_cache .pytest_cache .hypothesis
