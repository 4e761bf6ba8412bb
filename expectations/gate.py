"""The gate: judges one build by all suites, words what does not hold for a person, and records the verdict.

Checks are data (suites.py), Great Expectations is behind validator.py. What follows from a verdict: orchestration.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import duckdb

from expectations.contract import TABLES
from expectations.suites import SUITES, Check, Expectation, OffenderCheck, RowCheck, Settings, Severity, Suite, checks
from expectations.validator import Broken, Frame, Validate, new_validator

SAMPLES = 5  # rows that a failure names
NOT_NAMED = "a row of the restricted audience, which is not named"

# What a frame calls the number that a table has for each of its rows.
ROW = "row_no"

# 120 vectors of 2048 rows are judged at a time, so that memory does not grow with the history.
VECTORS_PER_CHUNK = 120

# An expectation holds for every value of a column if it holds for these few. NaN is no value, and greater than all.
DECIDING_VALUES = {
    "ExpectColumnValuesToBeBetween": "[min({value}) filter (not isnan({value}::double)),"
    " max({value}) filter (not isnan({value}::double))]::double[]",
    "ExpectColumnValuesToBeInSet": "list(distinct {value})::varchar[]",
}

# How Great Expectations judges the checks that DuckDB counts.
NO_OFFENDERS = {"offenders": Expectation("ExpectColumnValuesToBeInSet", {"value_set": [0]})}

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


@dataclass(frozen=True)
class Failure:
    """A check that did not hold.

    Attributes:
        severity: ``block`` stops the publication, ``warn`` is told and published all the same.
        rows: number of offending rows.
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
class SuiteVerdict:
    """What one suite says of one build; ``checks`` are those that were run, for who lists them."""

    suite: Suite
    checks_run: int
    failures: list[Failure]
    checks: Sequence[Check] = ()

    @property
    def passed(self) -> bool:
        """Nothing that blocks."""
        return not any(failure.severity == "block" for failure in self.failures)


@dataclass(frozen=True)
class Verdict:
    """What all suites say of one build."""

    suites: list[SuiteVerdict]

    @property
    def passed(self) -> bool:
        """Every suite passed."""
        return all(suite.passed for suite in self.suites)


def judge(build_db: Path, settings: Settings) -> Verdict:
    """Runs every check on the build database, which is opened read-only.

    Args:
        build_db: the build database, which nobody has open for writing.
        settings: the site's limits.

    Returns:
        The verdict. A check that cannot be judged (table or column missing) is a blocking failure that says so.

    Raises:
        duckdb.IOException: the database is missing or locked.
    """
    all_checks = checks(settings)
    validate = new_validator()
    with duckdb.connect(build_db, read_only=True) as con:
        con.execute("set TimeZone = 'UTC'")
        failed = _judge_offenders(con, [check for check in all_checks if isinstance(check, OffenderCheck)], validate)
        failed |= _judge_rows(con, [check for check in all_checks if isinstance(check, RowCheck)], validate)
    return Verdict([_of_suite(suite, all_checks, failed) for suite in SUITES])


def record(con: duckdb.DuckDBPyConnection, build_id: str, verdict: Verdict) -> None:
    """Writes the verdict for this build into ops.verdict, one row per suite, in place of an earlier one."""
    con.execute(VERDICT_DDL)
    con.begin()
    con.execute("delete from ops.verdict where build_id = ?", [build_id])
    for suite in verdict.suites:
        failures = json.dumps([asdict(failure) for failure in suite.failures], ensure_ascii=False)
        con.execute(
            "insert into ops.verdict values (?, ?, ?, ?, ?, ?, now())",
            [build_id, suite.suite, suite.passed, suite.checks_run, len(suite.failures), failures],
        )
    con.commit()


def _of_suite(suite: Suite, all_checks: Sequence[Check], failed: Mapping[Check, Failure]) -> SuiteVerdict:
    of_suite = [check for check in all_checks if check.suite == suite]
    return SuiteVerdict(suite, len(of_suite), [failed[check] for check in of_suite if check in failed], of_suite)


def _judge_offenders(
    con: duckdb.DuckDBPyConnection, offender_checks: Sequence[OffenderCheck], validate: Validate
) -> dict[Check, Failure]:
    """One frame, a row for each check: the number of its offenders must be 0."""
    failed: dict[Check, Failure] = {}
    found: dict[int, Broken] = {}
    for number, check in enumerate(offender_checks):
        try:
            found[number] = _offenders(con, check)
        except duckdb.Error as error:
            failed[check] = _cannot_judge(check, str(error))
    counts = [broken.rows for broken in found.values()]
    frame = con.execute("select unnest(?) as number, unnest(?) as offenders", [list(found), counts]).df()
    broken = validate(frame, NO_OFFENDERS, ["number"]).get("offenders", Broken(0, []))
    if broken.reason:
        return failed | {check: _cannot_judge(check, broken.reason) for check in offender_checks if check not in failed}
    for sample in broken.samples:
        number = int(str(sample["number"]))
        failed[offender_checks[number]] = _failure(offender_checks[number], found[number])
    return failed


def _offenders(con: duckdb.DuckDBPyConnection, check: OffenderCheck) -> Broken:
    relation = con.execute(
        f"select count(*) over (), columns(*)::varchar from ({check.offenders}) order by all limit {SAMPLES}"
    )
    names = [column[0] for column in relation.description[1:]]
    rows = relation.fetchall()
    return Broken(rows[0][0] if rows else 0, [dict(zip(names, row[1:], strict=True)) for row in rows])


