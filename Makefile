# make demo    the main job on this machine, in less than a minute
# make test    all checks and tests; builds the real servers when they are missing
# make check   the fast part: lint, types, layers, unit tests, contracts on fakes
# make bench   benchmarks beside their peers, with ratios
# make fuzz    a longer fuzz run of the archive reader
# make manifests  write what is generated for Kubernetes into deploy/
# make lock    pin the newest allowed versions of everything
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo test test-servers test-cluster check lint bench fuzz servers format manifests lock clean

demo: $(INSTALLED)
	@$(BIN)/python -m demo

test: lint servers
	$(BIN)/pytest -q -m "not servers" -n 2 --dist worksteal
	@$(MAKE) --no-print-directory -j2 --output-sync=target test-servers test-cluster

# Beside one another: much of their time is spent waiting.
test-servers: servers
	$(BIN)/pytest -q -m servers --ignore tests/cluster

test-cluster: servers
	$(BIN)/pytest -q -m servers tests/cluster

check: lint
	$(BIN)/pytest -q -m "not servers and not thorough" -n 2 --dist worksteal

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

servers: $(INSTALLED)
	$(BIN)/python -m tests.harness.build

bench: servers
	$(BIN)/python -m bench

fuzz: $(INSTALLED)
	$(BIN)/python tests/core/fuzz_archive.py --seconds 600

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

manifests: $(INSTALLED)
	$(BIN)/bao-backup crds --output-folder deploy/crds
	$(BIN)/python -m tests.deploy.manifests

# Hashes pin every file; no registry is named, so each machine uses its own.
COMPILE := uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
  --extra operator --no-emit-index-url --no-annotate --no-header --upgrade --quiet
lock:
	$(COMPILE) -o requirements/run.lock
	$(COMPILE) --group dev -o requirements/dev.lock
	for group in build go; do \
	  uv pip compile --group $$group --universal --python-version 3.11 --generate-hashes \
	    --no-emit-index-url --no-annotate --no-header --upgrade --quiet -o requirements/$$group.lock || exit 1; \
	done

$(INSTALLED): requirements/dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "bao-backup needs Python 3.11 or later; name one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@echo "installing into $(VENV) (once)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
