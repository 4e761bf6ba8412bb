"""What the page of a procedure shows: events, badges over time, files and clock, read for many procedures at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import duckdb

from orchestration.figures.open_findings import AUDIENCES, Finding, read_findings
from orchestration.pages.cases import Case, Person, read_cases

C_ARM = ""  # the wearer of the C-arm's badge
BINS = 160  # of a timeline: about one for 6 px of a wide screen
# Records of these links have a time of their own; an hour or a session that was shared out has none in the procedure.
TIMED = ("event", "window", "manual", "vendor")


@dataclass(frozen=True, slots=True)
class Event:
    """One irradiation event; ``started_at`` by the X-ray system's clock, doses in µSv by wearer."""

    number: int
    uid: str
    plane: str
    event_type: str
    started_at: datetime | None
    duration_s: float | None
    kap_gy_cm2: float | None
    ka_r_mgy: float | None
    primary_deg: float | None
    secondary_deg: float | None
    doses: Mapping[str, float] = field(default_factory=dict)

    @property
    def is_fluoroscopy(self) -> bool:
        """Tell fluoroscopy from acquisitions."""
        return self.event_type == "fluoroscopy"

    @property
    def has_angles(self) -> bool:
        """Tell whether both angles of the beam are stated."""
        return self.primary_deg is not None and self.secondary_deg is not None


@dataclass(frozen=True, slots=True)
class Bin:
    """Dose of a badge in one part (0 to BINS − 1) of the timeline; ``is_event``: it is linked to an event."""

    place: int
    dose_usv: float
    is_event: bool


@dataclass(frozen=True, slots=True)
class Badge:
    """One badge in the procedure; ``person`` is None for the C-arm's.

    Attributes:
        dose_usv: what was linked to the procedure by measurement.
        shared_usv: what was shared out to it by estimate.
        bins: the dose over time, without what has no time of its own.
    """

    dosimeter_serial: str
    wearer: str
    worn_at: str | None
    person: Person | None
    dose_usv: float
    shared_usv: float
    untimed_usv: float
    bins: tuple[Bin, ...] = ()

    @property
    def is_of_record(self) -> bool:
        """Tell whether the dose of the person in this procedure is this badge's."""
        return self.person is None or self.person.dosimeter_serial == self.dosimeter_serial


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines of one file that the page's numbers come from."""

    dosimeter_serial: str | None
    wearer: str | None
    path: str
    first_line: int | None
    last_line: int | None
    records: int


@dataclass(frozen=True, slots=True)
class Clock:
    """Offset of the badges' clock against the X-ray system's, s; as ledger.clock_offset has it."""

    offset_s: float | None
    uncertainty_s: float | None
    method: str
    n_events: int | None
    correlation: float | None
    peak_ratio: float | None
    is_accepted: bool


@dataclass(frozen=True, slots=True)
class Skin:
    """Estimate of the skin dose, mGy, as marts.fct_skin_dose has it."""

    primary_deg: float | None
    secondary_deg: float | None
    share_of_ka_r: float | None
    estimate_mgy: float | None
    upper_mgy: float | None
    method: str
    missing: str | None


@dataclass(frozen=True, slots=True)
class ProcedureFigures:
    """All of one procedure; ``begin`` and ``end`` of the timeline are on the badges' clock.

    Attributes:
        has_records: the records of its badges are published, as for each procedure with a page in the publication.
    """

    case: Case
    age_years: int | None
    has_records: bool
    offset_s: float
    begin: datetime | None
    end: datetime | None
    events: tuple[Event, ...]
    badges: tuple[Badge, ...]
    files: tuple[Lines, ...]
    clock: Clock | None
    skin: Skin | None

    @property
    def planes(self) -> tuple[str, ...]:
        """The planes of the X-ray system that were used."""
        return tuple(sorted({event.plane for event in self.events}))

    @property
    def lanes(self) -> tuple[Badge, ...]:
        """The badges whose dose is that of their wearer here: the C-arm's first, then people as the case lists them."""
        return tuple(badge for badge in self.badges if badge.is_of_record)

    @property
    def main(self) -> Person | None:
        """The person whom the page is about: with a finding, then the highest dose against usual, else in µSv."""
        with_dose = [person for person in self.case.people if person.hp10_usv]
        return max(
            with_dose,
            key=lambda person: (bool(person.findings), person.ratio or 0.0, person.hp10_usv or 0.0),
            default=None,
        )

    def place(self, instant: datetime | None) -> float:
        """Place an instant of the badges' clock on the timeline, in per cent."""
        if instant is None or self.begin is None or self.end is None or self.end <= self.begin:
            return 0.0
        return 100 * ((instant - self.begin) / (self.end - self.begin))

    def on_badge_clock(self, instant: datetime) -> datetime:
        """Move an instant of the X-ray system's clock to the badges'."""
        return instant + timedelta(seconds=self.offset_s)

    @property
    def wearers(self) -> list[str]:
        """The C-arm and the people whose badges got a dose that is linked to events."""
        people = [person.operator_id for person in self.case.people]
        return [wearer for wearer in (C_ARM, *people) if self.total(wearer)]

    def total(self, wearer: str) -> float:
        """Dose of a wearer that is linked to events."""
        return sum(event.doses.get(wearer, 0.0) for event in self.events)

    def share(self, wearer: str, *, fluoroscopy: bool) -> float | None:
        """Share of a wearer's dose of events that fluoroscopy, or acquisitions, gave."""
        return share_of([event.doses.get(wearer, 0.0) for event in self.events], self.events, fluoroscopy=fluoroscopy)


