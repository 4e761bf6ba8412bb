"""Score of a publication's links against a synthetic hospital's truth, beside that of a plain time-window join.

Reads both, counts correct links and prints the table. Linking is in dbt_project, the
truth is written by synthetic_hospital. A real site has no truth folder; see `ledger.unlinked_dose` there.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import duckdb
from rich.table import Table

from ingest.problems import UserError
from ingest.pseudonymise import load_key
from ingest.raw.build_db import read_build
from ingest.raw.sql_text import literal
from ingest.site.config import load_site
from orchestration.publication.history import current_publication

TRUTH_TABLES = ("procedure", "operator_procedure", "operator_event", "clock", "total")


@dataclass(frozen=True, slots=True)
class OffsetError:
    """Absolute error of clock offsets over room-days, s; NULL offsets count as 0, as a join without them would."""

    room_days: int
    median_s: float | None
    p95_s: float | None
    max_s: float | None


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How right one way of linking is; shares from 0 to 1, None where there is nothing to judge.

    Attributes:
        right_share: sample dose on the right (operator, procedure), or rightly on none, because its procedure
            has no report.
        wrong_share: registered sample dose on a wrong (operator, procedure).
        unlinked_share: registered sample dose on none although its procedure has a report.
        right_event_share: sample dose of procedures with a report that is on the right irradiation event.
        row_precision, row_recall: of (operator, procedure) pairs with sample dose.
        offset_error: room-days on which the C-arm reference badge lived; offset_error_all: all room-days.
    """

    right_share: float | None
    wrong_share: float | None
    unlinked_share: float | None
    right_event_share: float | None
    row_precision: float | None
    row_recall: float | None
    offset_error: OffsetError
    offset_error_all: OffsetError


@dataclass(frozen=True, slots=True)
class Score:
    """The publication beside a plain join, and whether its ledger is whole.

    Attributes:
        registered_usv: dose in all exported samples of operators' badges.
        measured_precision, measured_recall: of published rows with status `measured`, whatever the badge's kind.
        imbalance_usv: sum of |imbalance| over ledger.dose_balance; must be 0.
        ledger_rows_wrong: rows of ledger.dose_balance whose ingested or covered dose is not the truth's, or that the
            truth has and the ledger has not.
    """

    run_id: str
    registered_usv: Decimal
    published: Accuracy
    plain_join: Accuracy
    measured_precision: float | None
    measured_recall: float | None
    imbalance_usv: Decimal
    ledger_rows_wrong: int


def score_site(root: Path, truth: Path) -> Score:
    """Score the current publication of a site.

    The plain join gets everything but clocks: the publication's procedures, the versions that count, badge assignments,
    corrections and the hubs' rooms. It puts a sample, at its time as read, to the procedure of its hub's room (of any
    room if the export names no hub) within whose [first event - 60 s, last event + 60 s] it lies, to the earliest of
    several; and there to the event during which it lies.

    Args:
        root: the site folder.
        truth: folder of truth_*.csv, as ``doseledger demo`` writes it.

    Raises:
        SiteError: the site cannot be read.
        UserError: nothing is published, or a truth file is missing or not readable.
    """
    site = load_site(root)
    current = current_publication(site.published_dir)
    if current is None:
        raise UserError(f"{root}: nothing is published yet; run 'doseledger run --site {root}' first.")
    with read_build(site, load_key(site.config.site_id, os.environ)) as con:
        read_truth(con, truth)
        warehouse = current.folder / "warehouse.duckdb"
        con.execute(f"attach {literal(warehouse)} as warehouse (read_only)")
        con.execute(_PUBLISHED)
        con.execute(_PLAIN_JOIN)
        return score(con, current.run_id)


