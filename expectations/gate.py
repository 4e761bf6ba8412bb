"""The gate: judges one build by all suites, words each failure for its reader, and records the verdict.

Checks are data (suites/); only validator.py calls Great Expectations.
Consequences of a verdict are orchestration's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from expectations.suites import SUITES, Check, Settings, Severity, Suite, checks

if TYPE_CHECKING:
    from expectations.validator import Result

SAMPLES = 5  # rows that a failure names
NOT_NAMED = "a row of the restricted audience, which is not named"

VERDICT_DDL = """
create schema if not exists ops;
create table if not exists ops.verdict (
    build_id varchar not null,
    suite varchar not null,
    passed boolean not null,
    checks_run integer not null,
    checks_failed integer not null,
    failures json not null,
    recorded_at timestamptz not null,
    primary key (build_id, suite)
)
"""
# Of the last build only: the history of checks is in the publications, ledger.check_result.
RESULT_DDL = """
create or replace table ops.check_result (
    build_id varchar not null,
    check_id varchar not null,
    suite varchar not null,
    severity varchar not null,
    table_name varchar not null,
    column_name varchar,
    rule varchar not null,
    passed boolean not null,
    failing_rows bigint,
    smallest double,
    largest double,
    allowed_low double,
    allowed_high double,
    unit varchar,
    sentence varchar,
    primary key (build_id, check_id)
)
"""


@dataclass(frozen=True)
class Failure:
    """A check that did not hold.

    Attributes:
        severity: ``block`` stops the publication, ``warn`` is reported and published all the same.
        rows: number of rows that break the rule.
        samples: a few of them, each named by its key columns; one of the restricted audience is not named.
        sentence: all of it for a person, with what to do.
    """

    table: str
    column: str
    rule: str
    severity: Severity
    rows: int
    samples: list[str]
    sentence: str


@dataclass(frozen=True)
class CheckResult:
    """What one check found.

    Attributes:
        failing_rows: number of rows that break the rule; None if it could not be evaluated.
        smallest, largest: of the values that the check is about, where it is about values.
        failure: the failure for its reader; None where the rule holds.
    """

    check: Check
    failing_rows: int | None
    smallest: float | None
    largest: float | None
    failure: Failure | None


@dataclass(frozen=True)
class SuiteVerdict:
    """The verdict of one suite on one build; ``results`` are those of all its checks, whether they hold or not."""

    suite: Suite
    checks_run: int
    failures: list[Failure]
    results: Sequence[CheckResult] = ()

    @property
    def passed(self) -> bool:
        """No failure blocks."""
        return not any(failure.severity == "block" for failure in self.failures)


@dataclass(frozen=True)
class Verdict:
    """The verdict of all suites on one build."""

    suites: list[SuiteVerdict]

    @property
    def passed(self) -> bool:
        """Every suite passed."""
        return all(suite.passed for suite in self.suites)


@dataclass(frozen=True)
class Unexpected:
    """The rows that break one check: their number, some of them by name, or why DuckDB could not find them.

    Attributes:
        smallest, largest: of all values that the check is about, also of those that do not break it.
    """

    rows: int = 0
    samples: list[str] = field(default_factory=list)
    error: str = ""
    smallest: float | None = None
    largest: float | None = None


def judge(build_db: Path, settings: Settings) -> Verdict:
    """Runs every check on the build database, which is opened read-only.

    Args:
        build_db: the build database, which is not open for writing.
        settings: the site's limits.

    Returns:
        The verdict. A check that cannot be judged (table or column missing) is a blocking failure with the reason.

    Raises:
        duckdb.IOException: the database is missing or locked.
    """
    from expectations.validator import validate  # Great Expectations takes seconds to import

    all_checks = checks(settings)
    with duckdb.connect(build_db, read_only=True) as con:
        con.execute("set TimeZone = 'UTC'")
        unexpected = {check.name: _unexpected_rows(con, check) for check in all_checks}
    results = validate(all_checks, {name: found.rows for name, found in unexpected.items() if not found.error})
    return Verdict([_of_suite(suite, all_checks, unexpected, results) for suite in SUITES])


def record(con: duckdb.DuckDBPyConnection, build_id: str, verdict: Verdict) -> None:
    """Write the verdict for this build: one row per suite (ops.verdict), one per check (ops.check_result)."""
    con.begin()
    con.execute(VERDICT_DDL)
    con.execute(RESULT_DDL)
    con.execute("delete from ops.verdict where build_id = ?", [build_id])
    for suite in verdict.suites:
        failures = json.dumps([asdict(failure) for failure in suite.failures], ensure_ascii=False)
        con.execute(
            "insert into ops.verdict values (?, ?, ?, ?, ?, ?, now())",
            [build_id, suite.suite, suite.passed, suite.checks_run, len(suite.failures), failures],
        )
        for result in suite.results:
            con.execute(f"insert into ops.check_result values ({', '.join('?' * 15)})", [build_id, *_recorded(result)])
    con.commit()


def recorded(con: duckdb.DuckDBPyConnection, build_id: str, settings: Settings) -> Verdict | None:
    """The verdict that was recorded for a build by these checks; None if there is none.

    Args:
        con: the build database; it must have been judged once.
        build_id: the build.
        settings: the site's limits, as for `judge`.
    """
    if not con.execute("select 1 from duckdb_tables() where schema_name || table_name = 'opscheck_result'").fetchall():
        return None
    suites = con.execute(
        "select suite, checks_run, failures::varchar from ops.verdict where build_id = ?", [build_id]
    ).fetchall()
    rows = con.execute(
        "select check_id, failing_rows, smallest, largest from ops.check_result where build_id = ?", [build_id]
    ).fetchall()
    found = {check_id: (n_rows, low, high) for check_id, n_rows, low, high in rows}
    all_checks = checks(settings)
    if {suite for suite, *_ in suites} != set(SUITES) or found.keys() != {check.id for check in all_checks}:
        return None
    failures = {suite: [Failure(**failure) for failure in json.loads(text)] for suite, _, text in suites}
    broken = {(failure.table, failure.column, failure.rule): failure for of in failures.values() for failure in of}

    def results(suite: Suite) -> list[CheckResult]:
        return [
            CheckResult(check, n_rows, low, high, broken.get((check.table, check.column, check.rule)))
            for check in all_checks
            if check.suite == suite
            for n_rows, low, high in [found[check.id]]
        ]

    n_run = {suite: n for suite, n, _ in suites}
    return Verdict([SuiteVerdict(suite, n_run[suite], failures[suite], results(suite)) for suite in SUITES])


def _recorded(result: CheckResult) -> tuple[object, ...]:
    """The columns of ops.check_result after its build; a check that could not be judged always blocks."""
    check, failure = result.check, result.failure
    severity = failure.severity if failure else check.severity
    subject = (check.id, check.suite, severity, check.table, check.column or None, check.rule)
    allowed = (check.values.low, check.values.high, check.values.unit or None) if check.values else (None, None, None)
    seen = (result.failing_rows, result.smallest, result.largest)
    return (*subject, failure is None, *seen, *allowed, failure.sentence if failure else None)


def _unexpected_rows(con: duckdb.DuckDBPyConnection, check: Check) -> Unexpected:
    try:
        query = con.execute(
            f"select count(*) over (), columns(*)::varchar from ({check.unexpected_rows}) order by all limit {SAMPLES}"
        )
        names = [column[0] for column in query.description[1:]]
        rows = query.fetchall()
        smallest, largest = con.execute(check.values.extremes).fetchall()[0] if check.values else (None, None)
    except duckdb.Error as error:
        return Unexpected(error=str(error))
    samples = [_sample(dict(zip(names, row[1:], strict=True))) for row in rows]
    return Unexpected(rows[0][0] if rows else 0, samples, smallest=smallest, largest=largest)


def _sample(row: Mapping[str, str | None]) -> str:
    if row.get("is_restricted") == "true":
        return NOT_NAMED
    return ", ".join(f"{name}={value}" for name, value in row.items() if name != "is_restricted")


def _of_suite(
    suite: Suite, all_checks: Sequence[Check], unexpected: Mapping[str, Unexpected], results: Mapping[str, Result]
) -> SuiteVerdict:
    of_suite = [
        _result(check, unexpected[check.name], results[check.name]) for check in all_checks if check.suite == suite
    ]
    return SuiteVerdict(suite, len(of_suite), [result.failure for result in of_suite if result.failure], of_suite)


def _result(check: Check, unexpected: Unexpected, result: Result) -> CheckResult:
    failure = None if result.success else _failure(check, unexpected, result)
    return CheckResult(check, result.unexpected_rows, unexpected.smallest, unexpected.largest, failure)


def _failure(check: Check, unexpected: Unexpected, result: Result) -> Failure:
    rows = result.unexpected_rows
    if rows is None:
        return _cannot_judge(check, unexpected.error or result.exception)
    examples = f", e.g. {'; '.join(unexpected.samples)}" if unexpected.samples else ""
    return Failure(
        table=check.table,
        column=check.column,
        rule=check.rule,
        severity=check.severity,
        rows=rows,
        samples=unexpected.samples,
        sentence=(
            f"{_subject(check)}: {check.rule}; {rows} {'row does' if rows == 1 else 'rows do'} not agree"
            f"{examples}. {check.advice}"
        ),
    )


def _cannot_judge(check: Check, reason: str) -> Failure:
    """Blocks at any severity: the table could not be read."""
    first_line = reason.strip().splitlines()[0]
    return Failure(
        table=check.table,
        column=check.column,
        rule=check.rule,
        severity="block",
        rows=0,
        samples=[],
        sentence=f"{_subject(check)}: could not be judged whether {check.rule}: {first_line}",
    )


def _subject(check: Check) -> str:
    return f"{check.table}.{check.column}" if check.column and "," not in check.column else check.table
