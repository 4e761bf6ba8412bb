"""One person's doses by year, month and wear period, against the limits: what a dose passport or register asks for.

Read from a published warehouse.duckdb; the words and the layout are those of the page and of the CSV file.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields
from datetime import date, timedelta
from decimal import Decimal
from itertools import groupby
from zoneinfo import ZoneInfo

import duckdb

USV_PER_MSV = 1000
# Quantity -> columns of fct_operator_month with the dose and with what it is at most; None: nothing is below detection.
MONTHLY = {
    "effective": ("effective_dose_low_usv", "effective_dose_high_usv"),
    "hp10_over_apron_of_record": ("over_apron_of_record_usv", None),
    "hp10_over_apron_warning": ("hp10_over_apron_warning_usv", "hp10_over_apron_warning_high_usv"),
    "hp10_under_apron_of_record": ("under_apron_of_record_usv", None),
    "hp3_measured": ("hp3_measured_usv", None),
    "hp3_estimate": ("hp3_estimate_usv", None),
    "hp007_higher_hand": ("hp007_hand_usv", None),
    "effective_other_employers": ("external_effective_usv", None),
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the record; doses in mSv.

    Attributes:
        kind: ``year``, ``month``, ``wear_period`` (a result of a passive badge) or ``limit``.
        begin, end: local dates, both included.
        quantity: a key of ``MONTHLY``, ``hp10`` of a wear period, or the quantity of a limit.
        dose_msv: below detection counts as 0; None: the result is below detection, or nothing is known.
        high_msv: below detection as the limit of detection; None: a source does not state it, or nothing is below.
        source: passive, electronic, mixed or external; of a limit where it is set.
        n_below_detection: results below detection of the period, of any badge; stated beside the effective dose only,
            for nothing published tells which other quantity they concern.
        dosimeter_serial, worn_at: of a wear period.
        limit_msv, limit_window, limit_status: of a limit.
    """

    kind: str
    begin: date
    end: date
    quantity: str
    dose_msv: float | None
    high_msv: float | None = None
    source: str | None = None
    n_below_detection: int | None = None
    dosimeter_serial: str | None = None
    worn_at: str | None = None
    limit_msv: float | None = None
    limit_window: str | None = None
    limit_status: str | None = None

    @property
    def is_below_detection(self) -> bool:
        """Tell whether results below detection are part of the dose."""
        return bool(self.n_below_detection)


COLUMNS = tuple(field.name for field in fields(Entry))


def read_dose_record(connection: duckdb.DuckDBPyConnection, operator_id: str, zone: ZoneInfo) -> tuple[Entry, ...]:
    """Read the record of one person, years first, then months, wear periods and limits.

    Args:
        connection: a published warehouse.duckdb.
        operator_id: whose.
        zone: of the site, in whose dates wear periods are.
    """
    months = _months(connection, operator_id)
    return (*_years(months), *months, *_wear_periods(connection, operator_id, zone), *_limits(connection, operator_id))


def cells(entry: Entry) -> tuple[str, ...]:
    """Write an entry as cells of a CSV file; what is not known or does not apply is empty."""
    return tuple(
        "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value) for value in astuple(entry)
    )


def _months(connection: duckdb.DuckDBPyConnection, operator_id: str) -> list[Entry]:
    columns = sorted({column for pair in MONTHLY.values() for column in pair if column})
    found = connection.execute(
        f"select month, last_day(month), dose_source, n_below_detection, {', '.join(columns)}"
        " from marts.fct_operator_month where operator_id = ? order by month",
        [operator_id],
    ).fetchall()
    entries = []
    for begin, end, source, n_below, *doses in found:
        of_column = dict(zip(columns, doses, strict=True))
        for quantity, (low, high) in MONTHLY.items():
            if of_column[low] is not None:
                highest = None if high is None else of_column[high]
                below = n_below if quantity == "effective" else None
                entries.append(Entry("month", begin, end, quantity, _msv(of_column[low]), _msv(highest), source, below))
    return entries


def _years(months: list[Entry]) -> list[Entry]:
    ordered = sorted(months, key=lambda entry: (entry.begin.year, list(MONTHLY).index(entry.quantity)))
    return [_sum(list(group)) for _, group in groupby(ordered, key=lambda entry: (entry.begin.year, entry.quantity))]


def _sum(months: list[Entry]) -> Entry:
    highs = [month.high_msv for month in months]
    sources = {month.source for month in months if month.source}
    return Entry(
        "year",
        date(months[0].begin.year, 1, 1),
        date(months[0].begin.year, 12, 31),
        months[0].quantity,
        sum(month.dose_msv or 0.0 for month in months),
        None if None in highs else sum(high or 0.0 for high in highs),
        sources.pop() if len(sources) == 1 else "mixed" if sources else None,
        sum(month.n_below_detection or 0 for month in months) if months[0].quantity == "effective" else None,
    )


def _wear_periods(connection: duckdb.DuckDBPyConnection, operator_id: str, zone: ZoneInfo) -> list[Entry]:
    return [
        Entry(
            "wear_period",
            started_at.astimezone(zone).date(),
            (ended_at.astimezone(zone) - timedelta(minutes=1)).date(),
            "hp10",
            None if reason == "below_detection" else _msv(dose),
            source=source_id,
            n_below_detection=int(reason == "below_detection"),
            dosimeter_serial=serial,
            worn_at=worn_at,
        )
        for serial, source_id, started_at, ended_at, dose, reason, worn_at in connection.execute(
            _WEAR_PERIODS, [operator_id]
        ).fetchall()
    ]


def _limits(connection: duckdb.DuckDBPyConnection, operator_id: str) -> list[Entry]:
    return [
        Entry(
            "limit",
            begin,
            end,
            quantity,
            low,
            high,
            citation,
            limit_msv=limit,
            limit_window=window,
            limit_status=status,
        )
        for begin, end, quantity, low, high, citation, limit, window, status in connection.execute(
            _LIMITS, [operator_id]
        ).fetchall()
    ]


def _msv(usv: float | Decimal | None) -> float | None:
    return None if usv is None else float(usv) / USV_PER_MSV


_WEAR_PERIODS = """
    select
        doses.dosimeter_serial,
        doses.source_id,
        doses.started_at,
        doses.ended_at,
        doses.hp10_usv,
        doses.reason,
        any_value(badges.worn_at)
    from ledger.unlinked_dose as doses
    left join marts.dim_dosimeter as badges
        on
            doses.dosimeter_serial = badges.dosimeter_serial
            and doses.operator_id = badges.operator_id
            and cast(doses.started_at as date) <= coalesce(badges.valid_to, date '9999-12-31')
            and cast(doses.ended_at as date) >= badges.valid_from
    where doses.operator_id = ? and doses.reason in ('passive_period', 'below_detection') and doses.ended_at is not null
    group by all
    order by doses.started_at, doses.dosimeter_serial
"""

_LIMITS = """
    select
        window_begin,
        window_end,
        quantity,
        dose_low_msv,
        dose_high_msv,
        limit_citation,
        limit_msv,
        dose_window,
        limit_status
    from marts.fct_operator_limit
    where operator_id = ?
    order by quantity, dose_window, limit_rule
"""