def read_truth(con: duckdb.DuckDBPyConnection, truth: Path) -> None:
    """Make a temporary view truth_* of each truth table, all columns text.

    Raises:
        UserError: one is missing or cannot be read.
    """
    for name in TRUTH_TABLES:
        path = truth / f"truth_{name}.csv"
        if not path.is_file():
            raise UserError(f"{path} is missing: --truth names the folder that holds truth_*.csv.")
        try:
            con.execute(
                f"create temp view truth_{name} as from read_csv({literal(path)}, all_varchar = true, header = true)"
            )
        except duckdb.Error as error:
            raise UserError(f"{path} cannot be read: {str(error).splitlines()[0]}") from None


def score(con: duckdb.DuckDBPyConnection, run_id: str) -> Score:
    """Count over the truth_* views and, by method (`published`, `plain_join`), the tables of ``_PUBLISHED``."""
    doses = {row[0]: row[1:] for row in con.execute(_DOSES).fetchall()}
    events = dict(con.execute(_EVENTS).fetchall())
    rows = {row[0]: row[1:] for row in con.execute(_ROWS).fetchall()}
    offsets = {row[:2]: OffsetError(*row[2:]) for row in con.execute(_OFFSETS).fetchall()}
    registered, _, _ = doses["published"][:3]
    nothing = OffsetError(0, None, None, None)

    def accuracy(method: str) -> Accuracy:
        total, right, wrong = doses[method]
        precision, recall = rows[method]
        return Accuracy(
            right_share=_share(right, total),
            wrong_share=_share(wrong, total),
            unlinked_share=_share(max(total - right - wrong, Decimal(0)), total),
            right_event_share=events[method],
            row_precision=precision,
            row_recall=recall,
            offset_error=offsets.get((method, True), nothing),
            offset_error_all=offsets.get((method, False), nothing),
        )

    measured_precision, measured_recall = con.execute(_MEASURED).fetchall()[0]
    imbalance, wrong_rows = con.execute(_LEDGER).fetchall()[0]
    return Score(
        run_id=run_id,
        registered_usv=registered,
        published=accuracy("published"),
        plain_join=accuracy("plain_join"),
        measured_precision=measured_precision,
        measured_recall=measured_recall,
        imbalance_usv=imbalance,
        ledger_rows_wrong=wrong_rows,
    )


def score_table(found: Score) -> Table:
    """The score for a terminal: one line a figure, the publication beside the plain join."""
    ours, plain = found.published, found.plain_join
    table = Table(title=f"{found.run_id}, {found.registered_usv:,.1f} µSv in samples", title_justify="left")
    table.add_column("")
    table.add_column("published", justify="right")
    table.add_column("plain join", justify="right")
    for label, name in _SHARE_LINES:
        table.add_row(label, _percent(getattr(ours, name)), _percent(getattr(plain, name)))
    table.add_row(
        "rows measured, prec. / recall",
        f"{_percent(found.measured_precision)} / {_percent(found.measured_recall)}",
    )
    for label, name in _OFFSET_LINES:
        table.add_row(label, *(_seconds(getattr(method, name)) for method in (ours, plain)))
    table.add_row("ledger imbalance, µSv", f"{found.imbalance_usv:f}")
    table.add_row("ledger rows unlike the truth", str(found.ledger_rows_wrong))
    return table


_SHARE_LINES = (
    ("dose on the right procedure", "right_share"),
    ("dose on a wrong procedure", "wrong_share"),
    ("dose unlinked in error", "unlinked_share"),
    ("dose on the right event", "right_event_share"),
    ("rows with dose, precision", "row_precision"),
    ("rows with dose, recall", "row_recall"),
)
_OFFSET_LINES = (
    ("offset p50/p95/max s, C-arm badge", "offset_error"),
    ("offset p50/p95/max s, all days", "offset_error_all"),
)


def _share(part: Decimal, whole: Decimal) -> float | None:
    return float(part / whole) if whole else None


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.3%}"


def _seconds(error: OffsetError) -> str:
    if not error.room_days:
        return ""
    return f"{error.median_s:.1f} / {error.p95_s:.1f} / {error.max_s:.1f}"


