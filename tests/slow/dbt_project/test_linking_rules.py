"""The contract's linking rules, sentence by sentence, from files to dispositions (docs/physicist/links.md).

One small site is built once; each test has a day or a badge of its own there, and doses that can be reckoned by hand: a
sample of ``RATE`` is 1 µSv. How fast or how right whole hospitals are linked is measured elsewhere.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from pydicom.dataset import Dataset
from support import sr_builder as sr
from support.small_site import make_site, run, write

from ingest.site.config import load_site
from orchestration.dbt_build import build_tables

AS_OF = date(2024, 3, 31)
RATE = 3600  # uSv/h: 1 µSv in a second

SITE = "site_id: rules\nname: Rules\ntimezone: UTC\n"
ROOMS = """\
room_id,name,specialty,device_serial,c_arm_dosimeter
R1,One,cardiology,SN1,REF1
R2,Two,cardiology,SN2,REF2
R3,Three,radiology,SN3,
R4,Ten minutes off,cardiology,SN4,
R9,Nobody knows its clock,radiology,SN9,
"""
OPERATORS = """\
operator_id,name,specialty,grade
ANA,Ana,cardiology,consultant
BO,Bo,cardiology,nurse
CY,Cy,radiology,consultant
MANY,Di,cardiology,consultant
"""
# Every badge is one badge, whichever reader or hub wrote its records.
ALL_SOURCES = "rates hubless hours reader late_reader ward log vendor passive"
DOSIMETERS = f"""\
dosimeter_serial,worn_at,operator_id,room_id,valid_from,valid_to,source_id
ANA1,over_apron_collar,ANA,,2024-01-01,,{ALL_SOURCES}
BO1,over_apron_chest,BO,,2024-01-01,,{ALL_SOURCES}
CY1,over_apron_collar,CY,,2024-01-01,,{ALL_SOURCES}
COLLAR,over_apron_collar,MANY,,2024-01-01,,{ALL_SOURCES}
CHEST,over_apron_chest,MANY,,2024-01-01,,{ALL_SOURCES}
UNDER,under_apron_chest,MANY,,2024-01-01,,{ALL_SOURCES}
REF1,c_arm,,R1,2024-01-01,,{ALL_SOURCES}
REF2,c_arm,,R2,2024-01-01,,{ALL_SOURCES}
"""
# By hand, on day 24: to other procedures than the evidence says, and once to one that is not there.
LINKS = """\
procedure_id,accession_number,dosimeter_serial,from,to,by,reason
,A241,ANA1,2024-03-24T15:00:00Z,2024-03-24T15:00:02Z,MPE,hub was off
,A242,BO1,2024-03-24T10:00:00Z,2024-03-24T10:00:59Z,MPE,exchanged
,A241,CY1,2024-03-24T09:00:00Z,2024-03-24T12:00:00Z,MPE,reader
,NOPE,REF1,2024-03-24T10:00:00Z,2024-03-24T10:01:00Z,MPE,typing error
"""
# The clocks are declared, so that times here mean what they say: to the microsecond, with no estimate in between.
CLOCK_OFFSETS = """\
room_id,source_id,offset_s,valid_from,valid_to,note
R1,,0,2024-01-01,,
R2,,0,2024-01-01,,
R3,,0,2024-01-01,,
R4,,600,2024-01-01,,
,late_reader,3600,2024-01-01,,an hour fast
"""
DESCRIPTION = """\
source_id: {name}
layout: {layout}
encoding: utf-8
delimiter: ";"
decimal: "."
timezone: UTC
dst: false
datetime_format: {time}
columns: {{{columns}}}
units: {{hp10: {unit}}}
{more}
"""
HUBS = "hubs: {H1: R1, H1B: R1, H2: R2, H3: R3, H4: R4, H9: R9}"
SAMPLE = "dosimeter_serial: Badge, started_at: From, hp10: Dose"
SPAN = "dosimeter_serial: Badge, started_at: From, ended_at: To, hp10: Dose"
SOURCES = {
    "rates": ("rate_samples", SAMPLE + ", hub: Hub", "uSv/h", "sample_seconds: 1\n" + HUBS),
    "hubless": ("rate_samples", SAMPLE, "uSv/h", "sample_seconds: 1"),
    "hours": ("hourly_totals", SAMPLE, "uSv", "counter: increment"),
    "reader": ("sessions", SPAN, "uSv", ""),
    "late_reader": ("sessions", SPAN, "uSv", ""),
    "ward": ("sessions", SPAN + ", hub: Hub", "uSv", HUBS),
    "log": ("counter_log", SAMPLE, "uSv", ""),
    "vendor": ("procedure_totals", "dosimeter_serial: Badge, study_instance_uid: Study, hp10: Dose", "uSv", ""),
    "passive": ("badge_periods", "dosimeter_serial: Badge, period_begin: From, period_end: To, hp10: Dose", "uSv", ""),
}

Beam = tuple[Any, ...]  # start, seconds, and if they matter KAP in Gy.cm2 (else 1) and plane (else single)
PLANES = {"single": "113622", "A": "113620", "B": "113621"}


class Hospital:
    """What happens at the small site: exams and exports, written as files; and what became of each badge's dose."""

    def __init__(self, root: Path) -> None:
        self.root = make_site(
            root,
            site=SITE,
            rooms=ROOMS,
            operators=OPERATORS,
            dosimeters=DOSIMETERS,
            clock_offsets=CLOCK_OFFSETS,
            links=LINKS,
        )
        (self.root / "sources/rates.yaml").unlink()
        for name, (layout, columns, unit, more) in SOURCES.items():
            time = '"%Y-%m-%d"' if layout == "badge_periods" else "iso8601"
            text = DESCRIPTION.format(name=name, layout=layout, columns=columns, unit=unit, more=more, time=time)
            write(self.root, f"sources/{name}.yaml", text)
        self.rows: dict[str, list[str]] = {name: [] for name in SOURCES}
        self.logbook = ["study_instance_uid,operator_id,role"]

    def exam(self, study: str, room: int, day: int, *beams: Beam, by: str = "") -> None:
        """A procedure; its events are STUDY.1, STUDY.2 ... and ``by`` is whom the logbook names."""
        events = [_event(f"1.7.{study}.{n}", day, *beam) for n, beam in enumerate(beams, 1)]
        total = sr.accumulated(sr.num("113722", "1", "Gy.cm2"))
        names: dict[str, Any] = {
            "StudyInstanceUID": f"1.5.{study}",
            "SOPInstanceUID": f"1.6.{study}",
            "AccessionNumber": f"A{study}",
        }
        file = sr.report(total, *events, DeviceSerialNumber=f"SN{room}", **names)
        write(self.root, f"inbox/dose_reports/{study}.dcm", sr.as_file(file))
        self.logbook += [f"1.5.{study},{person},other" for person in by.split()]

    def samples(self, badge: str, day: int, *times: str, hub: str | None = None, dose: float = 1) -> None:
        """One sample of ``dose`` µSv at each time; no hub: an export that names none."""
        for time in times:
            row = f"{badge};{at(day, time):%Y-%m-%dT%H:%M:%S.%f};{dose * RATE}"
            self.rows["rates" if hub else "hubless"].append(f"{row};{hub}" if hub else row)

    def record(self, source: str, badge: str, *cells: object) -> None:
        """Any other row, as its export has it."""
        self.rows[source].append(";".join(str(cell) for cell in (badge, *cells)))

    def build(self) -> Path:
        """Loads the files and builds every table; the database."""
        for name, lines in self.rows.items():
            header = ";".join(part.split(": ")[1] for part in SOURCES[name][1].split(", "))
            write(self.root, f"inbox/dosimeters/{name}/all.csv", "\n".join([header, *lines, ""]))
        write(self.root, "reference/logbook.csv", "\n".join([*self.logbook, ""]))
        run(self.root)
        build_db = load_site(self.root).build_db
        build = build_tables(build_db, AS_OF)
        assert build.failures == []
        return Path(build_db)


