"""What a check is: one rule about the built tables, the query for the rows that break it, and words for its reader.

Data only. The checks are in structural.py, logical.py and plausible.py; gate.py judges them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal, get_args

from expectations.contract import TABLES

Suite = Literal["structural", "logical", "plausible"]
Severity = Literal["block", "warn"]
SUITES: tuple[Suite, ...] = get_args(Suite)
QUESTIONS: dict[Suite, str] = {
    "structural": "Is everything there that the output contract promises: tables, columns, types, keys, words?",
    "logical": "Do rows and tables agree with each other; does every microsievert have one disposition?",
    "plausible": "Can it be true: quantities that a patient, a badge or a tube can have; few files in quarantine?",
}

CONTRACT = "output contract v1"
CONTRACT_2 = "contract, version 2"
OUR_FAULT = "A fault of this product, not of the data: keep the old publication, report it with this sentence."
LOST = "a figure is counted twice, lost, or attributed to the wrong person"


@dataclass(frozen=True)
class Values:
    """The values that a check is about, where it is about values, and those that are allowed.

    Attributes:
        extremes: SQL select of one row, the smallest and the largest value of the build.
        low, high: the smallest and the largest that are allowed; None = there is no such bound.
        unit: empty for a ratio.
    """

    extremes: str
    low: float | None
    high: float
    unit: str


@dataclass(frozen=True, eq=False, kw_only=True)
class Check:
    """A rule, and the rows that break it.

    Attributes:
        table: the table it is about, with its schema.
        column: the column (or comma-separated columns) it is about.
        rule: one sentence that holds for every row of a believable table.
        risk: what would go wrong for a reader if the rule were broken unnoticed.
        advice: what the reader of a failure does about it.
        source: where the rule or the bound comes from.
        family: what checks with the same question are called together; empty = the rule states it.
        unexpected_rows: SQL select of the columns that name a row that breaks the rule; where one of them is the
            boolean ``is_restricted``, such a row is counted and never named.
        values: what the rule bounds; None where it is no bound of a value.
    """

    suite: Suite
    severity: Severity
    table: str
    column: str
    rule: str
    risk: str
    advice: str
    source: str
    family: str = ""
    unexpected_rows: str
    values: Values | None = None

    @property
    def id(self) -> str:
        """Short name that stays the same from build to build, as long as the rule does."""
        return hashlib.sha256(self.name.encode()).hexdigest()[:12]

    @property
    def name(self) -> str:
        """Names the check among all checks."""
        return f"{self.suite}: {self.table}.{self.column}: {self.rule}"


def rows_where(broken: str, table: str, column: str, expression: str | None = None) -> str:
    """SQL of the rows of a table in which a column breaks a rule, named by its value and the table's key.

    Args:
        broken: SQL predicate of ``column``; a row for which it is NULL does not break the rule.
        table: the table, with its schema.
        column: the column that the rule is about.
        expression: SQL of the column where the table has none of this name.
    """
    keys = TABLES[table].key + TABLES[table].optional_key
    names = ", ".join(f'"{key}"' for key in keys if key != column)
    value = f'{expression} as "{column}"' if expression else f'"{column}"'
    return (
        f"select {value}, {names}{', ' if names else ''}({TABLES[table].restricted}) as is_restricted"
        f" from {table} where {broken}"
    )


def extremes_of(table: str, column: str, expression: str | None = None) -> str:
    """SQL of the smallest and the largest value of a column, without the rows of the restricted audience."""
    value = expression or f'"{column}"'
    # What is not a number is among the rows that break the rule, and is neither small nor large.
    return (
        f'select min("value") filter (not isnan("value")), max("value") filter (not isnan("value"))'
        f' from (select ({value})::double as "value" from {table} where not ({TABLES[table].restricted}))'
    )
