"""What one publication says to the medical physicist: figures and open findings, read from the published file only.

Only reading lives here; findings are read by findings.py, persons by personal.py. What is new and who is told is
decided in letters/delivery.py, how it is worded in letters/physicist.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from orchestration.figures.input_counts import InputCount, read_input_counts
from orchestration.figures.open_findings import (
    AUDIENCES,
    Finding,
    UnconfirmedLimit,
    read_findings,
    read_unconfirmed_limits,
)
from orchestration.figures.operator import OperatorMonth, read_months
from orchestration.publication.published_files import open_published


@dataclass(frozen=True, slots=True)
class Balance:
    """What became of Hp(10) that electronic badges registered, in microsievert, exact.

    What hourly totals repeat of the same badge's samples is counted once, passive badge periods not at all.
    """

    linked_usv: Decimal = Decimal(0)
    apportioned_usv: Decimal = Decimal(0)
    unlinked_usv: Decimal = Decimal(0)

    @property
    def registered_usv(self) -> Decimal:
        """All of it."""
        return self.linked_usv + self.apportioned_usv + self.unlinked_usv

    @property
    def linked_share(self) -> Decimal | None:
        """Share (0 to 1) that was linked to a procedure by measurement; None if nothing was registered."""
        return self.linked_usv / self.registered_usv if self.registered_usv else None

    @property
    def parts(self) -> tuple[float, ...]:
        """Shares (0 to 1) that were linked, apportioned and not linked; nothing where nothing was registered."""
        whole = self.registered_usv or Decimal(1)
        return tuple(float(part / whole) for part in (self.linked_usv, self.apportioned_usv, self.unlinked_usv))

    def __add__(self, other: Balance) -> Balance:
        return Balance(
            self.linked_usv + other.linked_usv,
            self.apportioned_usv + other.apportioned_usv,
            self.unlinked_usv + other.unlinked_usv,
        )


@dataclass(frozen=True, slots=True)
class DayBalance:
    """The balance of one local date, of the staff's badges or of the C-arms' reference badges."""

    day: date
    is_c_arm: bool
    balance: Balance


@dataclass(frozen=True, slots=True)
class UnlinkedReason:
    """Unlinked Hp(10) of electronic badges with one reason of the contract."""

    reason: str
    records: int
    unlinked_usv: Decimal


@dataclass(frozen=True, slots=True)
class QuarantinedFile:
    """A file that was not loaded, and why."""

    path: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class UnreadableDose:
    """A study that states a dose which cannot be read, with what is wrong in each of its reports."""

    day: date | None
    room_id: str
    accession_number: str | None
    messages: str


@dataclass(frozen=True, slots=True)
class ChangedThreshold:
    """A threshold that site.yaml changes, or one of a rule that it switches off; values in the unit."""

    rule: str
    name: str
    value: float
    default: float
    unit: str
    is_enabled: bool


@dataclass(frozen=True, slots=True)
class Advice:
    """The advice of one code in one language; ``is_of_site``: the site wrote it."""

    sentence: str
    is_of_site: bool


@dataclass(frozen=True, slots=True)
class HighShareClass:
    """A class of which half of the doses are above the lowest threshold of dose_to_c_arm, in percent of the C-arm's."""

    procedure_type: str
    role_group: str
    n: int
    median_percent: float


