"""One operator's habit: what explains the dose of the last procedures, and the protection against colleagues.

Only reading and counting are here; published files only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import duckdb

LAST_PROCEDURES = 20
LEAST_PROCEDURES = 10  # fewer are no habit, as in the rule persistent
LEAST_SHARE = 0.25  # of the last procedures that have the cause
# What is no cause by itself.
NO_CAUSE = ("none", "mixed")


@dataclass(frozen=True, slots=True)
class Protection:
    """Protection factor of the last 12 months: own share of the C-arm's dose against that of colleagues.

    Attributes:
        is_enough: whether there are enough procedures for the ratio and its interval to be shown.
        above_usual_usv: part of ``hp10_usv`` above what the usual protection would have given; None where chance may
            explain the difference.
    """

    role_group: str
    n: int
    ratio: float
    low: float | None
    high: float | None
    hp10_usv: float
    above_usual_usv: float | None
    is_enough: bool


@dataclass(frozen=True, slots=True)
class Habit:
    """Main causes of an operator's last explained procedures, and the protection of a year by role group.

    Attributes:
        explained: number of the last procedures that can be compared, at most 20.
        above_usual: how many of them were clearly above the usual dose.
        cause: the most frequent cause, if a quarter of them has it.
        of_cause: how many have it.
    """

    explained: int
    above_usual: int
    cause: str | None
    of_cause: int
    protections: tuple[Protection, ...] = ()


def least_of_a_ratio(connection: duckdb.DuckDBPyConnection) -> int:
    """Read from how many procedures on a protection ratio is shown."""
    (least,) = connection.execute(_LEAST).fetchall()[0]
    return int(least)


def read_habit(connection: duckdb.DuckDBPyConnection, operator_id: str) -> Habit | None:
    """Read the habit of one operator; None where fewer than 10 procedures of theirs are explained."""
    causes = [cause for (cause,) in connection.execute(_CAUSES, [operator_id, LAST_PROCEDURES]).fetchall()]
    return habit_of(causes, read_protections(connection, operator_id))


def read_protections(connection: duckdb.DuckDBPyConnection, operator_id: str) -> tuple[Protection, ...]:
    """Read the protection of a year by role group, the group with most procedures first."""
    return tuple(Protection(*row) for row in connection.execute(_PROTECTIONS, [operator_id]).fetchall())


def habit_of(causes: Sequence[str], protections: tuple[Protection, ...] = ()) -> Habit | None:
    """Count the causes of the last procedures, the latest first; of two equally frequent ones it names the later."""
    if len(causes) < LEAST_PROCEDURES:
        return None
    counts = Counter(cause for cause in causes if cause not in NO_CAUSE)
    cause, of_cause = counts.most_common(1)[0] if counts else (None, 0)
    if of_cause < LEAST_SHARE * len(causes):
        cause = None
    return Habit(len(causes), sum(each != "none" for each in causes), cause, of_cause, protections)


_CAUSES = """
    select main_cause
    from marts.fct_dose_explanation
    inner join marts.fct_procedure using (procedure_id)
    where operator_id = ?
    order by procedure_date desc, started_at desc, procedure_id desc
    limit ?
"""

_LEAST = "select value from marts.dim_comparison_threshold where name = 'min_protection_rows'"

_PROTECTIONS = f"""
    select
        role_group, n, protection_ratio, ci_low, ci_high, hp10_usv, above_usual_usv,
        n >= ({_LEAST}) and ci_low is not null and ci_high is not null
    from marts.fct_operator_protection
    where operator_id = ? and period = 'rolling_12_months'
    order by n desc, role_group
"""
