"""The nightly line as assets: raw tables, the dbt project, gate, publication, letters, charts.

Each body calls one function of the package that does the work, and reports the result to Dagster.
"""

# No postponed annotations here: Dagster reads them while it decorates.
import base64
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import duckdb
import vl_convert
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, DbtProject, dbt_assets

from expectations.data_docs import data_docs
from expectations.gate import SuiteVerdict, Verdict, judge, record, recorded
from expectations.suites import QUESTIONS, SUITES, Settings
from ingest.problems import UserError
from ingest.raw.file_ledger import input_fingerprint
from ingest.raw.loader import Summary, load_dose_reports, load_dosimeters
from ingest.raw.reference_load import load_reference
from ingest.raw.reread import reread_changed
from ingest.site.config import Site
from ingest.sources.pull_record import copy_into
from orchestration.built_tables import Contents, contents_of, failing_rows, row_count
from orchestration.charts.night import pictures_of
from orchestration.dbt_build import NodeResult, build_tables
from orchestration.expectation_checks import results_of, schema_checks, table_checks
from orchestration.failures import notify_operations
from orchestration.letters.delivery import deliver
from orchestration.letters.operations import PULL, Trouble
from orchestration.pages.audiences import write_pages
from orchestration.publication.build_record import (
    Build,
    drop_tables_of_other_code,
    forget_dates,
    inputs_of_build,
    last_build,
    record_input,
)
from orchestration.publication.clock_guard import clock_at, date_without_request
from orchestration.publication.data_docs import data_docs_file, write_data_docs
from orchestration.publication.history import current_publication, keep_wanted
from orchestration.publication.publish import NothingNew, becomes_current, publish
from orchestration.publication.snapshot import DEPARTMENT_SCHEMA, SCHEMAS
from orchestration.resources import Pull, Report, SiteResource, plain_errors
from orchestration.steps import CHARTS, DBT_MODELS, EXPECTATIONS, GATE, JUDGED, JUDGED_TABLE, LETTERS, PUBLICATION
from orchestration.ui_metadata import shown
from orchestration.webhooks import post_publication

POOL = "duckdb_write"  # the build database has one writer
DATA_ENGINEERING = ["team:data_engineering"]
MEDICAL_PHYSICS = ["team:medical_physics"]
# For temporary failures: a server or a mail server that does not answer. All other steps fail at once.
RETRY = dg.RetryPolicy(max_retries=2, delay=60, backoff=dg.Backoff.EXPONENTIAL)


# --- raw -----------------------------------------------------------------------------------------------------------


@dg.asset(key=["raw", "reference_files"], group_name="raw", kinds={"csv", "duckdb"}, owners=DATA_ENGINEERING, pool=POOL)
def reference_files(site: SiteResource) -> dg.MaterializeResult[None]:
    """site.yaml, reference CSVs and source descriptions as raw.site, raw.source, raw.ref_*: replaced when changed."""
    with plain_errors():
        folder = site.load()
        with site.build(folder) as con:
            is_changed = load_reference(con, folder)
    rows = {name: len(table.rows) for name, table in folder.reference.items()}
    problems = "\n".join(f"- {problem}" for problem in folder.problems) or "none"
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": sum(rows.values()),
            "changed": is_changed,
            "accepted_rows": rows,
            "refused": dg.MetadataValue.md(problems),
        }
    )


@dg.asset(
    key=["raw", "received_objects"],
    group_name="raw",
    kinds={"dicom"},
    owners=DATA_ENGINEERING,
    pool=POOL,
    retry_policy=RETRY,
    check_specs=[
        dg.AssetCheckSpec(
            "every_server_gave_all",
            asset=["raw", "received_objects"],
            description="No server of site.yaml failed to answer or kept an object back.",
        )
    ],
)
def received_objects(
    context: dg.AssetExecutionContext, site: SiteResource, pull: dg.ResourceParam[Pull]
) -> Iterator[dg.MaterializeResult[None]]:
    """Dose reports of the servers that site.yaml names, kept below received/; other servers go on if one fails."""
    with plain_errors():
        folder = site.load()
        pulled = pull(folder)
        if pulled:
            with site.build(folder) as con:
                copy_into(con, folder)
    failures = [failure for server in pulled for failure in server.failures]
    _retry_after(failures, context, site)
    if failures:
        notify_operations(folder.root, [Trouble(PULL, tuple(failures))])
    yield dg.MaterializeResult(
        metadata={
            "servers": "\n".join(server.source for server in pulled) or "none",
            "found": sum(server.found for server in pulled),
            "stored": sum(server.stored for server in pulled),
            "already_there": sum(server.known for server in pulled),
            "not_had": sum(server.failed for server in pulled),
            "not_answered": sum(server.unanswered for server in pulled),
        },
        check_results=[
            dg.AssetCheckResult(
                check_name="every_server_gave_all",
                passed=not failures,
                metadata={"failures": "\n".join(failures) or "none"},
            )
        ],
    )


