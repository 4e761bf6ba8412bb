"""The pages of a publication: inside its folder with the modes of the data, linked whole, nothing for other eyes."""

from __future__ import annotations

import csv
import re
import stat
from html.parser import HTMLParser
from pathlib import Path

import duckdb
import pytest
from slow.orchestration.pages.conftest import Changed, Night
from support.small_build import make_build, pass_gate

from orchestration.figures.wording import LANGUAGES
from orchestration.publication.publish import publish

NAME = re.compile(r"(Cardiólogo|Radiólogo) \d")  # as the synthetic hospital calls people
SECRET = re.compile("SECRETSECRET|pregnan")
# What a check of the gate requires, in the product's own words: it names the rule, no finding of it.
REQUIRED = re.compile('<span lang="en">[^<]*</span>')


class References(HTMLParser):
    """What a page names: links, sheets, scripts, pictures; and the ids that a link may lead to."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.ids: set[str] = set()

    def handle_starttag(self, _tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect the attributes of one element."""
        values = dict(attrs)
        self.names += [value for name in ("href", "src") if (value := values.get(name))]
        self.ids |= {value for name in ("id",) if (value := values.get(name))}


def read(page: Path) -> References:
    references = References()
    references.feed(page.read_text("utf-8"))
    return references


def dangling(folder: Path) -> list[str]:
    """References of all pages below a folder that lead nowhere, or out of the folder of their audience."""
    pages = {page: read(page) for page in folder.rglob("*.html")}
    wrong = []
    for page, references in pages.items():
        for name in references.names:
            if name == "data:,":
                continue
            path, _, anchor = name.partition("#")
            target = (page.parent / path).resolve() if path else page.resolve()
            found = target.is_file() and target.is_relative_to(folder.resolve())
            if not found or (anchor and target in pages and anchor not in pages[target].ids):
                wrong.append(f"{page.name}: {name}")
    return wrong


def test_pages_lie_in_the_publication_with_the_modes_of_the_data(night: Night) -> None:
    index = night.physics / "index.html"
    assert stat.S_IMODE(index.stat().st_mode) == stat.S_IMODE((night.folder / "warehouse.duckdb").stat().st_mode)
    assert stat.S_IMODE(index.parent.stat().st_mode) == 0o750


def test_every_link_leads_to_a_page_or_a_place_on_it(night: Night, changed: Changed) -> None:
    assert dangling(night.physics) == []
    other = changed().physics
    index = other / "index.html"
    index.write_text(index.read_text("utf-8").replace("</main>", '<a href="gone.html#x">x</a></main>'), "utf-8")
    assert dangling(other) == ["index.html: gone.html#x"]


def test_people_are_named_on_pages_of_medical_physics_only(night: Night) -> None:
    named = {
        page.relative_to(night.folder).parts[:2]
        for page in night.folder.rglob("*.html")
        if NAME.search(page.read_text("utf-8"))
    }
    assert named == {("pages", "physics")}


def test_a_restricted_finding_is_in_no_page_that_medical_physics_sees(changed: Changed) -> None:
    into_pregnancy = "update alerts.alert set audience = 'restricted', rule = 'pregnancy', message = 'SECRETSECRET'"
    folder = changed(into_pregnancy).folder / "pages"
    texts = {page.name: REQUIRED.sub("", page.read_text("utf-8")) for page in folder.rglob("*.html")}
    assert [name for name, text in texts.items() if SECRET.search(text)] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_pages_are_written_in_every_language_with_text_of_the_site_escaped(changed: Changed, language: str) -> None:
    evil = "update marts.dim_room set room_name = '<script>alert(1)</script>' where room_name is not null"
    night = changed(evil, language=language, name="Hospital <X>")
    for page in night.physics.rglob("*.html"):
        html = page.read_text("utf-8")
        assert f'lang="{language}"' in html
        assert "<script>alert" not in html
        assert "Hospital &lt;X&gt;" in html


def test_a_publication_whose_pages_cannot_be_written_is_not_public(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        raise OSError(28, "No space left on device", str(folder))

    build = make_build(tmp_path / "build" / "doseledger.duckdb")
    pass_gate(build)
    with pytest.raises(OSError, match="No space"):
        publish(build, tmp_path / "published", add=fail)
    assert not (tmp_path / "published" / "current").exists()


def test_the_worklist_has_each_open_finding_and_no_formula(changed: Changed) -> None:
    night = changed("update alerts.alert set message = '=HYPERLINK(1)' where state = 'open'")
    with (night.physics / "worklist.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    with duckdb.connect(night.folder / "warehouse.duckdb", read_only=True) as connection:
        open_findings = connection.execute("select alert_id from alerts.alert where state = 'open'").fetchall()
    assert open_findings
    assert sorted(row["alert_id"] for row in rows) == sorted(alert_id for (alert_id,) in open_findings)
    assert {row["message"] for row in rows} == {"'=HYPERLINK(1)"}
    assert {row[name] for row in rows for name in ("action", "by", "on", "comment")} == {""}
