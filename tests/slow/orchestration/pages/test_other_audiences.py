"""The pages of the head of department and the occupational physician: their own database, and no names."""

from __future__ import annotations

import re
import stat
from html import unescape

import duckdb
import pytest
from slow.orchestration.pages.conftest import Changed, Night

PRIVATE = (
    ("marts.dim_operator", "operator_id"),
    ("marts.fct_procedure", "procedure_id"),
    ("marts.fct_procedure", "accession_number"),
    ("marts.fct_procedure", "study_instance_uid"),
    ("marts.fct_procedure", "patient_key"),
    ("marts.dim_dosimeter", "dosimeter_serial"),
)


def text_of(night: Night, page: str) -> str:
    return unescape(re.sub(r"<[^>]+>", " ", (night.folder / page).read_text("utf-8")))


def test_the_department_page_names_nobody_and_nothing_of_one_procedure(night: Night) -> None:
    page = (night.folder / "department/pages/index.html").read_text("utf-8")
    with duckdb.connect(night.folder / "restricted/restricted.duckdb", read_only=True) as connection:
        for table, column in PRIVATE:
            values = connection.execute(f"select distinct {column} from {table} where {column} <> ''").fetchall()
            assert values
            assert [value for (value,) in values if re.search(rf"\b{re.escape(value)}\b", page)] == [], column


def test_the_department_page_has_each_row_of_its_copy(night: Night) -> None:
    page = (night.folder / "department/pages/index.html").read_text("utf-8")
    with duckdb.connect(night.folder / "department/warehouse.duckdb", read_only=True) as connection:
        (rows,) = connection.execute("select count(*) from department.dose_statistics").fetchall()[0]
        (doses,) = connection.execute("select count(median_hp10_usv) from department.dose_statistics").fetchall()[0]
    body = re.findall(r"<tbody>(.*?)</tbody>", page, re.S)
    cells = [re.findall(r'<td class="num" data-value="([^"]*)"', row) for part in body for row in part.split("</tr>")]
    values = [row for row in cells if row]
    assert rows and len(values) == rows
    assert sum(bool(row[5]) for row in values) == doses


@pytest.mark.parametrize(
    ("pages", "database", "file_mode", "folder_mode"),
    [
        ("pages/physics", "warehouse.duckdb", 0o640, 0o750),
        ("pages/operators", "warehouse.duckdb", 0o640, 0o750),
        ("restricted/pages", "restricted/restricted.duckdb", 0o600, 0o700),
        ("department/pages", "department/warehouse.duckdb", 0o640, 0o750),
    ],
)
def test_every_file_and_folder_of_pages_has_the_mode_of_its_database(
    night: Night, pages: str, database: str, file_mode: int, folder_mode: int
) -> None:
    assert stat.S_IMODE((night.folder / database).stat().st_mode) == file_mode
    places = [night.folder / pages, *(night.folder / pages).rglob("*")]
    assert {place.suffix for place in places if place.is_file()} >= {".html", ".css", ".js"}
    modes = {(place.is_dir(), stat.S_IMODE(place.stat().st_mode)) for place in places}
    assert modes == {(True, folder_mode), (False, file_mode)}
    owners = {(place.stat().st_uid, place.stat().st_gid) for place in [*places, night.folder / database]}
    assert len(owners) == 1


@pytest.mark.parametrize("language", ["en", "fr", "es"])
def test_the_occupational_physician_reads_the_restricted_findings_only(changed: Changed, language: str) -> None:
    one = "(select min(alert_id) from alerts.alert where operator_id <> '' and state = 'open')"
    night = changed(
        "update alerts.alert set rule = 'pregnancy', audience = 'restricted', severity = 'urgent',"
        f" operator_id = 'SOMEBODY', quantity = 'hp10', unit = 'mSv' where alert_id = {one}",
        "insert into marts.fct_operator_limit by name select * replace ('SOMEONE' as operator_id,"
        " 'pregnancy' as dose_window, 0.31 as dose_low_msv, 0.42 as dose_high_msv, 1.0 as limit_msv,"
        " true as is_begin_unknown) from marts.fct_operator_limit order by operator_id, quantity, dose_window limit 1",
        language=language,
    )
    page = text_of(night, "restricted/pages/index.html")
    assert "SOMEBODY" in page
    pregnancies = page[page.index("SOMEONE") :]
    assert re.search(r"0[.,]31", pregnancies)
    assert re.search(r"0[.,]42", pregnancies)
    with duckdb.connect(night.folder / "restricted/restricted.duckdb", read_only=True) as connection:
        others = connection.execute("select distinct operator_id from alerts.alert where audience <> 'restricted'")
        assert [who for (who,) in others.fetchall() if who and re.search(rf"\b{re.escape(who)}\b", page)] == []