# What each method linked: dose of (operator, procedure) and of (operator, event), and the offsets that it used.
_PUBLISHED = """
    create temp table linked as
    select
        'published' as method, study_instance_uid, operator_id, dosimeter_serial, badge_status,
        hp10_usv::decimal(18, 9) as hp10_usv
    from warehouse.marts.fct_operator_procedure
    join warehouse.marts.fct_procedure using (procedure_id);

    create temp table linked_event as
    select 'published' as method, irradiation_event_uid, operator_id, hp10_usv::decimal(18, 9) as hp10_usv
    from warehouse.marts.fct_operator_event;

    create temp table used_offset as
    select 'published' as method, room_id, offset_date::varchar as offset_date, offset_s
    from warehouse.ledger.clock_offset;

    create temp table balance as
    from warehouse.ledger.dose_balance
"""

_PLAIN_JOIN = """
    create temp table plain_sample as
    with samples as (
        select
            dose_key, dosimeter_serial, operator_id, recorded_started_at as started_at, recorded_ended_at as ended_at,
            dose_usv, int_dose_evidence.hub is null as is_any_room, stg_source_hub.room_id
        from intermediate.int_dose_evidence
        left join staging.stg_source_hub using (source_id, hub)
        where layout = 'rate_samples' and quantity = 'hp10' and operator_id is not null and not is_not_occupational
    ),
    windows as (
        select *, started_at - interval 60 second as from_at, ended_at + interval 60 second as to_at
        from warehouse.marts.fct_procedure
        where room_id <> 'unknown'
    )
    select samples.*, procedure_id, study_instance_uid
    from samples
    join windows
        on samples.started_at < to_at and samples.ended_at > from_at
        and (is_any_room or samples.room_id = windows.room_id)
    qualify row_number() over (partition by dose_key order by windows.started_at, procedure_id) = 1;

    insert into linked
    select 'plain_join', study_instance_uid, operator_id, dosimeter_serial, 'measured', sum(dose_usv)
    from plain_sample
    group by all;

    insert into linked_event
    with beams as (
        select procedure_id, irradiation_event_uid, started_at, started_at + to_seconds(duration_s) as ended_at
        from warehouse.marts.fct_irradiation_event
    ),
    hits as (
        select dose_key, irradiation_event_uid, operator_id, dose_usv
        from plain_sample
        join beams
            on plain_sample.procedure_id = beams.procedure_id
            and plain_sample.started_at < beams.ended_at and plain_sample.ended_at > beams.started_at
        qualify row_number() over (partition by dose_key order by beams.started_at, irradiation_event_uid) = 1
    )
    select 'plain_join', irradiation_event_uid, operator_id, sum(dose_usv)
    from hits
    group by all;

    insert into used_offset
    select 'plain_join', room_id, offset_date, null from used_offset
"""

_METHODS = "(values ('published'), ('plain_join')) as methods (method)"

# Only badges with samples are judged by dose: a row of a session or counter badge has no dose per second to compare.
_PAIRS = f"""
    truth as (
        select
            method, study_instance_uid, operator_id, procedure_date,
            truth_operator_procedure.expected_present = '1' as is_present,
            hp10_samples_usv::decimal(18, 9) as hp10_usv
        from truth_operator_procedure
        join truth_procedure using (study_instance_uid)
        cross join {_METHODS}
        where hp10_samples_usv is not null
    ),
    pairs as (
        select
            coalesce(truth.method, linked.method) as method,
            coalesce(truth.operator_id, linked.operator_id) as operator_id,
            coalesce(truth.procedure_date, truth_procedure.procedure_date) as procedure_date,
            coalesce(is_present, true) as is_present,
            coalesce(truth.hp10_usv, 0)::decimal(18, 9) as true_usv,
            coalesce(linked.hp10_usv, 0)::decimal(18, 9) as linked_usv
        from truth
        full join (
            from linked
            where dosimeter_serial in (
                select dosimeter_serial from truth_operator_procedure where hp10_samples_usv is not null
            )
        ) as linked
            using (method, study_instance_uid, operator_id)
        left join truth_procedure
            on coalesce(truth.study_instance_uid, linked.study_instance_uid) = truth_procedure.study_instance_uid
    )
"""