@dataclass(frozen=True, slots=True)
class MonthSummary:
    """The last whole calendar month up to as_of; ``findings`` counts those of its dates by rule, open or not."""

    month: date
    procedures: int
    operators: tuple[OperatorMonth, ...]
    findings: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Publication:
    """The figures and open findings of one published warehouse.

    Attributes:
        advice: worded by (advice code, language).
        class_names: names of the procedure classes, by language and class.
        high_share_classes: of the quarter that ends with the last whole month, if one does.
    """

    run_id: str
    as_of: date
    checks_passed: int
    build_id: str
    procedures: int
    operators: int
    rooms: int
    first_date: date | None
    last_date: date | None
    days: tuple[DayBalance, ...]
    unlinked: tuple[UnlinkedReason, ...]
    quarantined: tuple[QuarantinedFile, ...]
    findings: tuple[Finding, ...]
    advice: Mapping[tuple[str, str], Advice] = field(default_factory=dict)
    changed_thresholds: tuple[ChangedThreshold, ...] = ()
    last_month: MonthSummary | None = None
    input_counts: tuple[InputCount, ...] = ()
    unreadable: tuple[UnreadableDose, ...] = ()
    class_names: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    high_share_classes: tuple[HighShareClass, ...] = ()
    unconfirmed_limits: tuple[UnconfirmedLimit, ...] = ()

    @property
    def staff(self) -> Balance:
        """Balance of all badges that are not a C-arm's, unassigned badges too."""
        return _total(day.balance for day in self.days if not day.is_c_arm)

    @property
    def c_arm(self) -> Balance:
        """Balance of the C-arms' reference badges."""
        return _total(day.balance for day in self.days if day.is_c_arm)


def read_publication(warehouse: Path) -> Publication:
    """Read a published ``warehouse.duckdb``, read-only.

    Raises:
        duckdb.Error: the file is missing, or is not one of the output contract.
    """
    with open_published(warehouse) as connection:
        run_id, as_of, checks_passed, build_id = _one(connection, _PUBLICATION)
        procedures, operators, rooms, first_date, last_date = _one(connection, _FIGURES)
        return Publication(
            run_id=run_id,
            as_of=as_of,
            checks_passed=checks_passed,
            build_id=build_id,
            procedures=procedures,
            operators=operators,
            rooms=rooms,
            first_date=first_date,
            last_date=last_date,
            days=read_days(connection),
            unlinked=tuple(UnlinkedReason(*row) for row in _rows(connection, _UNLINKED)),
            quarantined=tuple(QuarantinedFile(*row) for row in _rows(connection, _QUARANTINED)),
            unreadable=tuple(UnreadableDose(*row) for row in _rows(connection, _UNREADABLE)),
            findings=read_findings(connection, AUDIENCES),
            advice=read_advice(connection),
            changed_thresholds=tuple(ChangedThreshold(*row) for row in _rows(connection, _CHANGED_THRESHOLDS)),
            last_month=_read_month(connection, last_whole_month(as_of)),
            input_counts=read_input_counts(connection),
            class_names=read_class_names(connection),
            high_share_classes=_read_high_share_classes(connection, last_whole_month(as_of)),
            unconfirmed_limits=read_unconfirmed_limits(connection),
        )


def read_days(connection: duckdb.DuckDBPyConnection) -> tuple[DayBalance, ...]:
    """Read the balance of each local date, of the staff's badges and of the C-arms'."""
    return tuple(DayBalance(day, c_arm, Balance(*doses)) for day, c_arm, *doses in _rows(connection, _DAYS))


def read_advice(connection: duckdb.DuckDBPyConnection) -> dict[tuple[str, str], Advice]:
    """Read what is advised, by advice code and language."""
    return {(code, language): Advice(*row) for code, language, *row in _rows(connection, _ADVICE)}


def read_class_names(connection: duckdb.DuckDBPyConnection) -> dict[str, dict[str, str]]:
    """Read the names of the procedure classes, by language and class."""
    rows = _rows(connection, "select procedure_class, name_en, name_fr, name_es from marts.dim_procedure_class")
    return {
        language: {code: names[column] for code, *names in rows if names[column]}
        for column, language in enumerate(("en", "fr", "es"))
    }


def last_whole_month(as_of: date) -> date:
    """Return the first day of the last calendar month that is over at the end of a date."""
    return ((as_of + timedelta(days=1)).replace(day=1) - timedelta(days=1)).replace(day=1)


def month_end(month: date) -> date:
    """Return the last day of a calendar month, given its first."""
    return (month + timedelta(days=31)).replace(day=1) - timedelta(days=1)


def _read_month(connection: duckdb.DuckDBPyConnection, month: date) -> MonthSummary:
    period = [month, month_end(month)]
    (procedures,) = connection.execute(_MONTH_PROCEDURES, period).fetchone() or (0,)
    findings = connection.execute(_MONTH_FINDINGS, [*period, list(AUDIENCES)]).fetchall()
    return MonthSummary(month, procedures, read_months(connection, month), tuple(findings))


