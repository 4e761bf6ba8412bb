"""A night rebuilds only the dates whose inputs changed, and its tables equal those of a rebuild, value for value.

Whole sequences of nights on a small hospital: files that come late, again and corrected, everything that people
change in reference files afterwards, and runs for a past date between.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from support.changing_hospital import CHANGES, LAST_DAY, ChangingHospital, differences, night

from orchestration.dbt_build import build_tables
from orchestration.publication.build_record import drop_built_tables

# Each example is one to four nights and a rebuild: some ten seconds each. More: DOSELEDGER_EXAMPLES=50.
EXAMPLES = int(os.environ.get("DOSELEDGER_EXAMPLES", "1"))
SCHEMAS = ("intermediate", "marts", "ledger", "alerts")
# Tables that hold only what this build estimated or linked.
OF_ONE_BUILD = {
    "intermediate.int_clock_beam",
    "intermediate.int_clock_day",
    "intermediate.int_clock_sample",
    *(f"intermediate.int_{kind}" for kind in ("room_timeline", "event_interval", "window_interval", "room_interval")),
}
# The models with the configuration incremental_by_date(...).
KEPT = (
    "int_record_version",
    "int_record_balance",
    "int_record_conflict",
    "int_badge_day",
    "int_dose_evidence",
    "int_badge_hour",
    "int_hourly_residual",
    "int_sample_link",
    "int_disposition",
    "int_disposed_dose",
    "dose_balance",
    "unlinked_dose",
    "int_event",
    "int_beam_on",
    "fct_irradiation_event",
)

# A later report of another study claims the events of an earlier one, and an event of three days before, so that it is
# of another day: what the earlier report says has not changed, and yet its events are no longer its own.
TAKEN_OVER = """
create temp table taken as select min(load_seq) as load_seq from raw.irradiation_event;
insert into raw.file by name
select * replace (1000001 as load_seq, 1000001 as order_seq,
    'inbox/dose_reports/taken' as path, 'taken' as path_key, 'taken' as sha256)
from raw.file semi join taken using (load_seq);
insert into raw.dose_report by name
select * replace (1000001 as load_seq, '1.2.3.1' as sop_instance_uid, '1.2.3' as study_instance_uid,
    content_local + interval 1 year as content_local)
from raw.dose_report semi join taken using (load_seq);
insert into raw.irradiation_event by name
select * replace (1000001 as load_seq) from raw.irradiation_event semi join taken using (load_seq);
insert into raw.irradiation_event by name
select * replace (1000001 as load_seq, 0 as event_no, '1.2.3.2' as event_uid,
    started_local - interval 3 day as started_local)
from raw.irradiation_event semi join taken using (load_seq) order by event_no limit 1;
"""

# The study of a report goes on in another room, three days later: each of its rooms is now a procedure of its own, so
# that the events of the first day are of a procedure with another name, though nothing is new about their report.
GOES_ON_ELSEWHERE = """
create temp table first as
select max(load_seq) as load_seq from raw.irradiation_event join raw.dose_report using (load_seq)
where device_serial = '146301';
insert into raw.file by name
select * replace (1000002 as load_seq, 1000002 as order_seq,
    'inbox/dose_reports/on' as path, 'on' as path_key, 'on' as sha256)
from raw.file semi join first using (load_seq);
insert into raw.dose_report by name
select * replace (1000002 as load_seq, '1.2.3.3' as sop_instance_uid, '2CA0301' as device_serial,
    content_local + interval 3 day as content_local)
from raw.dose_report semi join first using (load_seq);
insert into raw.irradiation_event by name
select * replace (1000002 as load_seq, '1.2.3.4' as event_uid, started_local + interval 3 day as started_local)
from raw.irradiation_event semi join first using (load_seq) order by event_no limit 1;
"""

# A study of three days before goes on in a room within an event of another study, whose beam it ends: nothing is new
# about the other's report, and the day of this one's is another.
CUT_SHORT = """
create temp table long as
select load_seq, event_no, started_local, duration_s from raw.irradiation_event where duration_s > 1
order by load_seq desc, event_no limit 1;
insert into raw.file by name
select * replace (1000003 as load_seq, 1000003 as order_seq,
    'inbox/dose_reports/short' as path, 'short' as path_key, 'short' as sha256)
from raw.file semi join long using (load_seq);
insert into raw.dose_report by name
select * replace (1000003 as load_seq, '1.2.3.5' as sop_instance_uid, '1.2.3.6' as study_instance_uid)
from raw.dose_report semi join long using (load_seq);
insert into raw.irradiation_event by name
select event.* replace (1000003 as load_seq, days as event_no, '1.2.3.7.' || days as event_uid, 1 as duration_s,
    event.started_local - to_days(days::int) + to_microseconds((event.duration_s * 500000)::bigint) as started_local)