# Dose of a procedure without report is right as long as it is on none. The truth does not follow single samples: what
# an operator has on a wrong procedure on a day is first taken to be such dose, so that "right" is never too high.
_DOSES = f"""
    with {_PAIRS},
    by_day as (
        select
            method,
            sum(true_usv) as registered_usv,
            sum(least(true_usv, linked_usv)) as placed_usv,
            sum(greatest(linked_usv - true_usv, 0)) as wrong_usv,
            coalesce(sum(true_usv) filter (not is_present), 0) as unplaceable_usv
        from pairs
        group by method, operator_id, procedure_date
    )
    select
        method,
        sum(registered_usv),
        sum(placed_usv + greatest(unplaceable_usv - wrong_usv, 0)),
        sum(wrong_usv)
    from by_day
    group by method
"""

_EVENTS = f"""
    select
        method,
        (sum(least(truth.hp10_samples_usv::decimal(18, 9), coalesce(linked_event.hp10_usv, 0)))
            / sum(truth.hp10_samples_usv::decimal(18, 9)))::double
    from truth_operator_event as truth
    cross join {_METHODS}
    left join linked_event using (method, irradiation_event_uid, operator_id)
    group by method
"""

_ROWS = f"""
    with {_PAIRS}
    select
        method,
        count(*) filter (linked_usv > 0 and true_usv > 0) / nullif(count(*) filter (linked_usv > 0), 0),
        count(*) filter (linked_usv > 0 and true_usv > 0) / nullif(count(*) filter (true_usv > 0 and is_present), 0)
    from pairs
    group by method
"""

# A status with alternatives, or one that the contract leaves open, counts neither for nor against.
_MEASURED = """
    with rows as (
        select
            coalesce(linked.badge_status = 'measured', false) as is_published,
            coalesce(truth.badge_status = 'measured', false) as is_true,
            coalesce(truth.badge_status like '%|%' or is_decided = '0', false) as is_open
        from (from truth_operator_procedure where expected_present = '1') as truth
        full join (from linked where method = 'published') as linked using (study_instance_uid, operator_id)
    )
    select
        count(*) filter (is_published and is_true) / nullif(count(*) filter (is_published), 0),
        count(*) filter (is_published and is_true) / nullif(count(*) filter (is_true), 0)
    from rows
    where not is_open
"""

_OFFSETS = """
    with errors as (
        select
            method,
            reference_badge_alive = '1' as is_alive,
            abs(coalesce(used_offset.offset_s, 0) - truth_clock.offset_s::double) as error_s
        from truth_clock
        join used_offset using (room_id, offset_date)
    ),
    figures as (
        select method, true as is_alive_only, error_s from errors where is_alive
        union all
        select method, false, error_s from errors
    )
    select
        method, is_alive_only, count(*), median(error_s), quantile_cont(error_s, 0.95), max(error_s)
    from figures
    group by method, is_alive_only
"""

_LEDGER = """
    with compared as (
        select
            imbalance_usv,
            truth.source_id is not null and (
                balance.source_id is null
                or balance.ingested_usv <> truth.ingested_usv::decimal(18, 9)
                or balance.covered_by_samples_usv <> truth.covered_by_samples_usv::decimal(18, 9)
            ) as is_wrong
        from balance
        full join truth_total as truth
            on balance.source_id = truth.source_id
            and balance.dosimeter_serial = truth.dosimeter_serial
            and balance.quantity = truth.quantity
            and balance.measured_date::varchar = truth.measured_date
    )
    select coalesce(sum(abs(imbalance_usv)), 0)::decimal(38, 9), count(*) filter (is_wrong)
    from compared
"""