def at(day: int, time: str) -> datetime:
    return datetime.fromisoformat(f"2024-03-{day:02}T{time}")


def _event(uid: str, day: int, start: str, seconds: int, kap: str = "1", plane: str = "single") -> Dataset:
    item: Dataset = sr.content(
        "CONTAINER",
        "113706",
        sr.uid("113769", uid),
        sr.date_time("111526", f"{at(day, start):%Y%m%d%H%M%S.%f}"),
        sr.coded("113721", "44491008", "SCT"),
        sr.coded("113764", PLANES[plane]),
        sr.num("122130", kap, "Gy.cm2"),
        sr.num("113742", str(seconds), "s"),
    )
    return item


# What became of a badge's dose: "disposition study/event", or "reason: candidates", and how much.
FATES = """
with studies as (
    select procedure_id, substr(study_instance_uid, 5) as study from intermediate.int_procedure
),

parts as (
    select
        dispositions.*, studies.study,
        (
            select string_agg(others.study, ' ' order by others.study) from studies as others
            where list_contains(string_split(dispositions.candidates, ' '), others.procedure_id)
        ) as named
    from intermediate.int_disposition as dispositions
    left join studies on dispositions.procedure_id = studies.procedure_id
    where dosimeter_serial = $badge and measured_date = $day
)

select
    concat_ws(
        ' ', coalesce(reason, disposition),
        coalesce(substr(irradiation_event_uid, 5), study), '(' || named || ')'
    ) as fate,
    cast(sum(dose_usv) as double)
from parts
group by fate
"""


