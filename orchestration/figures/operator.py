"""What a publication says of one operator: months, shares of limits, own procedures, and their class without names.

Only reading lives here. Addresses come from the restricted file, doses from the file that medical physics sees.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import duckdb

from orchestration.figures.habits import Habit, read_habit
from orchestration.figures.open_findings import (
    LIMIT_COLUMNS,
    OTHER_WINDOW,
    LimitShare,
    UnconfirmedLimit,
    read_unconfirmed_limits,
)
from orchestration.publication.published_files import open_published

# With fewer procedures, or of fewer other people, a colleague could recognise whose they are, whatever min_reference is
# (ICRP 135: rule of 20).
LEAST_PROCEDURES_OF_A_CLASS = 20
LEAST_OTHER_PEOPLE = 5


@dataclass(frozen=True, slots=True)
class Addressee:
    """An operator as operators.csv has them; no address, no letter."""

    operator_id: str
    name: str | None
    address: str | None
    language: str | None


@dataclass(frozen=True, slots=True)
class OperatorMonth:
    """One operator's calendar month; doses in µSv, None where not known.

    Attributes:
        with_badge: of the procedures, those in which the operator's badge was read.
        hp10_over_apron_usv: all that the electronic badges over the apron registered.
        effective_usv: with badge results below detection as 0.
        effective_high_usv: the same with them as the limit of detection; None where that is not stated.
        lens_usv: measured Hp(3), else its estimate.
        limit_share: the highest share of a limit (0 to 1) that the operator's dose has reached at as_of.
    """

    operator_id: str
    procedures: int
    with_badge: int
    hp10_over_apron_usv: float | None
    effective_usv: float | None
    effective_high_usv: float | None
    lens_usv: float | None
    limit_share: float | None


@dataclass(frozen=True, slots=True)
class OwnProcedure:
    """Hp(10), µSv, of the operator in one procedure."""

    procedure_type: str
    hp10_usv: float
    role_group: str = "first_operator"


@dataclass(frozen=True, slots=True)
class ClassQuartiles:
    """Hp(10), µSv, of a procedure class and role group over a year: all other operators together, without names."""

    procedure_type: str
    procedures: int
    q1_usv: float
    median_usv: float
    q3_usv: float
    role_group: str = "first_operator"


@dataclass(frozen=True, slots=True)
class Personal:
    """What one letter tells an operator beside the findings.

    Attributes:
        first: begin of the period of ``procedures``, in the month of ``month``.
        last: its end; if it is the last of its month, ``month`` is a whole one.
    """

    operator_id: str
    first: date
    last: date
    month: OperatorMonth | None
    limits: tuple[LimitShare, ...]
    procedures: tuple[OwnProcedure, ...]
    classes: tuple[ClassQuartiles, ...]
    habit: Habit | None = None
    unconfirmed_limits: tuple[UnconfirmedLimit, ...] = ()

    @property
    def is_whole_month(self) -> bool:
        """Whether the month is over."""
        return (self.last + timedelta(days=1)).day == 1


def page_folder(operator_id: str) -> str:
    """Name the folder of an operator's own page: the operator_id, or its hash where it is no plain name of a folder."""
    is_plain = re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}", operator_id)
    return operator_id if is_plain else hashlib.sha256(operator_id.encode()).hexdigest()[:32]


def read_addressees(restricted: Path) -> tuple[Addressee, ...]:
    """Read who is an operator from a published ``restricted.duckdb``, in the order of operator_id.

    Raises:
        duckdb.Error: the file is missing, or is not one of the output contract.
    """
    with open_published(restricted) as connection:
        return tuple(Addressee(*row) for row in connection.execute(_ADDRESSEES).fetchall())


def read_months(connection: duckdb.DuckDBPyConnection, month: date) -> tuple[OperatorMonth, ...]:
    """Read every operator's month, the highest dose over the apron first; ``month`` is its first day."""
    return tuple(OperatorMonth(*row) for row in connection.execute(_MONTHS, [month]).fetchall())