@dg.asset(
    key=["raw", "dose_reports"],
    deps=[received_objects],
    group_name="raw",
    kinds={"dicom", "duckdb"},
    owners=DATA_ENGINEERING,
    pool=POOL,
)
def dose_reports(site: SiteResource, report: dg.ResourceParam[Report]) -> dg.MaterializeResult[None]:
    """Dose reports, of the inbox and received, as raw.dose_report, dose_total and irradiation_event: only new files."""
    with plain_errors():
        folder = site.load()
        with site.build(folder) as con:
            summary = load_dose_reports(
                con, folder, site.key(folder), lambda done, total, _: report("dose reports", done, total)
            )
            rows = row_count(con, "raw.dose_report")
    return dg.MaterializeResult(metadata=_loaded(summary, rows))


@dg.asset(
    key=["raw", "dosimeter_exports"], group_name="raw", kinds={"csv", "duckdb"}, owners=DATA_ENGINEERING, pool=POOL
)
def dosimeter_exports(site: SiteResource, report: dg.ResourceParam[Report]) -> dg.MaterializeResult[None]:
    """Badge exports as raw.dose_record and raw.rejected_row, read as described in sources/*.yaml: only new files.

    And those that are loaded, of a source whose description now gives their rows another meaning.
    """
    with plain_errors():
        folder = site.load()
        with site.build(folder) as con:
            key = site.key(folder)
            again = reread_changed(con, folder, key, lambda done, total: report("exports read again", done, total))
            summary = load_dosimeters(
                con,
                folder,
                key,
                lambda done, total, _: report("dosimeter exports", done, total),
                within=report,
            )
            rows = row_count(con, "raw.dose_record")
    return dg.MaterializeResult(metadata={**_loaded(summary, rows), "read_again": list(map(str, again))})


def _retry_after(failures: Sequence[str], context: dg.AssetExecutionContext, site: SiteResource) -> None:
    """Fails a step that may succeed a little later, but not its last attempt: what was left undone stops no night."""
    if failures and site.is_retried and context.retry_number < RETRY.max_retries:
        raise dg.Failure(description="\n".join(failures), allow_retries=True)


RAW = [reference_files, received_objects, dose_reports, dosimeter_exports]


def _loaded(summary: Summary, rows: int) -> dict[str, Any]:
    return {
        "dagster/row_count": rows,
        "rows_loaded_now": summary.rows_loaded,
        "rows_rejected_now": summary.rows_rejected,
        "files_in_inbox": summary.seen,
        "files_read_now": dict(summary.statuses),
        "files_still_being_written": len(summary.waiting),
    }


# --- dbt -----------------------------------------------------------------------------------------------------------


class BuildConfig(dg.Config):
    """How to build.

    Attributes:
        as_of: ISO date (valid time, site-local), not later than today; empty = the site's local date, or
            the publication's where site.yaml fixes the date.
        rebuild_from: ISO date, local at the site; from this date to `rebuild_to` every incremental table is rebuilt,
            although nothing has changed. Both or none.
        rebuild_to: ISO date, included.
    """

    as_of: str = ""
    rebuild_from: str = ""
    rebuild_to: str = ""

    def dates_to_rebuild(self) -> tuple[date, date] | None:
        """First and last date; None if nothing but what has changed is built.

        Raises:
            UserError: they are no dates, or no period.
        """
        if not (self.rebuild_from or self.rebuild_to):
            return None
        try:
            first, last = date.fromisoformat(self.rebuild_from), date.fromisoformat(self.rebuild_to)
        except ValueError:
            raise UserError("rebuild_from and rebuild_to must both be dates such as 2024-03-31.") from None
        if first > last:
            raise UserError(f"rebuild_from ({first}) is later than rebuild_to ({last}).")
        return first, last


