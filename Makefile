# make demo    everything, from nothing to numbers, on this machine
# make test    everything the tests need, and the tests
.DEFAULT_GOAL := help
.PHONY: help install lint format types test docs laws worlds prove views long faults recovery soak alerts-score bench bench-queries demo lock audit-dependencies clean
.DELETE_ON_ERROR:

# The first interpreter that Firstcall runs on, unless one is named: make PYTHON=python3.12 test
PYTHON ?= $(shell for python in python3 python3.12 python3.13 python3.11; do \
	$$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo $$python && break; done)
VENV ?= .venv
BIN := $(VENV)/bin

# Which fault to try: any, or a part of its name. How many seconds ClickHouse stays away in the one of that name.
FAULT ?=
AWAY ?= 600
# What the demo simulates, and what else to tell it: make demo ARGS=--serve
DEVELOPERS ?= 2000
SEED ?= 1
DAYS ?= 60
ARGS ?=

PYTEST_ARGS ?=
# How many files of tests run side by side; each process has a Kafka and a ClickHouse of its own.
PROCESSES ?= 2

help:
	@echo 'make demo [DEVELOPERS=$(DEVELOPERS)] [SEED=$(SEED)] [DAYS=$(DAYS)] [ARGS=--serve]   run everything here, end with the numbers'
	@echo 'make test [PYTEST_ARGS=...]   install, lint, check types, test'
	@echo 'make laws [WORLDS=10000] [SEED=$(SEED)]   the law: so many random worlds through the core, also through crashes and erasures'
	@echo 'make worlds [WORLDS=50] [SEED=$(SEED)]    the same worlds through the pipeline on Kafka, workers being killed'
	@echo 'make prove [EVENTS=$(EVENTS)]       the long proof: a large population through killed workers equals the reference'
	@echo 'make views [DEVELOPERS=50000]   every number of every view equals the reference'
	@echo 'make docs                  write schemas/TABLES.md anew from the SQL'
	@echo 'make long                  every long proof: worlds, the population, retroactivity and bounds of state in full'
	@echo 'make faults [FAULT=sink_killed] [EVENTS=100000] [SEED=$(SEED)]   faults under load: nothing lost, nothing doubled'
	@echo 'make recovery [ALIASES=$(ALIASES)]   how long a worker takes to come back'
	@echo 'make soak [MINUTES=$(MINUTES)] [EVENTS=10000000]   full load: is memory flat?'
	@echo 'make bench [EVENTS=$(EVENTS)]       events a second, and CPU, of the whole job'
	@echo 'make bench-queries [ROWS=50000000]   what dashboards ask, on so many rows'
	@echo 'make alerts-score [WORLDS=20 ONLY=silence]  drops found, delays and false alarms of the alerts, on simulated incidents'
	@echo 'make audit-dependencies    known vulnerabilities of what is locked'
	@echo 'make install | lint | format | types | lock | clean'

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

# The page of all tables, views and queries, from what their SQL says of itself.
docs: install
	$(BIN)/python -m schemas.sql.tables_page

# The law on random worlds. The seed names them: the same ones come again.
laws: WORLDS ?= 10000
laws: install
	FIRSTCALL_TEST_WORLDS=$(WORLDS) $(BIN)/python -m pytest --timeout=0 --hypothesis-profile=many --hypothesis-seed=$(SEED) \
		$(filter-out tests/laws/test_law_pipeline.py,$(wildcard tests/laws/test_law_*.py))

worlds: WORLDS ?= 50
worlds: install
	FIRSTCALL_TEST_WORLDS=$(WORLDS) FIRSTCALL_TEST_SEED=$(SEED) $(BIN)/python -m pytest -m long tests/laws/test_law_pipeline.py

# The long proof: so many events through killed workers equal the independent reference.
EVENTS ?= 1000000
prove: install
	FIRSTCALL_TEST_EVENTS=$(EVENTS) $(BIN)/python -m pytest -m long tests/laws/test_proof.py

# The read side: every number of every view of 90 days of so many developers equals the reference.
views: DEVELOPERS := 50000
views: install
	FIRSTCALL_TEST_DEVELOPERS=$(DEVELOPERS) $(BIN)/python -m pytest -m long --timeout=0 tests/laws/test_views_proof.py

# Every long proof there is, one after the other.
long: install
	$(BIN)/python -m pytest -m long --timeout=0 $(PYTEST_ARGS)

# Faults on real Kafka and ClickHouse, all or one, and the table of what came of them: each replaces its own line.
faults: EVENTS = 100000
faults: install
	FIRSTCALL_TEST_EVENTS=$(EVENTS) FIRSTCALL_TEST_SEED=$(SEED) FIRSTCALL_TEST_AWAY=$(AWAY) \
		$(BIN)/python -m pytest -m long --timeout=0 -s -k '$(FAULT)' tests/faults/test_faults.py
	$(BIN)/python -m tests.faults.report

# How long a worker with so many aliases of state takes to come back, with its local state and without.
ALIASES ?= 1000000
recovery: install
	$(BIN)/python -m tests.benchmarks.recovery --aliases $(ALIASES)

# Full load for so many minutes and so many events at least, without state at first, and what the processes hold in memory.
MINUTES ?= 30
soak: EVENTS = 10000000
soak: install
	$(BIN)/python -m tests.benchmarks.soak.run --minutes $(MINUTES) --events $(EVENTS)

# How many drops the alerts find, how soon, and how often they are wrong, on worlds with known incidents.
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

# Needs uv. The image installs requirements.lock, a checkout requirements-dev.lock; versions in both are the same.
UV ?= uv
COMPILE = $(UV) pip compile --quiet pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--custom-compile-command 'make lock'
lock:
	$(COMPILE) --output-file requirements.lock --extra build $(LOCK_ARGS)
	$(COMPILE) --output-file requirements-dev.lock --extra dev --constraints requirements.lock $(LOCK_ARGS)

# Asks PyPI's advisories for every locked version, and fails too where they cannot be asked. In a place of its own: what
# looks for holes in the locked parts is none of them.
audit-dependencies:
	$(PYTHON) -m venv $(VENV)/audit
	$(VENV)/audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit==2.10.1
	$(VENV)/audit/bin/pip-audit --strict --require-hashes --disable-pip --requirement requirements.lock
	$(VENV)/audit/bin/pip-audit --strict --require-hashes --disable-pip --requirement requirements-dev.lock

# Leaves .firstcall, the data of the local broker and the embedded ClickHouse, alone: remove it to start from nothing.
clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +
