# `make help` lists the targets.
.DEFAULT_GOAL := help
.PHONY: help install lint format types test docs laws worlds prove views long faults recovery soak alerts-score bench bench-queries demo lock audit-dependencies clean
.DELETE_ON_ERROR:

# The first interpreter of a supported version, unless one is named: make PYTHON=python3.12 test
PYTHON ?= $(shell for python in python3 python3.12 python3.13 python3.11; do \
	$$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo $$python && break; done)
VENV ?= .venv
BIN := $(VENV)/bin

# FAULT: a part of a fault's name, all faults by default. AWAY: seconds without ClickHouse in the fault of that name.
FAULT ?=
AWAY ?= 600
# The population that the demo simulates, and more options of the command: make demo ARGS=--serve
DEVELOPERS ?= 2000
SEED ?= 1
DAYS ?= 60
ARGS ?=

PYTEST_ARGS ?=
# How many test files run in parallel; each process has its own Kafka and ClickHouse.
PROCESSES ?= 2

help:
	@echo 'make demo      run everything on this machine on simulated events, and print the numbers'
	@echo '                 [DEVELOPERS=$(DEVELOPERS)] [SEED=$(SEED)] [DAYS=$(DAYS)] [ARGS=--serve]'
	@echo 'make test      install, lint, check types, and run all tests but the long ones [PYTEST_ARGS=...]'
	@echo 'make install | lint | format | types | clean'
	@echo 'make docs      generate schemas/TABLES.md from the SQL'
	@echo 'make lock      resolve the dependencies again and write both lock files; needs uv'
	@echo 'make audit-dependencies   look up the locked packages in the list of known vulnerabilities'
	@echo
	@echo 'Long tests'
	@echo 'make long      all of them [PYTEST_ARGS=...]'
	@echo 'make laws      random worlds through the core, with crashes and erasures [WORLDS=10000] [SEED=$(SEED)]'
	@echo 'make worlds    random worlds through Kafka, with killed workers [WORLDS=50] [SEED=$(SEED)]'
	@echo 'make prove     a large population through killed workers, compared with the reference [EVENTS=$(EVENTS)]'
	@echo 'make views     every number of every view, compared with the reference [DEVELOPERS=50000]'
	@echo 'make faults    faults under load: no event lost, none counted twice'
	@echo '                 [FAULT=sink_killed] [EVENTS=100000] [SEED=$(SEED)] [AWAY=$(AWAY)]'
	@echo
	@echo 'Measurements'
	@echo 'make bench         events a second and CPU time of the whole pipeline [EVENTS=$(EVENTS)]'
	@echo 'make bench-queries the queries of dashboards on a large table [ROWS=$(ROWS)]'
	@echo 'make recovery      the time a worker takes to restore its state [ALIASES=$(ALIASES)]'
	@echo 'make soak          memory under full load [MINUTES=$(MINUTES)] [EVENTS=10000000]'
	@echo 'make alerts-score  drops found, delays and false alarms on simulated incidents [WORLDS=20] [ONLY=silence]'

install: $(VENV)/.installed

$(VENV)/.installed: requirements-dev.lock pyproject.toml
	@test -n '$(PYTHON)' || { echo 'Python 3.11, 3.12 or 3.13 is needed and not found; name one: make PYTHON=/path/to/python' >&2; exit 1; }
	@echo 'Installing locked dependencies into $(VENV) with $(PYTHON)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

lint: install
	$(BIN)/ruff check
	$(BIN)/ruff format --check

format: install
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

types: install
	$(BIN)/mypy

test: install lint types
	$(BIN)/python -m pytest --numprocesses=$(PROCESSES) --dist=loadfile $(PYTEST_ARGS)

# The page of all tables, views and queries, from the comments of their SQL.
docs: install
	$(BIN)/python -m schemas.sql.tables_page

# The same seed gives the same worlds.
laws: WORLDS ?= 10000
laws: install
	FIRSTCALL_TEST_WORLDS=$(WORLDS) $(BIN)/python -m pytest --timeout=0 --hypothesis-profile=many --hypothesis-seed=$(SEED) \
		$(filter-out tests/laws/test_law_pipeline.py,$(wildcard tests/laws/test_law_*.py))

worlds: WORLDS ?= 50
worlds: install
	FIRSTCALL_TEST_WORLDS=$(WORLDS) FIRSTCALL_TEST_SEED=$(SEED) $(BIN)/python -m pytest -m long tests/laws/test_law_pipeline.py

EVENTS ?= 1000000
prove: install
	FIRSTCALL_TEST_EVENTS=$(EVENTS) $(BIN)/python -m pytest -m long tests/laws/test_proof.py

views: DEVELOPERS := 50000
views: install
	FIRSTCALL_TEST_DEVELOPERS=$(DEVELOPERS) $(BIN)/python -m pytest -m long --timeout=0 tests/laws/test_views_proof.py

long: install
	$(BIN)/python -m pytest -m long --timeout=0 $(PYTEST_ARGS)

# On real Kafka and ClickHouse. Each fault replaces its own line in the table of results.
faults: EVENTS = 100000
faults: install
	FIRSTCALL_TEST_EVENTS=$(EVENTS) FIRSTCALL_TEST_SEED=$(SEED) FIRSTCALL_TEST_AWAY=$(AWAY) \
		$(BIN)/python -m pytest -m long --timeout=0 -s -k '$(FAULT)' tests/faults/test_faults.py
	$(BIN)/python -m tests.faults.report

# With the worker's local state, and without it.
ALIASES ?= 1000000
recovery: install
	$(BIN)/python -m tests.benchmarks.recovery --aliases $(ALIASES)

# At least so many minutes and so many events, from empty state.
MINUTES ?= 30
soak: EVENTS = 10000000
soak: install
	$(BIN)/python -m tests.benchmarks.soak.full_load --minutes $(MINUTES) --events $(EVENTS)

# One thread for each process: the worlds run in parallel.
alerts-score: WORLDS ?= 20
alerts-score: install
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m tests.benchmarks.alert_score --worlds $(WORLDS) --only "$(ONLY)"

bench: install
	$(BIN)/python -m tests.benchmarks.whole_job --events $(EVENTS)

ROWS ?= 50000000
bench-queries: install
	$(BIN)/python -m tests.benchmarks.queries --rows $(ROWS)

demo: install
	@$(BIN)/firstcall demo --developers $(DEVELOPERS) --seed $(SEED) --days $(DAYS) $(ARGS)

# The image installs requirements.lock, a checkout requirements-dev.lock; both lock the same versions.
UV ?= uv
COMPILE = $(UV) pip compile --quiet pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--custom-compile-command 'make lock'
lock:
	$(COMPILE) --output-file requirements.lock --extra build $(LOCK_ARGS)
	$(COMPILE) --output-file requirements-dev.lock --extra dev --constraints requirements.lock $(LOCK_ARGS)

# Looks up every locked version in PyPI's advisories, and fails if PyPI cannot be reached. In a virtual environment of its own:
# the auditor is not locked.
audit-dependencies:
	$(PYTHON) -m venv $(VENV)/audit
	$(VENV)/audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit==2.10.1
	$(VENV)/audit/bin/pip-audit --strict --require-hashes --disable-pip --requirement requirements.lock
	$(VENV)/audit/bin/pip-audit --strict --require-hashes --disable-pip --requirement requirements-dev.lock

# Keeps .firstcall, the data of the local broker and the embedded ClickHouse; remove it to start from nothing.
clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +
