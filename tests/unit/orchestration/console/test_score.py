"""The score's arithmetic on one hand-made day: two procedures with a report, one without, figures by hand."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from support.small_site import make_site
from typer.testing import CliRunner

from ingest.problems import UserError
from orchestration.cli import app
from orchestration.console.score import OffsetError, Score, read_truth, score

TRUTH = {
    "procedure": "study_instance_uid,procedure_date\nS1,2024-03-04\nS2,2024-03-04\nS3,2024-03-04\n",
    # 60 + 30 uSv in samples of procedures with a report, 10 of one without; OP2 carries a session badge.
    "operator_procedure": "study_instance_uid,operator_id,dosimeter_serial,hp10_samples_usv,badge_status,is_decided,"
    "expected_present\nS1,OP1,B1,60,measured,1,1\nS2,OP1,B1,30,measured,1,1\nS3,OP1,B1,10,measured,1,0\n"
    "S1,OP2,B2,,measured,1,1\nS2,OP2,B2,,zero|measured,0,1\n",
    "operator_event": "study_instance_uid,irradiation_event_uid,operator_id,hp10_samples_usv\n"
    "S1,E1,OP1,40\nS1,E2,OP1,20\nS2,E3,OP1,30\n",
    "clock": "room_id,offset_date,offset_s,reference_badge_alive\nR1,2024-03-04,10,1\nR2,2024-03-04,-3,0\n",
    "total": "source_id,dosimeter_serial,quantity,measured_date,ingested_usv,covered_by_samples_usv\n"
    "rates,B1,hp10,2024-03-04,100,0\nrates,B1,hp10,2024-03-05,1,0\n",
}

# Published: S1 gets 2 uSv less; S2 gets 5 too much, which come from the procedure without report. The plain join puts
# everything on S1.
LINKED = """
    create temp table linked as
    from (values
        ('published', 'S1', 'OP1', 'B1', 'measured', 58::decimal(18, 9)),
        ('published', 'S2', 'OP1', 'B1', 'measured', 35),
        ('published', 'S2', 'OP2', 'B2', 'measured', 4),
        ('plain_join', 'S1', 'OP1', 'B1', 'measured', 100)
    ) as t (method, study_instance_uid, operator_id, dosimeter_serial, badge_status, hp10_usv);
    create temp table linked_event as
    from (values
        ('published', 'E1', 'OP1', 38::decimal(18, 9)),
        ('published', 'E2', 'OP1', 20),
        ('published', 'E3', 'OP1', 35),
        ('plain_join', 'E1', 'OP1', 9)
    ) as t (method, irradiation_event_uid, operator_id, hp10_usv);
    create temp table used_offset as
    from (values
        ('published', 'R1', '2024-03-04', 10.5), ('published', 'R2', '2024-03-04', null),
        ('plain_join', 'R1', '2024-03-04', null), ('plain_join', 'R2', '2024-03-04', null)
    ) as t (method, room_id, offset_date, offset_s);
    create temp table balance as
    from (values
        ('rates', 'B1', 'hp10', date '2024-03-04', 100::decimal(18, 9), 0::decimal(18, 9), 0::decimal(18, 9)),
        ('rates', 'B9', 'hp10', date '2024-03-04', 7, 0, -0.000000001)
    ) as t (source_id, dosimeter_serial, quantity, measured_date, ingested_usv, covered_by_samples_usv, imbalance_usv);
"""


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    for name, text in TRUTH.items():
        (tmp_path / f"truth_{name}.csv").write_text(text, encoding="utf-8")
    return tmp_path


@pytest.fixture
def found(truth: Path) -> Iterator[Score]:
    with duckdb.connect() as con:
        read_truth(con, truth)
        con.execute(LINKED)
        yield score(con, "run")


def test_dose_is_right_wrong_or_unlinked(found: Score) -> None:
    assert found.registered_usv == 100
    # Right: 58 of S1, 30 of S2, and 5 of the 10 that nobody may have.
    assert found.published.right_share == pytest.approx(0.93)
    assert found.published.wrong_share == pytest.approx(0.05)
    assert found.published.unlinked_share == pytest.approx(0.02)
    assert found.plain_join.right_share == pytest.approx(0.60)
    assert found.plain_join.wrong_share == pytest.approx(0.40)
    assert found.plain_join.unlinked_share == 0


def test_dose_in_the_wrong_event_is_not_right(found: Score) -> None:
    assert found.published.right_event_share == pytest.approx((38 + 20 + 30) / 90)
    assert found.plain_join.right_event_share == pytest.approx(9 / 90)


def test_rows_are_counted_once_and_open_ones_not_at_all(found: Score) -> None:
    assert (found.published.row_precision, found.published.row_recall) == (1, 1)
    assert (found.plain_join.row_precision, found.plain_join.row_recall) == (1, 0.5)
    # Decided are S1 and S2 of OP1 and S1 of OP2, of which the last has no row.
    assert found.measured_precision == 1
    assert found.measured_recall == pytest.approx(2 / 3)


def test_an_offset_that_nobody_knows_counts_as_none(found: Score) -> None:
    assert found.published.offset_error == OffsetError(1, 0.5, 0.5, 0.5)
    assert found.published.offset_error_all.room_days == 2
    assert found.published.offset_error_all.max_s == 3
    assert found.plain_join.offset_error_all.max_s == 10


def test_the_ledger_is_compared_to_the_ninth_digit(found: Score) -> None:
    assert found.imbalance_usv == Decimal("0.000000001")
    assert found.ledger_rows_wrong == 1  # 5 March is missing


def test_a_missing_truth_table_is_named(truth: Path) -> None:
    (truth / "truth_clock.csv").unlink()
    with duckdb.connect() as con, pytest.raises(UserError, match=r"truth_clock\.csv is missing: --truth names"):
        read_truth(con, truth)


def test_a_site_without_a_publication_is_told_what_to_do(tmp_path: Path) -> None:
    site = make_site(tmp_path / "site")
    result = CliRunner().invoke(app, ["score", "--site", str(site), "--truth", str(tmp_path)])
    assert result.exit_code == 1
    assert "nothing is published yet; run 'doseledger run" in result.output