class Translator(DagsterDbtTranslator):
    """Groups by schema, of intermediate tables by folder; the rest is dbt's: descriptions, columns, owners, kinds."""

    def __init__(self) -> None:
        # Many raw tables come out of one step of ingest.
        super().__init__(DagsterDbtTranslatorSettings(enable_duplicate_source_asset_keys=True))

    def get_asset_spec(self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None) -> dg.AssetSpec:
        """The spec of one dbt node."""
        node = self.get_resource_props(manifest, unique_id)
        spec = super().get_asset_spec(manifest, unique_id, project)
        if node["resource_type"] == "source":
            return spec
        owners = spec.owners or DATA_ENGINEERING
        schema, folder = node["config"]["schema"], node["fqn"][-2]
        group = folder if schema == "intermediate" else schema
        return spec.replace_attributes(group_name=group, owners=owners)


def dbt_models_from(manifest: Path) -> dg.AssetsDefinition:
    """The dbt project as assets; its tests of severity error are blocking checks."""
    translator = Translator()
    nodes = json.loads(manifest.read_bytes())["nodes"]

    @dbt_assets(manifest=manifest, dagster_dbt_translator=translator, name=DBT_MODELS, pool=POOL)
    def dbt_models(
        context: dg.AssetExecutionContext, config: BuildConfig, site: SiteResource, report: dg.ResourceParam[Report]
    ) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        with plain_errors():
            folder = site.load()
            as_of = date.fromisoformat(config.as_of) if config.as_of else date_without_request(folder)
            may_become_current = becomes_current(as_of, current_publication(folder.published_dir))
            with site.build(folder) as con:
                fingerprint = inputs_of_build(input_fingerprint(con))
                drop_tables_of_other_code(con)
                if period := config.dates_to_rebuild():
                    n_dates = forget_dates(con, *period)
                    context.log.info(f"Rebuilding {n_dates} dates of incremental tables, {period[0]} to {period[1]}.")
            built = build_tables(
                folder.build_db,
                as_of,
                may_become_current=may_become_current,
                selection=_selection(context),
                finished=lambda _, done, total: report("tables and tests", done, total),
            )
            with site.build(folder) as con:
                if built.build_id:
                    record_input(con, built.build_id, fingerprint)
                yield from _results(con, context, translator, nodes, built.results)
        if built.failures:
            raise dg.Failure(description="\n".join(built.failures), allow_retries=False)

    return dbt_models


def _selection(context: dg.AssetExecutionContext) -> list[str]:
    """Arguments of dbt for the tables and tests that a person chose; none for all."""
    if not context.is_subset:
        return []
    tables = [key.path[-1] for key in context.selected_asset_keys]
    tests = [key.name for key in context.selected_asset_check_keys]
    return ["--select", *tables, *tests, "--indirect-selection", "empty"]


def _results(
    con: duckdb.DuckDBPyConnection,
    context: dg.AssetExecutionContext,
    translator: DagsterDbtTranslator,
    nodes: Mapping[str, Any],
    results: Sequence[NodeResult],
) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
    """Of a table or view that was made, its rows and summary; of a test, whether it holds, and rows that break it."""
    asset_of = {key.name: key.asset_key for key in context.selected_asset_check_keys}
    for result in results:
        if result.resource_type == "operation":  # a hook: neither table nor test
            continue
        node = nodes[result.unique_id]
        seconds = {"seconds": result.execution_time}
        if result.status == "success":
            contents = contents_of(con, f"{node['schema']}.{node['alias']}")
            yield dg.MaterializeResult(asset_key=translator.get_asset_key(node), metadata=seconds | shown(contents))
        elif result.name in asset_of and result.status != "skipped":
            found: Contents = {}
            if result.status in ("fail", "warn"):
                tested = nodes[node["attached_node"]] if node.get("attached_node") else node
                found = failing_rows(con, result.compiled_code, f"{tested['schema']}.{tested['alias']}")
            yield dg.AssetCheckResult(
                asset_key=asset_of[result.name],
                check_name=result.name,
                passed=result.status == "pass",
                severity=dg.AssetCheckSeverity.WARN if result.status == "warn" else dg.AssetCheckSeverity.ERROR,
                metadata=seconds | {"message": result.message} | shown(found),
            )


# --- gate, publication, letters ------------------------------------------------------------------------------------


