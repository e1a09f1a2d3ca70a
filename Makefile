# Needs make and Python >= 3.11, nothing else. `make help` says what there is.

PYTHONS  = $(PYTHON) python3.13 python3.12 python3.11 python3
BIN      = .venv/bin
PROJECTS = $(wildcard pyproject.toml adapters/*/pyproject.toml plugins/*/pyproject.toml examples/*/pyproject.toml)
READY    = .venv/.ready
SECONDS ?= 600
JOBS    ?= 3
COMPILE  = $(BIN)/uv pip compile -q --universal --python-version 3.11 --no-header --no-annotate \
           --no-emit-index-url --no-emit-find-links $(if $(UPGRADE),--upgrade) \
           $(shell sed -n 's/^name = "\(starship-.*\)"/--no-emit-package \1/p' $(PROJECTS)) $(PROJECTS)

# Tests start hundreds of processes: each of them would compile our modules anew.
export PYTHONDONTWRITEBYTECODE =

.PHONY: help demo up test crash floor bench chaos lint format docs migration-baseline lock wheels clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1|\2/p' Makefile | while IFS='|' read -r name what; \
	do printf '%-26s %s\n' "$$name" "$$what"; done

demo: $(READY) ## the whole story over real HTTP, told step by step (EXIT=1: do not stay up)
	$(BIN)/python examples/demo/run.py

up: $(READY) ## a server with demo products on embedded SQLite and valkey, in .local/
	test -f .local/starship.toml || $(BIN)/starship init .local --demo
	cd .local && ../$(BIN)/starship up

test: $(READY) ## the tests on both databases, counts held against tests/floor.toml (JOBS=3)
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -p tools.floor --ignore tests/crash --ignore tests/packages

crash: $(READY) ## killed before and after every call of every flow, restarted, asked again (JOBS=3)
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -p tools.floor tests/crash

floor: $(READY) ## raise tests/floor.toml to what is collected now
	$(BIN)/python -m pytest -qq --collect-only -p tools.floor --write-floor

bench: $(READY) ## orders per second against the bare drivers (QUICK=1: a short look)
	$(BIN)/python bench/run.py

chaos: $(READY) ## kill servers and workers, restart Redis under load, then verify (SECONDS=600: 200 kills)
	$(BIN)/python tests/chaos/run.py --seconds $(SECONDS)

lint: $(READY) ## ruff, mypy strict, import rules and our own rules
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy .
	MYPYPATH=examples/demo $(BIN)/mypy examples/demo/*.py
	$(BIN)/lint-imports
	$(BIN)/python -m tools.lint

format: $(READY) ## let ruff write the code as it wants it
	$(BIN)/ruff check --fix --exit-zero
	$(BIN)/ruff format

docs: $(READY) ## the documentation as a site, in docs/_build/html; a warning is an error
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs docs/_build/html

migration-baseline: $(READY) ## revision 0001 anew from the tables: only before the first release
	$(BIN)/python tools/migration.py starship_core --baseline

lock: $(READY) ## requirements/*.txt anew, names and versions only (UPGRADE=1: newest versions)
	$(COMPILE) -o requirements/run.txt
	$(COMPILE) --all-extras requirements/dev.in -o requirements/dev.txt

wheels: $(READY) ## every package as a wheel, in dist/, and what a user makes of them in environments of its own
	rm -rf dist
	$(BIN)/uv build -q --all-packages --wheel --no-build-isolation --python $(BIN)/python --out-dir dist
	$(BIN)/python -m tools.wheels
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -p tools.floor tests/packages

clean: ## away with everything that was made, the environment included
	rm -rf .venv dist build docs/_build .local .pytest_cache .mypy_cache .ruff_cache \
	    .import_linter_cache .hypothesis

# The environment: made once, and again when a requirement or a package's metadata has changed.
# Packages are built in the environment itself, so that the builder's version is pinned as well.
$(READY): requirements/dev.txt $(PROJECTS)
	@fits='import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))'; \
	.venv/bin/python -c "$$fits" 2>/dev/null || { \
	    for python in $(PYTHONS); do "$$python" -c "$$fits" 2>/dev/null && break; python=; done; \
	    test -n "$$python" || { \
	        echo "starship needs Python 3.11 or newer with its venv module;" \
	             "none of these has it: $(PYTHONS). Name one with make PYTHON=…" >&2; exit 1; }; \
	    echo "making .venv with $$python"; \
	    "$$python" -m venv --clear .venv; }
	@$(BIN)/python -m pip install -qq --disable-pip-version-check "$$(grep '^uv==' requirements/dev.txt)"
	@echo "installing the pinned versions"
	@$(BIN)/uv pip install -q --compile-bytecode --python $(BIN)/python -r requirements/dev.txt
	@$(BIN)/uv pip install -q --python $(BIN)/python --no-deps --no-build-isolation \
	    $(patsubst %pyproject.toml,-e ./%,$(PROJECTS))
	@touch $@