def share_of(values: Sequence[float | None], events: Sequence[Event], *, fluoroscopy: bool) -> float | None:
    """Share of the sum of values by event that is of fluoroscopy, or of acquisitions; None of nothing."""
    whole = sum(value or 0.0 for value in values)
    part = sum(value or 0.0 for value, event in zip(values, events, strict=True) if event.is_fluoroscopy == fluoroscopy)
    return part / whole if whole else None


def read_procedures(connection: duckdb.DuckDBPyConnection, procedure_ids: Sequence[str]) -> list[ProcedureFigures]:
    """Read procedures by their ids from the published warehouse, one query a table."""
    findings: defaultdict[str, list[Finding]] = defaultdict(list)
    for finding in read_findings(connection, AUDIENCES):
        if finding.procedure_id:
            findings[finding.procedure_id].append(finding)
    ids = list(procedure_ids)
    events, badges, files = _events(connection, ids), _grouped(connection, _BADGES, ids), _files(connection, ids)
    bins = _bins(connection, ids)
    spans = {row[0]: row[1:] for row in connection.execute(_SPANS, [ids]).fetchall()}
    clocks = {row[0]: Clock(*row[1:]) for row in connection.execute(_CLOCKS, [ids]).fetchall()}
    skins = {row[0]: Skin(*row[1:]) for row in connection.execute(_SKINS, [ids]).fetchall()}
    found = []
    for case in read_cases(connection, findings, ids):
        age_years, has_records, offset_s, begin, end = spans[case.procedure_id]
        people = {person.operator_id: person for person in case.people}
        found.append(
            ProcedureFigures(
                case=case,
                age_years=age_years,
                has_records=has_records,
                offset_s=offset_s or 0.0,
                begin=begin,
                end=end,
                events=tuple(events[case.procedure_id]),
                badges=_of_people(badges[case.procedure_id], people, bins),
                files=tuple(files[case.procedure_id]),
                clock=clocks.get(case.procedure_id),
                skin=skins.get(case.procedure_id),
            )
        )
    return found


def _of_people(
    rows: Sequence[tuple[Any, ...]], people: Mapping[str, Person], bins: Mapping[tuple[str, str], Sequence[Bin]]
) -> tuple[Badge, ...]:
    order = {operator_id: number for number, operator_id in enumerate(("", *people))}
    badges = [
        Badge(
            dosimeter_serial=serial,
            wearer=wearer,
            worn_at=worn_at,
            person=people.get(wearer),
            dose_usv=dose_usv,
            shared_usv=shared_usv,
            untimed_usv=untimed_usv,
            bins=tuple(bins.get((procedure_id, serial), ())),
        )
        for procedure_id, serial, wearer, worn_at, dose_usv, shared_usv, untimed_usv in rows
    ]
    return tuple(sorted(badges, key=lambda badge: (order.get(badge.wearer, len(order)), badge.dosimeter_serial)))


def _grouped(
    connection: duckdb.DuckDBPyConnection, query: str, ids: list[str]
) -> defaultdict[str, list[tuple[Any, ...]]]:
    rows = defaultdict(list)
    for row in connection.execute(query, [ids]).fetchall():
        rows[row[0]].append(row)
    return rows


def _events(connection: duckdb.DuckDBPyConnection, ids: list[str]) -> defaultdict[str, list[Event]]:
    doses: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for uid, wearer, dose in connection.execute(_EVENT_DOSES, {"ids": ids}).fetchall():
        doses[uid][wearer] = dose
    events: defaultdict[str, list[Event]] = defaultdict(list)
    for procedure_id, uid, *row in connection.execute(_EVENTS, [ids]).fetchall():
        events[procedure_id].append(replace(Event(len(events[procedure_id]) + 1, uid, *row), doses=doses.get(uid, {})))
    return events


def _bins(connection: duckdb.DuckDBPyConnection, ids: list[str]) -> defaultdict[tuple[str, str], list[Bin]]:
    bins: defaultdict[tuple[str, str], list[Bin]] = defaultdict(list)
    for procedure_id, serial, *row in connection.execute(_BIN_DOSES, [ids, ids]).fetchall():
        bins[procedure_id, serial].append(Bin(*row))
    return bins


def _files(connection: duckdb.DuckDBPyConnection, ids: list[str]) -> defaultdict[str, list[Lines]]:
    files: defaultdict[str, list[Lines]] = defaultdict(list)
    for query in (_REPORTS, _LINES):
        for procedure_id, *row in connection.execute(query, [ids]).fetchall():
            files[procedure_id].append(Lines(*row))
    return files