from raw.irradiation_event as event semi join long using (load_seq, event_no), range(0, 4, 3) as earlier (days);
"""

# A study gets one more event an hour later, in another report: the procedure is the same, and its beams are not.
ONE_MORE = """
create temp table long as
select load_seq, event_no from raw.irradiation_event where duration_s > 1 and load_seq < 1000000
order by load_seq desc, event_no limit 1;
insert into raw.file by name
select * replace (1000004 as load_seq, 1000004 as order_seq,
    'inbox/dose_reports/more' as path, 'more' as path_key, 'more' as sha256)
from raw.file semi join long using (load_seq);
insert into raw.dose_report by name
select * replace (1000004 as load_seq, '1.2.3.8' as sop_instance_uid)
from raw.dose_report semi join long using (load_seq);
insert into raw.irradiation_event by name
select * replace (1000004 as load_seq, '1.2.3.9' as event_uid, started_local + interval 1 hour as started_local)
from raw.irradiation_event semi join long using (load_seq, event_no);
"""

# An ID without issuer gets one from a report of three days before its reports, and a second one from another.
ISSUER_APPEARS = """
create temp table known as
select arg_min(load_seq, load_seq) as load_seq from raw.dose_report semi join raw.irradiation_event using (load_seq)
where load_seq < 1000000 and patient_id_key = (
    select patient_id_key from raw.dose_report
    where load_seq < 1000000 group by all order by count(distinct study_instance_uid) desc, patient_id_key limit 1
);
update raw.dose_report set issuer_key = null
where load_seq < 1000000
    and patient_id_key in (select patient_id_key from raw.dose_report semi join known using (load_seq));
insert into raw.file by name
select * replace (100001{n} as load_seq, 100001{n} as order_seq,
    'inbox/dose_reports/issuer{n}' as path, 'issuer{n}' as path_key, 'issuer{n}' as sha256)
from raw.file semi join known using (load_seq);
insert into raw.dose_report by name
select * replace (100001{n} as load_seq, '1.2.4.{n}' as sop_instance_uid, '1.2.5.{n}' as study_instance_uid,
    null as accession_number, 'issuer{n}' as issuer_key, 'patient{n}' as patient_key,
    content_local - interval 3 day as content_local, study_date - 3 as study_date)
from raw.dose_report semi join known using (load_seq);
insert into raw.irradiation_event by name
select * replace (100001{n} as load_seq, '1.2.6.{n}.' || event_no as event_uid,
    started_local - interval 3 day as started_local)
from raw.irradiation_event semi join known using (load_seq);
"""

# A device used the event UIDs of a report before, in a study of another patient of the day before.
REUSED = """
create temp table last as
select max(load_seq) as load_seq from raw.irradiation_event where load_seq < 1000000;
insert into raw.file by name
select * replace (1000020 as load_seq, 1000020 as order_seq,
    'inbox/dose_reports/reused' as path, 'reused' as path_key, 'reused' as sha256)
from raw.file semi join last using (load_seq);
insert into raw.dose_report by name
select * replace (1000020 as load_seq, '1.2.7' as sop_instance_uid, '1.2.8' as study_instance_uid,
    null as accession_number, 'another' as patient_key, 'another' as patient_id_key,
    'another' as patient_id_stripped_key, content_local - interval 1 day as content_local,
    study_date - 1 as study_date)
