"""`doseledger page`: any procedure as one file that needs no other, never inside of what is published."""

from __future__ import annotations

import base64
import hashlib
import re
import stat
from pathlib import Path

import duckdb
import pytest
from slow.orchestration.pages.conftest import Night
from slow.orchestration.pages.test_procedure_pages import words
from slow.orchestration.pages.test_published_pages import References
from unit.orchestration.console.test_cli import call, refused

WITHOUT_PAGE = """
    from marts.fct_procedure
    where procedure_id not in (select procedure_id from marts.dim_procedure_page)
    order by irradiation_events desc, procedure_id
    limit 1
"""


def site_of(night: Night) -> Path:
    return night.folder.parents[3]


def rows(night: Night, query: str) -> list[tuple[str, ...]]:
    with duckdb.connect(night.folder / "warehouse.duckdb", read_only=True) as con:
        return con.execute(query).fetchall()


def written(night: Night, procedure: str, file: Path) -> str:
    result = call("page", procedure, "--site", site_of(night), "-o", file)
    assert result.exit_code == 0, result.output
    return file.read_text("utf-8")


def needs_no_other_file(html: str) -> bool:
    """Tell whether a page names no other file, has no script, and its policy allows the one style that it has."""
    references = References()
    references.feed(html)
    (style,) = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    allowed = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    names = [name for name in references.names if name != "data:," and name.removeprefix("#") not in references.ids]
    policy = f"default-src 'none'; style-src 'sha256-{allowed}'; img-src data:"
    return not names and "<script" not in html and "url(" not in style and f'content="{policy}"' in html


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOSELEDGER_KEY", "0123456789abcdef0123456789abcdef")


def test_a_procedure_with_a_page_has_the_same_words_in_one_file(night: Night, tmp_path: Path) -> None:
    ((procedure_id, accession_number),) = rows(
        night,
        "select procedure_id, accession_number from marts.dim_procedure_page join marts.fct_procedure"
        " using (procedure_id) where accession_number <> '' order by procedure_id limit 1",
    )
    html = written(night, accession_number, tmp_path / "page.html")
    assert needs_no_other_file(html)
    published = (night.physics / "procedures" / f"{procedure_id}.html").read_text("utf-8")
    main = re.compile("<main.*</main>", re.DOTALL)
    own, other = (main.findall(page)[0] for page in (html, published))
    assert words(own) == words(other)


def test_a_procedure_without_a_page_has_its_events_and_the_dose_of_each(night: Night, tmp_path: Path) -> None:
    ((procedure_id,),) = rows(night, f"select procedure_id {WITHOUT_PAGE}")
    html = written(night, procedure_id[:8], tmp_path / "page.html")
    assert needs_no_other_file(html)
    assert procedure_id in html
    assert "the records of this procedure are not published" in words(html)
    (events,) = re.findall(r'<section aria-labelledby="events">(.*?)</section>', html, re.DOTALL)
    cells = [re.findall(r'data-value="([^"]*)"', row) for row in events.split("<tr>")[2:]]
    kap = "select kap_gy_cm2, ka_r_mgy from marts.fct_irradiation_event where procedure_id = "
    expected = rows(night, f"{kap} '{procedure_id}' order by started_at nulls last, plane, irradiation_event_uid")
    assert len(expected) > 1
    assert [tuple(row[2:4]) for row in cells] == [tuple(map(str, row)) for row in expected]
    doses = rows(
        night,
        "select operator_id, sum(hp10_usv) as dose from marts.fct_operator_event"
        f" where procedure_id = '{procedure_id}' group by operator_id having dose > 0 order by dose",
    )
    assert doses
    by_person = zip(*(row[4 : 4 + len(doses)] for row in cells), strict=True)
    assert sorted(sum(map(float, column)) for column in by_person) == pytest.approx([dose for _, dose in doses])


def test_the_file_is_its_owners_and_is_replaced_whole(night: Night, tmp_path: Path) -> None:
    ((procedure_id,),) = rows(night, f"select procedure_id {WITHOUT_PAGE}")
    file = tmp_path / "page.html"
    html = written(night, procedure_id, file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.write_text("older")
    assert written(night, procedure_id, file) == html
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


@pytest.mark.parametrize("place", ["x.html", "current/x.html", "current/pages/physics/index.html", "../published/x"])
def test_no_file_is_written_into_what_is_published(night: Night, place: str) -> None:
    published = site_of(night) / "data" / "published"
    before = sorted(published.rglob("*"))
    ((procedure_id,),) = rows(night, f"select procedure_id {WITHOUT_PAGE}")
    assert "which only runs write" in refused("page", procedure_id, "--site", site_of(night), "-o", published / place)
    assert sorted(published.rglob("*")) == before


def test_a_link_into_what_is_published_is_no_way_round(night: Night, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(night.folder)
    assert "only runs write" in refused("page", "x", "--site", site_of(night), "-o", tmp_path / "link" / "x.html")


@pytest.mark.parametrize("name", ["", "no such", "%", "'; select 1"])
def test_an_unknown_procedure_is_one_sentence(night: Night, tmp_path: Path, name: str) -> None:
    said = refused("page", name, "--site", site_of(night), "-o", tmp_path / "page.html")
    assert "no procedure" in said
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_one_sentence(night: Night, tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "none" / "page.html"):
        assert "give the name of a file to write" in refused("page", "x", "--site", site_of(night), "-o", place)
