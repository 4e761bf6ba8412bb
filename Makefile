# Two commands: `make run` (demo hospital, or SITE=/path/to/site) and `make test`. Needs git, make and Python 3.11 with pip and venv.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEMO := demo/hospital
SITE ?= $(DEMO)
# The demo hospital's last day; a real site runs as of today.
AS_OF := $(if $(filter $(DEMO),$(SITE)),--as-of 2024-04-30)

# No tool may wait for a host that nobody configured: hospital networks are closed.
export DAGSTER_DISABLE_TELEMETRY := 1
export DO_NOT_TRACK := 1
export GX_ANALYTICS_ENABLED := false

.PHONY: run demo ui dbt docs metrics test lint unit slow test-integrations mutants attack test-data lock clean

run: $(READY) $(if $(filter $(DEMO),$(SITE)),$(DEMO)/site.yaml)
	@$(BIN)/doseledger run --site "$(SITE)" $(AS_OF)

ui: $(READY) $(if $(filter $(DEMO),$(SITE)),$(DEMO)/site.yaml)
	@$(BIN)/doseledger ui --site "$(SITE)"

demo: $(DEMO)/site.yaml

$(DEMO)/site.yaml: | $(READY)
	@$(BIN)/doseledger demo "$(DEMO)"

# dbt by hand on a copy of a build database, for example make dbt ARGS="build --select int_event+" (dbt_project/README.md).
ARGS ?= build
COPY := build/dbt/doseledger.duckdb
dbt: $(COPY)
	@DOSELEDGER_BUILD_DB="$(abspath $(COPY))" $(BIN)/dbt $(ARGS) --project-dir dbt_project --profiles-dir dbt_project

$(COPY): | $(READY)
	@mkdir -p $(@D)
	@cp "$(SITE)/data/build/doseledger.duckdb" $@

# The metrics of dbt_project/models/marts/_metrics.yml, checked by MetricFlow against a build; in an environment of its own.
METRICFLOW := .venv-metricflow
metrics: $(COPY)
	@test -x $(METRICFLOW)/bin/mf || { $(PYTHON) -m venv $(METRICFLOW) && $(METRICFLOW)/bin/pip install --quiet \
		dbt-metricflow==0.15.0 dbt-core==1.11.16 dbt-duckdb==1.11.1 duckdb==1.5.5; }
	@cd dbt_project && export DOSELEDGER_BUILD_DB="$(abspath $(COPY))" DBT_PROFILES_DIR=. PATH="$(abspath $(METRICFLOW))/bin:$$PATH" \
		&& dbt --quiet parse && mf validate-configs

# dbt's own page of the project (models, columns, lineage) in one file that needs no server.
docs: $(COPY)
	@DOSELEDGER_BUILD_DB="$(abspath $(COPY))" $(BIN)/dbt --quiet docs generate --static --project-dir dbt_project \
		--profiles-dir dbt_project --target-path "$(abspath build/docs)"
	@echo "Open build/docs/static_index.html in a browser."

test: lint unit slow

# Every warning of dbt is an error, but the one that dbt_project.yml silences with its reason.
WARNINGS := '{"error": "all", "silence": ["UnsupportedConstraintMaterialization"]}'

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/sqlfluff lint -q --processes 2 dbt_project/models dbt_project/tests
	DOSELEDGER_BUILD_DB=doseledger.duckdb $(BIN)/dbt --quiet --warn-error-options $(WARNINGS) parse --no-partial-parse \
		--project-dir dbt_project --profiles-dir dbt_project

# A file's tests stay in one process: they share its hospital.
unit: $(READY)
	$(BIN)/pytest --numprocesses auto --dist loadfile tests/unit

slow: $(READY)
	$(BIN)/pytest --numprocesses auto --dist loadfile tests/slow

# Other programs that read the publication, and every page in a browser. Not in `make test`; at most 40 minutes.
test-integrations: $(READY)
	$(BIN)/pytest --numprocesses auto --dist loadfile tests/integrations

# Damaged dose reports: each is counted, refused by name, or equal. A few minutes.
mutants: $(READY)
	$(BIN)/pytest tests/slow/ingest/dose_reports/test_dose_reports_mutants.py

# Kills at random moments (counted in tests/attack/counts.csv), damaged reports and exports. Half an hour; not in `make test`.
KILLS := 5
attack: $(READY)
	PYTHONPATH=tests $(BIN)/python -m attack.mutants
	PYTHONPATH=tests $(BIN)/python -m attack --kills $(KILLS)

# Real dose reports out of pinned source packages, for the tests that read them (tests/test_data/README.md).
test-data: $(READY)
	PYTHONPATH=tests $(BIN)/python -m support.fetch_test_data

# Installed once per lock file; the hashes in it are checked by pip.
$(READY): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is needed, as '$(PYTHON)'; name yours with make PYTHON=/path/to/python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the pinned packages into $(VENV) (once; a few minutes) ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

# Writes the lock file from pyproject.toml; needs uv. Only for maintainers. No index is named in it (--no-emit-index-url).
lock:
	uv pip compile --python-version 3.11 --universal --generate-hashes --no-header --no-emit-index-url --no-strip-extras \
		--extra dev pyproject.toml -o requirements.lock

clean:
	rm -rf demo dbt_project/target dbt_project/logs .pytest_cache .mypy_cache .ruff_cache
