"""The dose record of one person: the numbers of the published tables, of nobody else, as CSV and as one page."""

from __future__ import annotations

import csv
from pathlib import Path

import duckdb
import pytest
from support.published_sites import PublishedSites
from typer.testing import CliRunner

from orchestration.cli import app

OPERATOR = "CD01"


@pytest.fixture(scope="module")
def root(published_sites: PublishedSites) -> Path:
    return published_sites.site("tiny-paper")


@pytest.fixture(scope="module")
def record(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("record") / "record"
    done = CliRunner().invoke(app, ["dose-record", "--site", str(root), "--operator", OPERATOR, "-o", str(file)])
    assert done.exit_code == 0, done.output
    return file


def rows(record: Path, kind: str, quantity: str = "") -> list[dict[str, str]]:
    with record.with_name("record.csv").open(encoding="utf-8-sig", newline="") as file:
        return [row for row in csv.DictReader(file) if row["kind"] == kind and quantity in ("", row["quantity"])]


def published(root: Path, query: str) -> list[tuple[object, ...]]:
    with duckdb.connect(root / "data/published/current/warehouse.duckdb", read_only=True) as con:
        return con.execute(query, [OPERATOR]).fetchall()


def test_months_and_years_are_those_of_the_warehouse(root: Path, record: Path) -> None:
    for quantity, column in (
        ("effective", "effective_dose_low_usv"),
        ("hp10_over_apron_warning", "hp10_over_apron_warning_usv"),
        ("hp3_estimate", "hp3_estimate_usv"),
    ):
        expected = published(
            root,
            f"select month, {column} / 1000 from marts.fct_operator_month"
            f" where operator_id = ? and {column} is not null order by 1",
        )
        found = rows(record, "month", quantity)
        assert expected
        assert [row["begin"] for row in found] == [str(month) for month, _ in expected]
        assert [float(row["dose_msv"]) for row in found] == pytest.approx([dose for _, dose in expected], rel=1e-5)
        years = rows(record, "year", quantity)
        assert sum(float(row["dose_msv"]) for row in years) == pytest.approx(
            sum(float(str(dose)) for _, dose in expected), rel=1e-4
        )


def test_each_result_of_a_passive_badge_is_a_wear_period(root: Path, record: Path) -> None:
    ((results, below, usv),) = published(
        root,
        "select count(*), count(*) filter (where reason = 'below_detection'), sum(hp10_usv) from ledger.unlinked_dose"
        " where operator_id = ? and reason in ('passive_period', 'below_detection')",
    )
    found = rows(record, "wear_period")

    assert (len(found), sum(row["n_below_detection"] == "1" for row in found)) == (results, below)
    assert results
    assert all(not row["dose_msv"] for row in found if row["n_below_detection"] == "1")
    assert sum(float(row["dose_msv"] or 0) for row in found) == pytest.approx(float(str(usv or 0)) / 1000)
    # Local dates of whole months, as the laboratory stated them.
    assert {row["begin"][-2:] for row in found} == {"01"}


def test_limits_are_those_that_apply(root: Path, record: Path) -> None:
    expected = published(
        root, "select quantity, dose_window, limit_msv from marts.fct_operator_limit where operator_id = ?"
    )
    found = {(row["quantity"], row["limit_window"], float(row["limit_msv"])) for row in rows(record, "limit")}

    assert found == set(expected)
    assert found


def test_the_record_is_of_one_person_and_only_its_owner_reads_it(root: Path, record: Path) -> None:
    page, table = record.with_name("record.html"), record.with_name("record.csv")
    others = published(root, "select operator_id from marts.dim_operator where operator_id <> ?")
    for file in (page, table):
        assert file.stat().st_mode & 0o777 == 0o600
        text = file.read_text("utf-8")
        assert OPERATOR in text
        assert not [other for (other,) in others if str(other) in text]
    html = page.read_text("utf-8")
    assert "<script" not in html
    assert 'href="static' not in html


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--operator", "NOBODY"], "reference/operators.csv has no operator_id 'NOBODY'"),
        (["--operator", OPERATOR, "-o", "{published}/x"], "which only runs write"),
    ],
)
def test_a_mistake_is_one_sentence(root: Path, tmp_path: Path, arguments: list[str], sentence: str) -> None:
    published_dir = str(root / "data" / "published")
    given = [argument.format(published=published_dir) for argument in arguments]
    given += [] if "-o" in given else ["-o", str(tmp_path / "record")]

    done = CliRunner().invoke(app, ["dose-record", "--site", str(root), *given])

    assert done.exit_code == 1
    assert sentence in " ".join(done.output.split())
    assert list(tmp_path.iterdir()) == []
