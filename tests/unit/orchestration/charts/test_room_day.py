"""The chart of a room's day: what it shows of one day among other rooms and days, and what it says if there is none.

The build tables that it asks are made here, a row or two each; that it can be looked at was tried by looking.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

import duckdb
import pytest

from orchestration.charts.room_day import (
    BEAM_LANE,
    UNLINKED,
    NothingToDraw,
    RoomDay,
    latest_room_days,
    read_room_day,
    room_day_png,
)

DAY = date(2024, 3, 5)
TABLES = """
create schema staging; create schema intermediate;
create table staging.stg_site as select 'Europe/Madrid' as site_timezone;
create table intermediate.int_procedure as
select * from (values
    ('P1', 'R1', date '2024-03-05', timestamptz '2024-03-05 08:00:00+00', 'coronary_angiography'),
    ('P9', 'R2', date '2024-03-05', timestamptz '2024-03-05 08:00:00+00', 'tace')
) as procedures (procedure_id, room_id, procedure_date, started_at, procedure_type);
create table intermediate.int_clock_offset as
select * from (values
    ('R1', date '2024-03-05', 36.0, 0.5, 'cross_correlation', 1, 0.9, 3.0),
    ('R2', date '2024-03-05', null, null, 'none', 1, null, null)
) as offsets (
    room_id, offset_date, offset_s, uncertainty_s, offset_method, n_events, correlation, peak_ratio
);
create table intermediate.int_procedure_clock as
select procedure_id, room_id, procedure_date, clock_basis from intermediate.int_procedure
cross join (values ('room'), ('source')) as bases (clock_basis);
create table intermediate.int_beam_on as
select
    procedure_id, 1 as event_hash, clock_basis,
    timestamptz '2024-03-05 08:00:36+00' as started_at, timestamptz '2024-03-05 08:00:46+00' as ended_at
from intermediate.int_procedure_clock;
create table intermediate.int_disposition as
select
    dose_key, dosimeter_serial, operator_id, case when operator_id is null then 'R1' end as c_arm_room_id, procedure_id,
    disposition, 'rate_samples' as layout, 'hp10' as quantity, cast(0.1 as decimal(18, 9)) as dose_usv,
    date '2024-03-05' as measured_date, started_at, started_at + interval 1 second as ended_at
from (values
    (1, 'B1', 'OP1', 'P1', 'event', timestamptz '2024-03-05 08:00:40+00'),
    (2, 'REF', null, 'P1', 'event', timestamptz '2024-03-05 08:00:41+00'),
    (3, 'B1', 'OP1', null, 'unlinked', timestamptz '2024-03-05 08:20:00+00'),
    (4, 'B9', 'OP9', 'P9', 'event', timestamptz '2024-03-05 08:00:40+00'),
    (5, 'B9', 'OP9', null, 'unlinked', timestamptz '2024-03-05 08:20:00+00')
) as doses (dose_key, dosimeter_serial, operator_id, procedure_id, disposition, started_at);
create table intermediate.int_dose_evidence as
select dose_key, case when dosimeter_serial = 'B9' then 'R2' else 'R1' end as evident_room_id,
    cast(null as varchar[]) as evident_room_ids
from intermediate.int_disposition;
create table intermediate.int_sample_room as
select distinct dosimeter_serial, measured_date, evident_room_id, evident_room_ids, evident_room_id as room_id
from intermediate.int_disposition inner join intermediate.int_dose_evidence using (dose_key);
"""


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        con.execute(TABLES)
        yield con


@pytest.fixture
def room_day(con: duckdb.DuckDBPyConnection) -> RoomDay:
    return read_room_day(con, "R1", DAY)


def test_the_c_arm_comes_first_and_other_rooms_not_at_all(room_day: RoomDay) -> None:
    assert [(sample.lane, sample.procedure) for sample in room_day.samples] == [
        ("C-arm · REF", "1 · 09:00 coronary_angiography"),
        ("OP1 · B1", "1 · 09:00 coronary_angiography"),
        ("OP1 · B1", UNLINKED),
    ]


def test_times_are_local_and_the_offset_leads_back_to_the_modalitys_clock(room_day: RoomDay) -> None:
    (beam,) = room_day.beams
    assert (beam.lane, beam.start.isoformat()) == (BEAM_LANE, "2024-03-05T09:00:36")
    assert beam.moved(-room_day.offset).start.isoformat() == "2024-03-05T09:00:00"
    assert room_day.offset == timedelta(seconds=36)
    assert "+36.0 s ± 0.5 s (cross correlation, 1 irradiation events, correlation 0.90)" in room_day.clock


def test_a_rate_is_the_dose_over_the_sample(room_day: RoomDay) -> None:
    assert room_day.samples[0].rate_usv_per_h == pytest.approx(360)


def test_it_is_a_picture(room_day: RoomDay) -> None:
    assert room_day_png(room_day, scale=0.5).startswith(b"\x89PNG")


def test_an_unknown_clock_is_said_and_a_day_without_badges_is_drawn(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("delete from intermediate.int_disposition")
    room_day = read_room_day(con, "R2", DAY)
    assert room_day.clock.startswith("Clock unknown")
    assert room_day_png(room_day, scale=0.5).startswith(b"\x89PNG")


def test_what_there_is_instead_is_named(con: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(NothingToDraw, match="nearest days with one: 2024-03-05"):
        read_room_day(con, "R1", date(2024, 3, 6))
    with pytest.raises(NothingToDraw, match=r"no procedure .* in a room 'R7'; rooms that have some: R1, R2"):
        read_room_day(con, "R7", DAY)
    with duckdb.connect() as empty, pytest.raises(NothingToDraw, match="Nothing was built yet"):
        read_room_day(empty, "R1", DAY)


def test_the_latest_days_come_first(con: duckdb.DuckDBPyConnection) -> None:
    assert latest_room_days(con, 1) == [("R1", DAY)]