from raw.dose_report semi join last using (load_seq);
insert into raw.irradiation_event by name
select * replace (1000020 as load_seq, started_local - interval 1 day as started_local)
from raw.irradiation_event semi join last using (load_seq);
"""

steps = st.one_of(
    st.tuples(st.just("arrive"), st.integers(0, 100)),
    st.tuples(st.just("correct"), st.integers(0, 5)),
    st.tuples(st.just("withdraw"), st.integers(0, 100)),
    st.tuples(st.just("change"), st.sampled_from(sorted(CHANGES))),
)
nights = st.tuples(st.lists(steps, min_size=1, max_size=8), st.sampled_from([LAST_DAY, LAST_DAY, date(2024, 3, 29)]))


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> ChangingHospital:
    """A hospital of which half of the files have arrived and were built."""
    made = ChangingHospital(tmp_path_factory.mktemp("changing") / "site")
    for number in range(len(made.waiting) // 2):
        made.arrive(7 * number)
    made.night()
    return made


def apply(hospital: ChangingHospital, happened: Sequence[tuple[str, object]]) -> None:
    for what, which in happened:
        getattr(hospital, what)(which)


def unequal(hospital: ChangingHospital, folder: Path, as_of: date = LAST_DAY) -> dict[str, tuple[int, int]]:
    found = differences(hospital.site.build_db, hospital.rebuilt(folder, as_of), SCHEMAS)
    return {name: rows for name, rows in found.items() if name not in OF_ONE_BUILD}


def made_by(hospital: ChangingHospital) -> dict[tuple[str, date], str]:
    """The build of each date of the incremental tables. DuckDB moves rows, so their position shows nothing."""
    with duckdb.connect(hospital.site.build_db, read_only=True) as con:
        partitions = con.execute(
            "select model, partition_date, build_id from ops.date_partition where model in ?", [list(KEPT)]
        ).fetchall()
    assert {model for model, _, _ in partitions} == set(KEPT)
    return {(model, day): build_id for model, day, build_id in partitions}


def ask(hospital: ChangingHospital, *queries: str) -> list[int]:
    """The number that each query gives."""
    with duckdb.connect(hospital.site.build_db, read_only=True) as con:
        return [con.execute(query).fetchall()[0][0] for query in queries]


def beam_ends(hospital: ChangingHospital) -> dict[str, Any]:
    """When each event's beam went off, by the room's clock."""
    with duckdb.connect(hospital.site.build_db, read_only=True) as con:
        return dict(
            con.execute(
                "select irradiation_event_uid, beam_on.ended_at - to_seconds(shift_s::double)"
                " from intermediate.int_beam_on as beam_on"
                " join intermediate.int_procedure_clock using (procedure_id, clock_basis) where clock_basis = 'room'"
            ).fetchall()
        )


# --- equal ---------------------------------------------------------------------------------------------------------


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    phases=[Phase.generate],  # shrinking would take hours
    suppress_health_check=list(HealthCheck),
)
@given(happened=st.lists(nights, min_size=1, max_size=4))
def test_after_any_nights_the_tables_are_those_of_a_rebuild(
    hospital: ChangingHospital,
    tmp_path_factory: pytest.TempPathFactory,
    happened: list[tuple[list[tuple[str, int | str]], date]],
) -> None:
    for changes, as_of in happened:
        apply(hospital, changes)
        hospital.night(as_of)
    assert unequal(hospital, tmp_path_factory.getbasetemp() / "rebuilt", happened[-1][1]) == {}


def test_a_build_that_is_killed_is_made_whole_by_the_next(hospital: ChangingHospital, tmp_path: Path) -> None:
    apply(hospital, [("arrive", 3), ("arrive", 9), ("change", "badge given to another"), ("correct", 1)])
    process = subprocess.Popen(
        [sys.executable, __file__, str(hospital.root)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    for line in process.stdout:  # each line: a model that was built
        if line.strip() == "int_dose_evidence":
            break
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    hospital.night()
    assert unequal(hospital, tmp_path / "rebuilt") == {}


def test_what_is_said_later_of_known_input_changes_it_back_and_forth(
    hospital: ChangingHospital, tmp_path: Path
) -> None:
    """Files that are withdrawn, dose that is linked by hand, and which sources a badge is of."""
    apply(hospital, [("arrive", 0)] * len(hospital.waiting))
    said = [("change", "dose linked by hand"), ("change", "badge's sources named"), ("withdraw", 0), ("withdraw", -20)]
    unclear = "select count(*) from intermediate.int_unclear_badge"
    by_hand = "select count(*) from intermediate.int_disposition where disposition = 'manual'"
    withdrawn = "select count(*) from ledger.file_balance where rows_withdrawn > 0"
    hospital.night()
    before = ask(hospital, unclear, by_hand, withdrawn)
    assert before[0] > 0
    apply(hospital, said)
    hospital.night()
    assert ask(hospital, unclear) == [0]
    assert min(ask(hospital, by_hand, withdrawn)) > 0
    assert unequal(hospital, tmp_path / "rebuilt") == {}
    apply(hospital, said)
    hospital.night()
    assert ask(hospital, unclear, by_hand, withdrawn) == before
    assert unequal(hospital, tmp_path / "rebuilt") == {}


def test_events_follow_their_room_its_calibration_and_later_reports(hospital: ChangingHospital, tmp_path: Path) -> None:
    for change in ("room's own time zone", "KAP recalibrated"):
        apply(hospital, [("change", change)])
        hospital.night()
    for reports in (TAKEN_OVER, GOES_ON_ELSEWHERE):
        with duckdb.connect(hospital.site.build_db) as con:
            con.execute(reports)
        hospital.night()
    with duckdb.connect(hospital.site.build_db, read_only=True) as con:
        taken = con.execute("select count(*) from intermediate.int_repeated_event where load_seq = 1000001").fetchall()
        rooms = con.execute(
            "select room_id from marts.fct_procedure semi join (from raw.dose_report where load_seq = 1000002)"
            " using (study_instance_uid) order by 1"
        ).fetchall()
    assert rooms == [("CATH1",), ("IR1",)]
    assert taken[0][0] > 0
    assert unequal(hospital, tmp_path / "rebuilt") == {}


@pytest.mark.parametrize(("batch_rows", "is_by_day"), [(1, True), (10**9, False)])
def test_dates_are_built_in_batches(
    hospital: ChangingHospital, tmp_path: Path, batch_rows: int, is_by_day: bool
) -> None:
    copy = Path(shutil.copy(hospital.site.build_db, tmp_path))
    with duckdb.connect(copy) as con:
        drop_built_tables(con)
        con.execute(
            "update raw.dose_record set quantity = 'hp99' where layout = 'rate_samples'"
            " and started_at = (select max(started_at) from raw.dose_record where layout = 'rate_samples')"
        )
    build = build_tables(
        copy, LAST_DAY, selection=("--exclude-resource-type", "test"), variables={"batch_rows": batch_rows}
    )
    assert "hp99" in build.failures[0]  # its batch fails, and those before it remain
    with duckdb.connect(copy, read_only=True) as con:
        made = con.execute("select partition_date from ops.date_partition where model = 'int_dose_evidence'").fetchall()
        stored = con.execute("select distinct measured_date from intermediate.int_dose_evidence").fetchall()
    assert set(stored) <= set(made)  # a day may have no dose that counts
    assert (len(stored) > 1) == is_by_day


def test_a_kept_table_with_other_columns_is_refused_by_name(hospital: ChangingHospital, tmp_path: Path) -> None:
    hospital.night()
    copy = Path(shutil.copy(hospital.site.build_db, tmp_path))
    with duckdb.connect(copy) as con:
        con.execute("alter table ledger.unlinked_dose add column other int")
    build = build_tables(copy, LAST_DAY, selection=("--select", "unlinked_dose", "--exclude-resource-type", "test"))
    assert len(build.failures) == 1
    assert 'unlinked_dose" has other columns than its model' in build.failures[0]


# --- only what was touched -----------------------------------------------------------------------------------------


def test_nothing_new_makes_no_day_anew(hospital: ChangingHospital) -> None:
    hospital.night()
    before = made_by(hospital)
    hospital.night()
    assert made_by(hospital) == before


def test_a_change_makes_its_own_days_anew_and_no_other(hospital: ChangingHospital) -> None:
    hospital.night()
    before = made_by(hospital)
    apply(hospital, [("change", "dose was nobody's")])  # from 28 to 29 March
    hospital.night()
    after = made_by(hospital)
    made = {(table, day) for (table, day), build in after.items() if build != before.get((table, day))}
    assert made
    # The correction reaches a day around its two, for records that lie across midnight; a clock is estimated from the
    # doses of a day more, and an hour of a counter may reach over a gap of days.
    further = ("int_clock_match", "int_hourly_residual")
    reach = {table: range(26, 32) if table in further else range(27, 31) for table in KEPT}
    assert {(table, day) for table, day in made if day.day not in reach[table]} == set()


# --- last: studies of several days make days neighbours, and no file comes after a report that is added by hand ---


def test_a_beam_ends_where_one_that_is_reported_later_begins(hospital: ChangingHospital, tmp_path: Path) -> None:
    apply(hospital, [("change", "room's clock declared")])
    hospital.night()
    before = beam_ends(hospital)
    with duckdb.connect(hospital.site.build_db) as con:
        con.execute(CUT_SHORT)
    hospital.night()
    after = beam_ends(hospital)
    assert [uid for uid in before if after[uid] < before[uid]]
    with duckdb.connect(hospital.site.build_db) as con:
        con.execute(ONE_MORE)
    hospital.night()
    assert "1.2.3.9" in beam_ends(hospital)
    assert unequal(hospital, tmp_path / "rebuilt") == {}


def test_patients_and_events_follow_issuers_and_reused_uids(hospital: ChangingHospital, tmp_path: Path) -> None:
    patients = (
        "select count(distinct patient_key) from intermediate.int_patient semi join ("
        "from intermediate.int_patient where stated_patient_key = 'patient0') as known using (patient_id_key)"
    )
    reused = "select count(*) from marts.fct_irradiation_event where irradiation_event_uid like 'made-%'"
    (before,) = ask(hospital, reused)
    for n, n_patients in enumerate((1, 3)):  # merged; an ID of two issuers and none
        with duckdb.connect(hospital.site.build_db) as con:
            con.execute(ISSUER_APPEARS.format(n=n))
        hospital.night()
        assert ask(hospital, patients) == [n_patients]
        assert unequal(hospital, tmp_path / "rebuilt") == {}
    with duckdb.connect(hospital.site.build_db) as con:
        con.execute(REUSED)
    hospital.night()
    assert ask(hospital, reused)[0] > before
    assert unequal(hospital, tmp_path / "rebuilt") == {}


if __name__ == "__main__":
    night(Path(sys.argv[1]), finished=lambda name, _done, _total: print(name, flush=True))  # noqa: T201