_TIMED = f"link_method in {TIMED}"

_EVENTS = """
    select
        procedure_id, irradiation_event_uid, plane, event_type, started_at, duration_s, kap_gy_cm2, ka_r_mgy,
        primary_angle_deg, secondary_angle_deg
    from marts.fct_irradiation_event
    where procedure_id in (select unnest(?))
    order by procedure_id, started_at nulls last, plane, irradiation_event_uid
"""

# Of the badge of record of each person, so that the events of a person add up to the dose of the procedure. What the
# C-arm's badge got by event is published for procedures with a page only.
_EVENT_DOSES = """
    select irradiation_event_uid, operator_id, hp10_usv
    from marts.fct_operator_event
    where procedure_id in (select unnest($ids)) and hp10_usv > 0
    union all
    select irradiation_event_uid, '', sum(dose_usv)
    from marts.fct_dose_link
    where procedure_id in (select unnest($ids)) and irradiation_event_uid is not null and operator_id is null
    group by irradiation_event_uid
"""

_BADGES = f"""
    select
        procedure_id, dosimeter_serial, coalesce(operator_id, ''), any_value(worn_at),
        coalesce(sum(dose_usv) filter (link_method <> 'apportioned'), 0),
        coalesce(sum(dose_usv) filter (link_method = 'apportioned'), 0),
        coalesce(sum(dose_usv) filter (link_method <> 'apportioned' and not {_TIMED}), 0)
    from marts.fct_dose_link
    where procedure_id in (select unnest(?))
    group by all
"""

# From the first to the last event or record, s since 1970 by the badges' clock, with a margin of a fiftieth.
_SPAN_ROWS = f"""
    select
        procedures.procedure_id, patient_age_years, clock_offset_s,
        least(first_event, first_record) as first_s,
        greatest(last_event, last_record) as last_s,
        first_s - 0.02 * (last_s - first_s) as begin_at,
        last_s + 0.02 * (last_s - first_s) as end_at
    from marts.fct_procedure as procedures
    left join (
        select
            events.procedure_id,
            min(epoch(events.started_at)) + any_value(coalesce(clock_offset_s, 0)) as first_event,
            max(epoch(events.started_at) + coalesce(duration_s, 0)) + any_value(coalesce(clock_offset_s, 0))
                as last_event
        from marts.fct_irradiation_event as events
        inner join marts.fct_procedure as procedures on events.procedure_id = procedures.procedure_id
        group by events.procedure_id
    ) as beams on procedures.procedure_id = beams.procedure_id
    left join (
        select procedure_id, min(epoch(started_at)) as first_record, max(epoch(ended_at)) as last_record
        from marts.fct_dose_link
        where {_TIMED}
        group by procedure_id
    ) as records on procedures.procedure_id = records.procedure_id
    where procedures.procedure_id in (select unnest(?))
"""

_SPANS = f"""
    select
        procedure_id, patient_age_years,
        procedure_id in (select pages.procedure_id from marts.dim_procedure_page as pages), clock_offset_s,
        to_timestamp(begin_at), to_timestamp(end_at)
    from ({_SPAN_ROWS})
"""

_BIN_DOSES = f"""
    with spans as ({_SPAN_ROWS})
    select
        links.procedure_id, dosimeter_serial,
        cast(least({BINS} - 1, floor({BINS} * (epoch(started_at) - begin_at) / (end_at - begin_at))) as integer)
            as place,
        sum(dose_usv), bool_or(irradiation_event_uid is not null)
    from marts.fct_dose_link as links
    inner join spans on links.procedure_id = spans.procedure_id
    where links.procedure_id in (select unnest(?)) and {_TIMED} and end_at > begin_at
    group by all
    order by all
"""

_REPORTS = """
    select procedure_id, null, null, path, null, null, count(*) over (partition by procedure_id, path)
    from marts.bridge_procedure_report
    where procedure_id in (select unnest(?))
    order by procedure_id, path
"""

_LINES = """
    select procedure_id, dosimeter_serial, coalesce(operator_id, ''), path, min(line), max(line), count(*)
    from marts.fct_dose_link as links
    left join ledger.file as files on links.load_seq = files.load_seq
    where procedure_id in (select unnest(?))
    group by all
    order by procedure_id, coalesce(operator_id, ''), dosimeter_serial, min(line)
"""

_CLOCKS = """
    select procedure_id, offset_s, uncertainty_s, method, n_events, correlation, peak_ratio, is_accepted
    from marts.fct_procedure
    inner join ledger.clock_offset
        on fct_procedure.room_id = clock_offset.room_id and fct_procedure.procedure_date = clock_offset.offset_date
    where procedure_id in (select unnest(?))
"""

_SKINS = """
    select
        procedure_id, primary_angle_deg, secondary_angle_deg, share_of_ka_r, skin_dose_estimate_mgy,
        skin_dose_upper_mgy, method, missing
    from marts.fct_skin_dose
    where procedure_id in (select unnest(?))
"""
