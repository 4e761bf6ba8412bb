"""Which sendings of an event UID are one event: the model's SQL on random sendings against the contract's rule.

The rule is written once more here, pair by pair; the model decides over any number of studies.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from itertools import combinations
from random import Random
from typing import NamedTuple

import duckdb
from hypothesis import given, settings
from hypothesis import strategies as st
from support import paths

MODEL = paths.DBT_PROJECT / "models/intermediate/reports/int_resent_event.sql"
TABLES = {"{{ ref('int_report') }}": "report", "{{ ref('stg_irradiation_event') }}": "event"}
MINUTES = 10
BEGIN = datetime(2024, 3, 5, 10)  # noqa: DTZ001 - the modality's clock


class Sending(NamedTuple):
    """One event of one report, each report of a study of its own."""

    device: str | None
    patient: str | None
    start_min: int | None


SENDINGS = st.lists(
    st.builds(
        Sending,
        st.sampled_from(["D1", "D2", None]),
        st.sampled_from(["P1", "P2", None]),
        st.sampled_from([0, 8, 10, 16, 21, 40, None]),
    ),
    min_size=1,
    max_size=7,
)


def model() -> str:
    """The model as dbt would compile it, on the tables of this test."""
    sql = MODEL.read_text("utf-8").replace("{{ var('same_event_min') }}", str(MINUTES))
    for reference, table in TABLES.items():
        sql = sql.replace(reference, table)
    return re.sub(r"\{\{ key_of\(\['(\S+)', '(\S+)'\]\) \}\}", r"sha256(concat_ws(chr(31), \1, \2))", sql)


def events(sendings: list[Sending], order: list[int]) -> dict[int, str]:
    """The event of each sending, by its place; the rows are stored in the given order."""
    with duckdb.connect() as con:
        con.execute(
            "create table report (load_seq bigint, study_key varchar, study_name varchar, device_serial varchar,"
            " patient_key varchar, device_timezone varchar, version_rank bigint);"
            "create table event (load_seq bigint, event_no integer, irradiation_event_uid varchar,"
            " started_local timestamp, utc_offset_min integer)"
        )
        for n in order:
            one = sendings[n]
            start = None if one.start_min is None else BEGIN + timedelta(minutes=one.start_min)
            con.execute("insert into report values (?, ?, ?, ?, ?, 'UTC', ?)", [n, f"S{n}", f"S{n}", *one[:2], n])
            con.execute("insert into event values (?, 1, 'u', ?, null)", [n, start])
        return dict(con.execute(f"select load_seq, irradiation_event_uid from ({model()})").fetchall())


def differ(one: Sending, other: Sending) -> bool:
    """The contract's rule for two sendings of different studies; what is not stated is no difference."""
    stated = [(a, b) for a, b in zip(one, other, strict=True) if a is not None and b is not None]
    if one.start_min is None or other.start_min is None:
        return any(a != b for a, b in stated)
    *names, (start, other_start) = stated
    assert isinstance(start, int)
    assert isinstance(other_start, int)
    return abs(start - other_start) > MINUTES or any(a != b for a, b in names)


@settings(max_examples=60, deadline=None)
@given(SENDINGS, st.randoms(use_true_random=False))
def test_no_two_that_differ_are_one_event_in_any_order(sendings: list[Sending], chance: Random) -> None:
    order = list(range(len(sendings)))
    found = events(sendings, order)
    chance.shuffle(order)
    assert events(sendings, order) == found
    assert found.keys() == (set(order) if len(sendings) > 1 else set()), "each sending has its event"
    if found:
        assert "u" in found.values(), "the first event keeps the UID"
    for n, m in combinations(found, 2):
        if differ(sendings[n], sendings[m]):
            assert found[n] != found[m], (sendings[n], sendings[m])
    if len(sendings) == 2:
        assert (found[0] == found[1]) is not differ(*sendings)