class Fates:
    """The built tables, asked by badge and day."""

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        self.con = con

    def of(self, badge: str, day: int) -> dict[str, float]:
        """What became of the dose of a badge on a day of March, µSv by fate."""
        found = self.con.execute(FATES, {"badge": badge, "day": date(2024, 3, day)}).fetchall()
        return {fate: round(dose, 9) for fate, dose in found}

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Any other question."""
        return self.con.execute(query).fetchall()


@pytest.fixture(scope="module")
def fates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fates]:
    hospital = Hospital(tmp_path_factory.mktemp("rules") / "site")
    for happens in SCENES:
        happens(hospital)
    with duckdb.connect(str(hospital.build()), read_only=True) as con:
        con.execute("set TimeZone = 'UTC'")
        yield Fates(con)


# --- Times are corrected first; tolerance --------------------------------------------------------------------------


def _tolerances(hospital: Hospital) -> None:
    hospital.exam("11", 1, 1, ("10:00:10", 10), ("10:05:00", 10))
    hospital.samples("ANA1", 1, "10:00:07", hub="H1")  # ends 2 s before the beam
    hospital.samples("ANA1", 1, "10:00:07.001", "10:00:15", "10:00:21.999", hub="H1", dose=2)
    hospital.samples("ANA1", 1, "10:00:22", hub="H1", dose=4)  # begins 2 s after it
    hospital.samples("ANA1", 1, "10:05:09.5", hub="H1", dose=8)


def test_a_sample_within_two_seconds_of_a_beam_is_of_the_event(fates: Fates) -> None:
    assert fates.of("ANA1", 1) == {"event 11.1": 6, "event 11.2": 8, "window 11": 5}


def _clocks(hospital: Hospital) -> None:
    hospital.exam("21", 4, 2, ("10:00:00", 10), by="BO")
    hospital.samples("ANA1", 2, "10:10:05", hub="H4")
    hospital.samples("ANA1", 2, "10:00:05", hub="H4", dose=2)
    hospital.samples("BO1", 2, "10:10:05")
    hospital.samples("BO1", 2, "10:00:05", dose=2)
    # By the reader's clock within the procedure; ten minutes later nothing would be there.
    hospital.exam("31", 4, 3, ("10:50:00", 10), ("10:55:00", 10), by="ANA BO")
    hospital.record("reader", "ANA1", "2024-03-03T10:40:00", "2024-03-03T10:57:00", 7)
    hospital.record("late_reader", "BO1", "2024-03-03T11:40:00", "2024-03-03T11:57:00", 9)
    hospital.record("log", "CY1", "2024-03-03T10:40:00", 100)
    hospital.record("log", "CY1", "2024-03-03T10:57:00", 103)
    hospital.logbook.append("1.5.31,CY,other")


def test_the_offset_of_the_hubs_room_is_applied_first(fates: Fates) -> None:
    assert fates.of("ANA1", 2) == {"event 21.1": 1, "no_procedure": 2}


def test_without_a_hub_the_offset_of_the_candidate_room_is_applied(fates: Fates) -> None:
    assert fates.of("BO1", 2) == {"event 21.1": 1, "no_procedure": 2}


def test_readers_without_hubs_follow_only_a_declaration_for_them(fates: Fates) -> None:
    assert fates.of("ANA1", 3) == {"session 31": 7}
    assert fates.of("BO1", 3) == {"session 31": 9}
    assert fates.of("CY1", 3) == {"session 31": 3}


# --- Rule 0 --------------------------------------------------------------------------------------------------------


def _unknown_hub(hospital: Hospital) -> None:
    hospital.exam("41", 1, 4, ("10:00:00", 10), by="ANA")
    hospital.samples("ANA1", 4, "10:00:05", hub="HX")


def test_a_hub_that_nobody_listed_is_an_unknown_room_whatever_the_logbook_says(fates: Fates) -> None:
    assert fates.of("ANA1", 4) == {"room_unknown": 1}


# --- Rule 1 --------------------------------------------------------------------------------------------------------


def _allowed_rooms(hospital: Hospital) -> None:
    hospital.exam("51", 1, 5, ("10:00:00", 10), ("10:05:00", 10))
    hospital.exam("52", 2, 5, ("10:00:00", 10), ("10:05:00", 10), by="ANA BO")
    hospital.samples("ANA1", 5, "10:00:05", hub="H1")  # the logbook says R2
    hospital.samples("ANA1", 5, "10:05:05", hub="H1B", dose=2)
    hospital.samples("BO1", 5, "10:00:05")
    # Of CY nobody knows more than the time; on day 6 the dose keeps to one room's beams, on day 7 it does not.
    for day, between in ((6, ("10:01:00",)), (7, ("10:01:00", "10:02:00"))):
        hospital.exam(f"{day}1", 1, day, ("10:00:00", 10), ("10:03:00", 10))
        hospital.samples("CY1", day, "10:00:01", "10:00:03", "10:00:05", "10:00:07", *between)


def test_the_hubs_room_is_the_only_one_and_a_room_may_have_several_hubs(fates: Fates) -> None:
    assert fates.of("ANA1", 5) == {"event 51.1": 1, "event 51.2": 2}


def test_without_a_hub_the_rooms_of_the_logbook_that_day(fates: Fates) -> None:
    assert fates.of("BO1", 5) == {"event 52.1": 1}


def test_else_any_room_if_its_beams_explain_the_dose(fates: Fates) -> None:
    assert fates.of("CY1", 6) == {"event 61.1": 4, "window 61": 1}
    assert fates.of("CY1", 7) == {"ambiguous_room (71)": 6}


def _random_beams() -> list[tuple[datetime, datetime, str]]:
    """Start, end and plane of beams that overlap as two planes can; on one plane a beam ends the one before."""
    chance, beams = random.Random(7), []  # noqa: S311 - no secret
    for plane in "AB":
        start = at(22, "10:00:00")
        for _ in range(40):
            end = start + timedelta(seconds=chance.choice([0.3, 0.5, 1, 2, 4, 7]))
            following = start + timedelta(seconds=chance.choice([0.4, 1, 1.5, 3, 6]))
            beams.append((start, min(end, following), plane))
            start = following
    return beams


def _overlapping_beams(hospital: Hospital) -> None:
    beams = [
        (f"{start:%H:%M:%S.%f}", (end - start).total_seconds(), "1", plane) for start, end, plane in _random_beams()
    ]
    hospital.exam("221", 1, 22, *beams)
    times = (at(22, "09:59:55") + timedelta(seconds=0.25 * step) for step in range(700))
    hospital.samples("ANA1", 22, *(f"{time:%H:%M:%S.%f}" for time in times), hub="H1")


def test_of_several_beams_of_a_room_the_one_that_the_sample_shares_most_time_with(fates: Fates) -> None:
    """Each sample compared with each beam, which is what the contract says and the tables do not do."""
    beams, reach, second = _random_beams(), timedelta(seconds=2), timedelta(seconds=1)

    def event_of(start: datetime) -> str | None:
        touched = [
            (start - min(start + second, end) + max(start, begin) - start, begin, plane, f"1.7.221.{n}")
            for n, (begin, end, plane) in enumerate(beams, 1)
            if start < end + reach and start + second > begin - reach
        ]
        return min(touched)[3] if touched else None

    found = fates.rows(
        "select started_at::timestamp, irradiation_event_uid from intermediate.int_disposition "
        "where dosimeter_serial = 'ANA1' and measured_date = date '2024-03-22'"
    )
    assert len(found) == 700
    assert {event for _, event in found} > {f"1.7.221.{n}" for n in (1, 41)}
    assert [(start, event) for start, event in found if event != event_of(start)] == []


# --- By hand ---


def _by_hand(hospital: Hospital) -> None:
    hospital.exam("241", 1, 24, ("10:00:00", 10))
    hospital.exam("242", 2, 24, ("13:00:00", 10))
    hospital.samples("ANA1", 24, "15:00:00", "15:00:01", hub="H1")
    hospital.samples("ANA1", 24, "15:00:01.5", hub="H1", dose=4)  # ends half a second after the link
    hospital.samples("BO1", 24, "10:00:05", hub="H1")
    hospital.samples("BO1", 24, "10:00:06", hub="HX", dose=2)  # of a room that nobody knows
    hospital.record("reader", "CY1", "2024-03-24T09:00:00", "2024-03-24T12:00:00", 5)
    hospital.record("passive", "CY1", "2024-03-24", "2024-03-24", 7)
    hospital.samples("REF1", 24, "10:00:05", hub="H1")


def test_a_link_by_hand_wins_over_evidence_for_the_records_within_it(fates: Fates) -> None:
    assert fates.of("ANA1", 24) == {"manual 241": 2, "no_procedure": 4}
    assert fates.of("BO1", 24) == {"manual 242": 3}
    assert fates.of("CY1", 24) == {"manual 241": 5, "passive_period": 7}
    methods = "select distinct operator_id, link_method, link_confidence from marts.fct_operator_procedure"
    assert ("BO", "manual", "high") in fates.rows(methods)


def test_a_link_to_no_procedure_is_a_finding_and_the_record_keeps_its_ordinary_link(fates: Fates) -> None:
    assert fates.of("REF1", 24) == {"event 241.1": 1}
    ((message,),) = fates.rows("select message from alerts.alert where quantity = 'unknown_link'")
    assert "links.csv line 5: 0 procedures are NOPE" in message


# --- Rule 2 --------------------------------------------------------------------------------------------------------


def _two_rooms(hospital: Hospital) -> None:
    for day in (8, 9):
        hospital.exam(f"{day}1", 1, day, ("10:00:00", 30), by="BO")
        hospital.exam(f"{day}2", 2, day, ("10:00:20", 30), by="BO")
        hospital.samples("BO1", day, "10:00:25")  # both beams are on
        hospital.samples("BO1", day, "10:00:05", "10:00:06", "10:00:07", "10:00:08")
        hospital.samples("BO1", day, *(f"10:00:4{second}" for second in range(day - 7)))
        hospital.samples("ANA1", day, "10:00:25", hub="H2")


def test_of_two_rooms_the_receiving_hubs(fates: Fates) -> None:
    assert fates.of("ANA1", 8) == {"event 82.1": 1}


def test_of_two_rooms_the_one_with_80_percent_of_the_badges_other_samples(fates: Fates) -> None:
    # 4 of 5 others are in 81; the settled sample still says which rooms were in question.
    assert fates.of("BO1", 8) == {"event 81.1": 4, "event 81.1 (81 82)": 1, "event 82.1": 1}


def test_of_two_rooms_neither_if_that_does_not_decide(fates: Fates) -> None:
    # 4 of 6: never split, never the nearest.
    assert fates.of("BO1", 9) == {"event 91.1": 4, "event 92.1": 2, "ambiguous_room (91 92)": 1}


# --- Rule 3 --------------------------------------------------------------------------------------------------------


def _windows(hospital: Hospital) -> None:
    hospital.exam("101", 1, 10, ("10:00:00", 10), ("10:10:00", 10))
    hospital.exam("102", 1, 10, ("10:12:00", 10))
    hospital.exam("103", 2, 10, ("10:05:00", 10))
    hospital.samples("ANA1", 10, "09:58:59.001", "10:05:05", hub="H1")  # R2 is none of its rooms
    hospital.samples("ANA1", 10, "10:11:05", hub="H1", dose=4)
    hospital.samples("ANA1", 10, "09:58:59", "10:13:10", hub="H1", dose=8)


def test_within_60_seconds_of_exactly_one_procedure_is_its_window_of_several_none(fates: Fates) -> None:
    assert fates.of("ANA1", 10) == {"window 101": 2, "ambiguous_procedure (101 102)": 4, "no_procedure": 16}


# --- Rule 4 --------------------------------------------------------------------------------------------------------


def _spans(hospital: Hospital) -> None:
    def session(badge: str, day: int, dose: int, *more: str, source: str = "reader") -> None:
        hospital.record(source, badge, f"2024-03-{day:02}T09:00:00", f"2024-03-{day:02}T12:00:00", dose, *more)

    # Three rooms at work in the hours of one session.
    for day, by in ((11, "ANA"), (12, ""), (13, "")):
        hospital.exam(f"{day}1", 1, day, ("10:00:00", 10))
        hospital.exam(f"{day}3", 3, day, ("11:00:00", 10), by=by)
    session("ANA1", 11, 5)
    session("BO1", 11, 5, "H3", source="ward")
    session("ANA1", 12, 5)  # its sample is in R3
    hospital.samples("ANA1", 12, "11:00:05", hub="H3")
    session("BO1", 12, 5)  # of no room that anybody knows
    hospital.record("hours", "BO1", "2024-03-13T10:00:00", 3)
    hospital.record("hours", "BO1", "2024-03-13T14:00:00", 2)
    session("CY1", 13, 5)
    hospital.record("reader", "CY1", "2024-03-13T13:00:00", "2024-03-13T14:00:00", 6)
    # A C-arm badge is asked for its own room only; 1 of its 4 µSv shows as a sample.
    hospital.exam("211", 1, 21, ("10:00:00", 10))
    hospital.exam("212", 2, 21, ("10:30:00", 10))
    hospital.samples("REF1", 21, "10:00:05", hub="H1")
    hospital.record("hours", "REF1", "2024-03-21T10:00:00", 4)


def test_candidates_are_the_procedures_in_which_the_logbook_names_the_operator(fates: Fates) -> None:
    assert fates.of("ANA1", 11) == {"session 113": 5}


def test_else_those_in_the_hubs_room(fates: Fates) -> None:
    assert fates.of("BO1", 11) == {"session 113": 5}


def test_else_where_the_person_has_linked_samples(fates: Fates) -> None:
    assert fates.of("ANA1", 12) == {"event 123.1": 1, "session 123": 5}


def test_else_those_in_rooms_of_the_operators_specialty(fates: Fates) -> None:
    assert fates.of("BO1", 12) == {"session 121": 5}
    assert fates.of("CY1", 13)["session 133"] == 5


def test_an_hourly_residual_of_one_candidate_is_apportioned_of_none_residual(fates: Fates) -> None:
    assert fates.of("BO1", 13) == {"apportioned 131": 3, "residual": 2}


def test_a_session_without_a_candidate_has_no_procedure(fates: Fates) -> None:
    assert fates.of("CY1", 13)["no_procedure"] == 6


def test_the_candidates_of_a_c_arm_badge_are_the_procedures_of_its_room(fates: Fates) -> None:
    assert fates.of("REF1", 21) == {"event 211.1": 1, "covered": 1, "apportioned 211": 3}


def _shares(hospital: Hospital) -> None:
    """One person in two procedures of one session: what is shared, and by what."""
    for day, kaps in ((14, ("1", "3")), (15, ("1", "3")), (16, ("0", "0"))):
        hospital.exam(f"{day}1", 1, day, ("10:00:00", 10, kaps[0]), by="ANA")
        hospital.exam(f"{day}2", 2, day, ("10:30:00", 10, kaps[1]), by="ANA")
        hospital.record("reader", "ANA1", f"2024-03-{day}T09:00:00", f"2024-03-{day}T12:00:00", 10)
        hospital.record("hours", "ANA1", f"2024-03-{day}T10:00:00", 1)
    hospital.samples("REF1", 14, "10:00:05", hub="H1", dose=6)
    hospital.samples("REF2", 14, "10:30:05", hub="H2", dose=4)
    hospital.samples("REF1", 15, "10:00:05", hub="H1", dose=6)  # R2's badge says nothing: KAP for both


def test_several_candidates_share_by_the_c_arm_dose_of_the_overlap(fates: Fates) -> None:
    assert fates.of("ANA1", 14) == {"apportioned 141": 6 + 0.6, "apportioned 142": 4 + 0.4}


def test_else_by_kap(fates: Fates) -> None:
    assert fates.of("ANA1", 15) == {"apportioned 151": 2.5 + 0.25, "apportioned 152": 7.5 + 0.75}


def test_where_neither_tells_nothing_is_shared(fates: Fates) -> None:
    assert fates.of("ANA1", 16) == {"multi_procedure (161 162)": 11}


# --- Rule 5 --------------------------------------------------------------------------------------------------------


def _vendors(hospital: Hospital) -> None:
    hospital.exam("171", 1, 17, ("10:00:00", 10))
    hospital.exam("179", 7, 17, ("11:00:00", 10))  # of a room that nobody listed
    hospital.record("vendor", "ANA1", "1.5.171", 12)
    hospital.record("vendor", "BO1", "1.5.179", 13)
    hospital.record("passive", "CY1", "2024-03-01", "2024-03-17", 900)


def test_a_vendors_total_goes_to_its_study_even_in_an_unknown_room(fates: Fates) -> None:
    assert fates.of("ANA1", 17) == {"vendor 171": 12}
    assert fates.of("BO1", 17) == {"vendor 179": 13}


def test_a_passive_period_is_never_linked(fates: Fates) -> None:
    assert fates.of("CY1", 17) == {"passive_period": 900}


# --- Rule 6 --------------------------------------------------------------------------------------------------------


def _unknown_clocks(hospital: Hospital) -> None:
    for day in (18, 25):
        hospital.exam(f"{day}9", 9, day, ("10:00:00", 10), ("10:05:00", 10))
        hospital.samples("CY1", day, "10:00:05", hub="H9")
        hospital.samples("CY1", day, "10:02:00", hub="H9", dose=2)


def test_links_without_a_clock_are_of_low_confidence(fates: Fates) -> None:
    assert fates.of("CY1", 18) == {"event 189.1": 1, "window 189": 2}
    confidence = (
        "select study_instance_uid, link_confidence from marts.fct_operator_procedure join marts.fct_procedure "
    )
    found = dict(fates.rows(confidence + "using (procedure_id) where operator_id in ('CY', 'ANA')"))
    assert (found["1.5.189"], found["1.5.11"]) == ("low", "high")


def test_after_seven_days_a_window_is_no_link_any_more(fates: Fates) -> None:
    assert fates.of("CY1", 25) == {"event 259.1": 1, "clock_unknown (259)": 2}


# --- Several badges of a person ------------------------------------------------------------------------------------


def _many_badges(hospital: Hospital) -> None:
    hospital.exam("201", 1, 20, ("10:00:00", 10), ("10:05:00", 10), by="MANY")
    hospital.samples("COLLAR", 20, "10:00:05", "10:05:05", hub="H1")
    hospital.samples("COLLAR", 20, "10:03:00", hub="H1", dose=2)
    hospital.samples("CHEST", 20, "10:00:04", "10:00:05", "10:00:06", hub="H1", dose=4)
    hospital.samples("UNDER", 20, "10:00:05", hub="H1", dose=0.5)


def test_the_collar_badge_is_of_record_and_no_other_is_added(fates: Fates) -> None:
    table = "from marts.fct_operator_procedure where operator_id = 'MANY'"
    columns = "dosimeter_serial, hp10_usv, other_over_apron_usv, badge_status"
    assert fates.rows(f"select {columns} {table}") == [("COLLAR", 4, 12, "measured")]
    assert fates.of("UNDER", 20) == {"event 201.1": 0.5}  # linked in the ledger, in no row of a person


def test_the_doses_of_events_are_those_of_the_badge_of_record(fates: Fates) -> None:
    event = (
        "select irradiation_event_uid, hp10_usv from marts.fct_operator_event where operator_id = 'MANY' order by all"
    )
    assert fates.rows(event) == [("1.7.201.1", 1), ("1.7.201.2", 1)]
    unlike = """
        select operator_id, procedure_id, sum(linked.dose_usv) as linked_usv, any_value(events.hp10_usv) as events_usv
        from marts.fct_operator_procedure as rows
        inner join intermediate.int_disposition as linked using (procedure_id, operator_id, dosimeter_serial)
        left join (
            select procedure_id, operator_id, sum(hp10_usv) as hp10_usv from marts.fct_operator_event group by all
        ) as events using (procedure_id, operator_id)
        where linked.disposition = 'event' and linked.quantity = 'hp10'
        group by all
        having events_usv is null or abs(events_usv - linked_usv) > 1e-9
    """
    assert fates.rows(unlike) == []


def test_every_microsievert_of_all_this_is_somewhere(fates: Fates) -> None:
    balance = "select sum(ingested_usv) > 1000, max(abs(imbalance_usv)) from ledger.dose_balance"
    assert fates.rows(balance) == [(True, 0)]


SCENES = (
    *(_by_hand, _tolerances, _clocks, _unknown_hub, _allowed_rooms, _overlapping_beams, _two_rooms),
    *(_windows, _spans, _shares, _vendors, _unknown_clocks, _many_badges),
)