def _judge_rows(
    con: duckdb.DuckDBPyConnection, row_checks: Sequence[RowCheck], validate: Validate
) -> dict[Check, Failure]:
    """Nearly always the few values that decide are well; only where one is not, the rows that break a check are sought.

    What costs Great Expectations is a question, not the values: each is asked once, of all columns that it is about.
    """
    failed: dict[Check, Failure] = {}
    expected: list[Expectation] = []
    deciding: dict[str, list[object]] = defaultdict(list)
    column_of: dict[RowCheck, str] = {}
    for table, checks_of_table in _by_table(row_checks).items():
        try:
            values = _deciding_values(con, table, checks_of_table)
        except duckdb.Error as error:
            failed |= {check: _cannot_judge(check, str(error)) for check in checks_of_table}
            continue
        for check, values_of_check in zip(checks_of_table, values, strict=True):
            if check.expectation not in expected:
                expected.append(check.expectation)
            column_of[check] = f"value_{expected.index(check.expectation)}"
            deciding[column_of[check]] += values_of_check
    if not expected:
        return failed
    columns = ", ".join(f"unnest(?) as {name}" for name in deciding)
    frame = con.execute(f"select {columns}", list(deciding.values())).df()
    suspect = validate(frame, dict(zip(deciding, expected, strict=True)), [])
    suspects = [check for check, column in column_of.items() if column in suspect]
    for table, checks_of_table in _by_table(suspects).items():
        failed |= _seek_rows(con, table, checks_of_table, validate)
    return failed


def _by_table(row_checks: Sequence[RowCheck]) -> dict[str, list[RowCheck]]:
    of_table: dict[str, list[RowCheck]] = defaultdict(list)
    for check in row_checks:
        of_table[check.table].append(check)
    return of_table


def _deciding_values(
    con: duckdb.DuckDBPyConnection, table: str, row_checks: Sequence[RowCheck]
) -> Sequence[list[object]]:
    """For each check the values of its column that decide for all; none where the column has none."""
    values = [DECIDING_VALUES[check.expectation.kind].format(value=_value(check)) for check in row_checks]
    found = con.execute(f"select {', '.join(values)} from {table}").fetchone() or ()
    return [[value for value in of_check or () if value is not None] for of_check in found]


def _seek_rows(
    con: duckdb.DuckDBPyConnection, table: str, row_checks: Sequence[RowCheck], validate: Validate
) -> dict[Check, Failure]:
    """Chunk by chunk; of each chunk only what is checked is held, and the number of the row."""
    check_of = {f"value_{number}": check for number, check in enumerate(row_checks)}
    expected = {name: check.expectation for name, check in check_of.items()}
    broken: dict[str, Broken] = {}
    try:
        for frame in _frames(con, table, check_of):
            for name, found in validate(frame, expected, [ROW]).items():
                broken[name] = _together(broken.get(name), found)
        return {
            check_of[name]: _failure(check_of[name], _keyed(con, check_of[name], name, found))
            for name, found in broken.items()
        }
    except duckdb.Error as error:
        return {check: _cannot_judge(check, str(error)) for check in row_checks}


def _value(check: RowCheck) -> str:
    return f"({check.expression})" if check.expression else f'"{check.column}"'


def _frames(con: duckdb.DuckDBPyConnection, table: str, check_of: Mapping[str, RowCheck]) -> Iterator[Frame]:
    """At least one frame: an empty table is judged too."""
    columns = [f"{_value(check)} as {name}" for name, check in check_of.items()]
    rows = con.execute(f"select rowid as {ROW}, {', '.join(columns)} from {table}")
    yield (frame := rows.fetch_df_chunk(VECTORS_PER_CHUNK))
    while len(frame):
        frame = rows.fetch_df_chunk(VECTORS_PER_CHUNK)
        if len(frame):
            yield frame


def _together(earlier: Broken | None, later: Broken) -> Broken:
    if earlier is None:
        return later
    return Broken(earlier.rows + later.rows, [*earlier.samples, *later.samples], earlier.reason or later.reason)


def _keyed(con: duckdb.DuckDBPyConnection, check: RowCheck, name: str, found: Broken) -> Broken:
    """The first rows by the table's key: only rows that break a check are worth being named."""
    table = TABLES[check.table]
    keys = [f'"{key}"::varchar as "{key}"' for key in table.key]
    columns = ", ".join([*keys, f"({table.restricted})::varchar as is_restricted"])
    samples: list[Mapping[str, object]] = []
    for sample in found.samples[:SAMPLES]:
        row = con.execute(f"select {columns} from {check.table} where rowid = {sample[ROW]}")
        names = [column[0] for column in row.description]
        samples.append({check.column: sample[name]} | dict(zip(names, row.fetchall()[0], strict=True)))
    return Broken(found.rows, samples, found.reason)


def _failure(check: Check, found: Broken) -> Failure:
    if found.reason:
        return _cannot_judge(check, found.reason)
    samples = [_named(sample) for sample in found.samples[:SAMPLES]]
    examples = f", e.g. {'; '.join(samples)}" if samples else ""
    verb = "does" if found.rows == 1 else "do"
    return Failure(
        table=check.table,
        column=check.column,
        rule=check.rule,
        severity=check.severity,
        rows=found.rows,
        samples=samples,
        sentence=(
            f"{_subject(check)}: {check.rule}; {found.rows} {'row' if found.rows == 1 else 'rows'} {verb} not agree"
            f"{examples}. {check.advice}"
        ),
    )


def _named(sample: Mapping[str, object]) -> str:
    if sample.get("is_restricted") == "true":
        return NOT_NAMED
    return ", ".join(f"{name}={value}" for name, value in sample.items() if name != "is_restricted")


def _cannot_judge(check: Check, reason: str) -> Failure:
    """Blocks whatever the check's severity is: nothing is known about the table."""
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
