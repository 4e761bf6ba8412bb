"""The tables that the publication itself writes: columns, types and what they mean, for the tables of no dbt model."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from ingest.raw.sql_text import literal


@dataclass(frozen=True)
class OwnTable:
    """One table.

    Attributes:
        meaning: becomes the comment of the table.
        columns: name -> (SQL type, comment).
    """

    meaning: str
    columns: dict[str, tuple[str, str]]

    def create(self, con: duckdb.DuckDBPyConnection, name: str) -> None:
        """Create the empty table with its comments."""
        con.execute(
            f"create table {name} ({', '.join(f'{column} {self.columns[column][0]}' for column in self.columns)})"
        )
        con.execute(f"comment on table {name} is {literal(self.meaning)}")
        for column, (_, comment) in self.columns.items():
            con.execute(f"comment on column {name}.{column} is {literal(comment)}")


PUBLICATION = OwnTable(
    "One row per publication, the last row is this one: of what input, by what product, as of which day.",
    {
        "run_id": ("varchar", "Key: name of the publication and of its folder."),
        "published_at": ("timestamptz", "Instant of the publication, UTC."),
        "as_of": ("date", "Local date up to which records count."),
        "contract_version": ("integer", "Version of the output contract."),
        "product_version": ("varchar", "Version of DoseLedger."),
        "git_commit": ("varchar", "Commit of the code; NULL where it does not run from a clone."),
        "key_id": ("varchar", "Which key the pseudonyms were made with: a hash of it, never the key."),
        "checks_passed": ("integer", "Number of checks of the gate that passed."),
        "rows_by_table": ("varchar", "Rows of each published table as medical physics sees it, JSON."),
        "previous_run_id": ("varchar", "The publication that was current before; NULL for the first."),
        "build_id": ("varchar", "Which build of the tables was published."),
        "input_fingerprint": ("varchar", "Hash of all input, settings and code of the build; equal means nothing new."),
    },
)

# The audience is not in the contract's list: without it a withdrawn restricted finding would look like any other.
ALERT_HISTORY = OwnTable(
    "One row per finding that a publication ever had: when it appeared, was last there, and was withdrawn.",
    {
        "alert_id": ("varchar", "Key: the finding, as in alerts.alert."),
        "first_run": ("varchar", "run_id of the publication in which it first appeared."),
        "last_run": ("varchar", "run_id of the last publication that had it."),
        "withdrawn_run": (
            "varchar",
            "run_id of the first publication without it; NULL while it is there.",
        ),
        "first_value": ("double", "Value at its first appearance, in the unit of the finding."),
        "first_threshold": ("double", "Threshold at its first appearance, in the unit of the finding."),
        "audience": ("varchar", "Who sees it: operator, medical_physics or restricted."),
    },
)

CHECK_RESULT = OwnTable(
    "One row per publication and check of the gate: what was found in the build that was published.",
    {
        "run_id": ("varchar", "Key: name of the publication."),
        "check_id": ("varchar", "Key: short name of the check; the same in every publication while its rule is."),
        "suite": ("varchar", "Suite of the check: structural, logical or plausible."),
        "severity": ("varchar", "block: a failure stops the publication; warn: it is reported and published."),
        "table_name": ("varchar", "Table that the check is about, with its schema."),
        "column_name": ("varchar", "Column that it is about, several separated by commas; NULL for the table itself."),
        "rule": ("varchar", "What holds for every row of a believable table."),
        "passed": ("boolean", "Whether no row breaks the rule."),
        "failing_rows": ("bigint", "Number of rows that break the rule; none are allowed."),
        "smallest": ("double", "Smallest value of the build, where the rule bounds a value; in the unit of the row."),
        "largest": ("double", "Largest value of the build, where the rule bounds a value; in the unit of the row."),
        "allowed_low": ("double", "Smallest value that the rule allows; NULL: no lower bound; in the unit of the row."),
        "allowed_high": ("double", "Largest value that the rule allows; NULL: no bound; in the unit of the row."),
        "unit": ("varchar", "Unit of the four values before it; NULL for a ratio and where there is no value."),
        "sentence": ("varchar", "Of a check that does not hold: which rows, and what to do; NULL where it holds."),
    },
)