def gate_over(models: dg.AssetsDefinition) -> dg.AssetsDefinition:
    """The gate, downstream of every table that may be published: they come last of what dbt builds."""

    @dg.asset(
        name=GATE,
        deps=[spec.key for spec in models.specs if spec.key.path[0] in (*SCHEMAS, DEPARTMENT_SCHEMA)],
        group_name="publication",
        kinds={"greatexpectations", "duckdb"},
        owners=MEDICAL_PHYSICS,
        pool=POOL,
        check_specs=[
            *(dg.AssetCheckSpec(suite, asset=GATE, blocking=True, description=QUESTIONS[suite]) for suite in SUITES),
            *schema_checks(),
        ],
    )
    def gate(site: SiteResource) -> Iterator[dg.MaterializeResult[None]]:
        """The verdict on the last build by the suites structural, logical and plausible: may it be published?"""
        with plain_errors():
            folder = site.load()
            with site.build(folder) as con:
                build = _build_to_judge(con, folder)
                verdict = recorded(con, build.build_id, _limits(folder))
            verdict = verdict or _judge(site, folder)
            docs = dg.MetadataValue.path(data_docs_file(folder.data_dir, build.build_id))
        yield dg.MaterializeResult(
            metadata={"build_id": build.build_id, "passed": verdict.passed, "data_docs": docs},
            check_results=[
                *(_check_result(suite, docs) for suite in verdict.suites),
                *results_of(verdict, {spec.key for spec in schema_checks()}),
            ],
        )

    return gate


@dg.multi_asset_check(name=EXPECTATIONS, specs=table_checks(), can_subset=True, pool=POOL)
def expectations(
    context: dg.AssetCheckExecutionContext, site: SiteResource, report: dg.ResourceParam[Report]
) -> Iterator[dg.AssetCheckResult]:
    """Judges the last build by every check and records the verdict; a check that fails does not fail this step."""
    report("checks", 0, len(SUITES))
    with plain_errors():
        verdict = _judge(site, site.load())
    report("checks", len(SUITES), len(SUITES))
    selected = context.selected_asset_check_keys
    yield from results_of(verdict, selected)
    if dg.AssetCheckKey(dg.AssetKey(JUDGED_TABLE), JUDGED) in selected:
        yield dg.AssetCheckResult(asset_key=JUDGED_TABLE, check_name=JUDGED, passed=True)


def _judge(site: SiteResource, folder: Site) -> Verdict:
    """Judges the last build, records the verdict for it and writes its data docs."""
    verdict = judge(folder.build_db, _limits(folder))
    with site.build(folder) as con:
        build = _build_to_judge(con, folder)
        record(con, build.build_id, verdict)
    facts = {
        "Site": f"{folder.config.name} ({folder.config.site_id})",
        "As of": build.as_of,
        "Build": build.build_id,
        "Judged at": f"{datetime.now(ZoneInfo(folder.config.timezone)):%Y-%m-%d %H:%M %Z}",
    }
    write_data_docs(folder.data_dir, build.build_id, data_docs("Checks of the build", facts, verdict))
    return verdict


def _limits(folder: Site) -> Settings:
    return Settings(folder.config.gate.max_quarantined_files_share)


def _build_to_judge(con: duckdb.DuckDBPyConnection, folder: Site) -> Build:
    build = last_build(con, folder.build_db.stem)
    if build is None:
        raise dg.Failure(description="Nothing was built yet.", allow_retries=False)
    return build


def _check_result(suite: SuiteVerdict, docs: dg.PathMetadataValue) -> dg.AssetCheckResult:
    """Dagster blocks at an error; a suite that only warns is shown as a warning."""
    sentences = "\n".join(f"- **{failure.severity}** {failure.sentence}" for failure in suite.failures)
    rows = [
        dg.TableRecord(
            {
                "effect": failure.severity,
                "where": f"{failure.table} {failure.column}".strip(),
                "should hold": failure.rule,
                "rows": failure.rows,
                "for example": sample,
            }
        )
        for failure in suite.failures
        for sample in failure.samples or [""]
    ]
    return dg.AssetCheckResult(
        check_name=suite.suite,
        passed=not suite.failures,
        severity=dg.AssetCheckSeverity.WARN if suite.passed else dg.AssetCheckSeverity.ERROR,
        metadata={
            "checks_run": suite.checks_run,
            "checks_failed": len(suite.failures),
            "failures": dg.MetadataValue.md(sentences) if sentences else "none",
            "failing_rows": dg.MetadataValue.table(rows) if rows else "none",
            "data_docs": docs,
        },
    )