def _read_high_share_classes(connection: duckdb.DuckDBPyConnection, month: date) -> tuple[HighShareClass, ...]:
    """Read the classes with a high share of the C-arm's dose in the quarter that ends with a month, if one does."""
    if month.month % 3:
        return ()
    rows = connection.execute(_HIGH_SHARE_CLASSES, [month]).fetchall()
    return tuple(HighShareClass(*row) for row in rows)


def _total(balances: Iterable[Balance]) -> Balance:
    return sum(balances, Balance())


# Rows of DuckDB are untyped tuples; the queries below give them the shape of the classes above.
def _rows(connection: duckdb.DuckDBPyConnection, query: str) -> list[tuple[Any, ...]]:
    return connection.execute(query).fetchall()


def _one(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    (row,) = _rows(connection, query)
    return row


# The history of publications is carried on from one to the next: the last one is this one.
_PUBLICATION = """
    select run_id, as_of, checks_passed, build_id
    from ledger.publication
    order by rowid desc  -- its own row was added last; by its time it need not be the newest: a clock may go back
    limit 1
"""

_FIGURES = """
    select
        count(*),
        (select count(distinct operator_id) from marts.fct_operator_procedure),
        count(distinct room_id) filter (room_id <> 'unknown'),
        min(procedure_date),
        max(procedure_date)
    from marts.fct_procedure
"""

# A source has one layout: one that has passive rows has nothing else, and is in no linkage rate (contract, "ledger").
_PASSIVE_SOURCES = "select source_id from ledger.unlinked_dose where reason = 'passive_period'"

_DAYS = f"""
    select
        measured_date,
        exists (
            from marts.dim_dosimeter as badge
            where badge.dosimeter_serial = dose_balance.dosimeter_serial
                and badge.worn_at = 'c_arm'
                and coalesce(list_contains(string_split(badge.source_id, ' '), dose_balance.source_id), true)
                and (badge.valid_from is null or badge.valid_from <= measured_date)
                and (badge.valid_to is null or badge.valid_to >= measured_date)
        ) as is_c_arm,
        sum(linked_event_usv + linked_window_usv + linked_session_usv + linked_vendor_usv + linked_manual_usv),
        sum(apportioned_usv),
        sum(unlinked_usv)
    from ledger.dose_balance
    where quantity = 'hp10' and source_id not in ({_PASSIVE_SOURCES})
    group by all
    order by measured_date, is_c_arm
"""

_UNLINKED = f"""
    select reason, count(*), sum(hp10_usv) as unlinked_usv
    from ledger.unlinked_dose
    where hp10_usv is not null and source_id not in ({_PASSIVE_SOURCES})
    group by reason
    having sum(hp10_usv) > 0
    order by unlinked_usv desc, reason
"""

_QUARANTINED = "select path, reason from ledger.file where status = 'quarantined' order by load_seq desc"

_UNREADABLE = """
    select
        min(report_date) as day,
        min(room_id),
        min(accession_number),
        string_agg(distinct message, '; ' order by message)
    from ledger.unreadable_dose
    group by coalesce(study_instance_uid, path)
    order by day desc nulls first, min(load_seq) desc
"""

_ADVICE = "select advice_code, language, sentence, is_of_site from marts.dim_advice"

_MONTH_PROCEDURES = "select count(*) from marts.fct_procedure where procedure_date between ? and ?"

_MONTH_FINDINGS = """
    select rule, count(*)
    from alerts.alert
    where occurred_on between ? and ? and audience in (select unnest(?))
    group by rule
    order by count(*) desc, rule
"""

_HIGH_SHARE_CLASSES = """
    select procedure_type, role_group, n, median
    from marts.fct_class_quarter
    where quarter = date_trunc('quarter', cast(? as date)) and is_above_limit
    order by median desc, procedure_type, role_group
"""

_CHANGED_THRESHOLDS = """
    select rule, name, threshold_value, default_value, unit, is_enabled
    from marts.dim_alert_threshold
    where is_changed or not is_enabled
    order by rule, name
"""