def read_personal(warehouse: Path, operator_id: str, first: date, last: date) -> Personal:
    """Read what a published ``warehouse.duckdb`` says of one operator from the first to the last date.

    Args:
        warehouse: the file that medical physics sees: no pregnancy, no restricted finding, no names.
        operator_id: whose.
        first: begin of the period of procedures; its month is ``month``.
        last: its end; the classes are those of the year that ends here.

    Raises:
        duckdb.Error: the file is missing, or is not one of the output contract.
    """
    with open_published(warehouse) as connection:
        months = {row.operator_id: row for row in read_months(connection, first.replace(day=1))}
        limits = connection.execute(_LIMITS, [operator_id]).fetchall()
        habit = read_habit(connection, operator_id)
        unconfirmed = read_unconfirmed_limits(connection, operator_id)
        procedures = connection.execute(_PROCEDURES, [operator_id, first, last]).fetchall()
        own_classes = {(procedure_type, role_group) for procedure_type, _, role_group in procedures}
        classes = read_classes(connection, operator_id, last)
    return Personal(
        operator_id,
        first,
        last,
        months.get(operator_id),
        tuple(LimitShare(*row) for row in limits),
        tuple(OwnProcedure(*row) for row in procedures),
        tuple(row for row in classes if (row.procedure_type, row.role_group) in own_classes),
        unconfirmed_limits=unconfirmed,
        habit=habit,
    )


def read_classes(connection: duckdb.DuckDBPyConnection, operator_id: str, last: date) -> tuple[ClassQuartiles, ...]:
    """Read the classes that an operator may be compared with, over the site's reference period to ``last``."""
    reference_days, least = connection.execute(_REFERENCE, [LEAST_PROCEDURES_OF_A_CLASS]).fetchall()[0]
    period = [last - timedelta(days=reference_days - 1), last]
    rows = connection.execute(_CLASSES, [operator_id, *period, least, LEAST_OTHER_PEOPLE]).fetchall()
    return tuple(ClassQuartiles(*row) for row in rows)


_ADDRESSEES = "select operator_id, operator_name, email, language from marts.dim_operator order by operator_id"

_MONTHS = """
    select
        operator_id, procedures, procedures_with_badge, hp10_over_apron_usv, effective_dose_low_usv,
        effective_dose_high_usv, coalesce(hp3_measured_usv, hp3_estimate_usv),
        (
            select max(warning_fraction) from marts.fct_operator_limit as shares
            where shares.operator_id = months.operator_id and dose_window <> 'pregnancy'
        )
    from marts.fct_operator_month as months
    where month = ?
    order by hp10_over_apron_usv desc nulls last, operator_id
"""

_LIMITS = f"""
    select {LIMIT_COLUMNS}
    from marts.fct_operator_limit as shares
    {OTHER_WINDOW}
    where shares.operator_id = ? and shares.dose_window <> 'pregnancy' and shares.dose_msv is not null
    order by
        list_position(['effective', 'effective_dose_equivalent', 'lens', 'extremity', 'uterus'], shares.quantity),
        list_position(
            ['calendar_year', 'rolling_12_months', 'rolling_5_years', 'month', 'career'], shares.dose_window
        ),
        shares.limit_msv, shares.limit_rule
"""

_PROCEDURES = """
    select procedure_type, hp10_usv, role_group
    from marts.fct_operator_procedure
    inner join marts.fct_procedure using (procedure_id)
    where operator_id = ? and procedure_date between ? and ? and hp10_usv is not null
    order by procedure_type, role_group, started_at, procedure_id
"""

# Length and least size of a reference set as they are in force at the site, for the rule that compares Hp(10).
_REFERENCE = """
    select
        cast(max(threshold_value) filter (name = 'reference_days') as integer),
        greatest(cast(max(threshold_value) filter (name = 'min_reference') as integer), ?)
    from marts.dim_alert_threshold
    where rule = 'procedure_dose'
"""

# The reference set of the contract without the operator's own rows: of a class and role group, without children.
_CLASSES = """
    select
        procedure_type, count(*), quantile_cont(hp10_usv, 0.25), quantile_cont(hp10_usv, 0.5),
        quantile_cont(hp10_usv, 0.75), role_group
    from marts.fct_operator_procedure
    inner join marts.fct_procedure using (procedure_id)
    where
        operator_id <> ? and hp10_usv is not null and procedure_type <> 'unclassified'
        and procedure_date between ? and ?
        and (patient_age_years is null or patient_age_years >= 18)
    group by procedure_type, role_group
    having count(*) >= ? and count(distinct operator_id) >= ?
    order by procedure_type, role_group
"""