class PublicationConfig(dg.Config):
    """Whether to publish.

    Attributes:
        even_if_same: publish again what the current publication holds already.
    """

    even_if_same: bool = False


@dg.asset(
    name=PUBLICATION,
    deps=[GATE],
    group_name="publication",
    kinds={"duckdb", "parquet"},
    owners=MEDICAL_PHYSICS,
    pool=POOL,
)
def publication(
    config: PublicationConfig, site: SiteResource, report: dg.ResourceParam[Report]
) -> dg.MaterializeResult[None]:
    """A new folder published/runs/<run_id> and the link `current`; refuses without a passing verdict of this build."""
    report(PUBLICATION, 0, 1)
    with plain_errors():
        folder = site.load()
        keep = keep_wanted(os.environ)
        outcome = publish(
            folder.build_db,
            folder.published_dir,
            even_if_same=config.even_if_same,
            keep=keep,
            now=clock_at(folder).now,
            zone=folder.config.timezone,
            add=partial(write_pages, site=folder.config),
        )
    report(PUBLICATION, 1, 1)
    if isinstance(outcome, NothingNew):
        return dg.MaterializeResult(
            metadata={
                "run_id": outcome.run_id,
                "as_of": str(outcome.as_of),
                "is_new": False,
                "notes": _removed(outcome.removed),
                "is_current": True,
                "folder": dg.MetadataValue.path(outcome.folder),
            }
        )
    return dg.MaterializeResult(
        metadata={
            "run_id": outcome.run_id,
            "as_of": str(outcome.as_of),
            "is_new": True,
            "notes": _removed(outcome.removed),
            "is_current": outcome.is_current,
            "folder": dg.MetadataValue.path(outcome.folder),
            "checks_passed": outcome.checks_passed,
            "rows": outcome.rows_by_table,
        }
    )


def _removed(run_id: str | None) -> list[str]:
    if run_id is None:
        return []
    return [f"The publication {run_id} was interrupted before readers saw it, and was removed."]


@dg.asset(
    name=LETTERS,
    deps=[PUBLICATION],
    group_name="publication",
    kinds={"email"},
    owners=MEDICAL_PHYSICS,
    pool=POOL,
    retry_policy=RETRY,
)
def letters(context: dg.AssetExecutionContext, site: SiteResource) -> dg.MaterializeResult[None]:
    """Letters and webhooks: what is new in the current publication, once; none for a past as-of date."""
    with plain_errors():
        folder = site.load()
        current = current_publication(folder.published_dir)
        if current is None:
            raise dg.Failure(description="Nothing was published yet.", allow_retries=False)
        with site.build(folder) as con:
            build = last_build(con, folder.build_db.stem)
        if build and build.as_of < current.as_of:
            return dg.MaterializeResult(metadata={"letters": [], "waiting": 0, "notes": [], "findings_reported": 0})
        delivery = deliver(current.folder, folder.config, folder.data_dir, os.environ, clock_at(folder).today)
        notes = post_publication(current.folder, folder.config, folder.data_dir, os.environ)
    _retry_after([*(delivery.notes if delivery.waiting else ()), *notes], context, site)
    return dg.MaterializeResult(
        metadata={
            "letters": [letter.sent_to for letter in delivery.sent],
            "waiting": delivery.waiting,
            "notes": [*delivery.notes, *notes],
            "findings_reported": delivery.findings_told,
        }
    )


@dg.asset(
    name=CHARTS, deps=[PUBLICATION], group_name="publication", kinds={"vegalite"}, owners=DATA_ENGINEERING, pool=POOL
)
def charts(site: SiteResource) -> dg.MaterializeResult[None]:
    """The night in pictures: linkage by day, clock offsets, findings, and the latest room days with beam and badges."""
    with plain_errors():
        folder = site.load()
        with site.build(folder) as con:
            pictures = pictures_of(con)
    return dg.MaterializeResult(
        metadata={name: _drawn(name, vl_convert.vegalite_to_svg(picture)) for name, picture in pictures.items()}
    )


def _drawn(name: str, svg: str) -> dg.MarkdownMetadataValue:
    return dg.MetadataValue.md(f"![{name}](data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()})")
