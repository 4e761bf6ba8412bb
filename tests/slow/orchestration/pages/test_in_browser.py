"""Every page in Debian's Chromium: quiet, whole at every width, reachable by keyboard, readable by everybody."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from slow.orchestration.pages.conftest import Changed, Night
from support.browser import Browser, axe_core, chromium, served

from orchestration.figures.wording import LANGUAGES
from orchestration.one_file import as_one_file

WIDTHS = (320, 360, 390, 600, 768, 900, 1000, 1100, 1220, 1440)
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
FOCUSABLE = "a[href], button, summary, input, [tabindex='0']"
# What has the focus: its number among all that can have it, and whether anybody sees that it has.
FOCUSED = f"""(() => {{
    const all = [...document.querySelectorAll("{FOCUSABLE}")].filter((element) => element.checkVisibility());
    const style = getComputedStyle(document.activeElement);
    return [all.indexOf(document.activeElement), all.length, style.outlineStyle !== "none"];
}})()"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


def pages(night: Night) -> list[str]:
    """All pages of a publication, by their paths in its folder."""
    found = sorted(page.relative_to(night.folder).as_posix() for page in night.folder.rglob("*.html"))
    assert len(found) > 1
    return found


def some(night: Night) -> list[str]:
    """Pages of each kind: those directly in the folder of physics, and the longest of each folder below it."""
    longest: dict[str, str] = {}
    for page in pages(night):
        path = night.folder / page
        if path.parent == night.physics:
            longest[page] = page
        elif page.startswith("pages"):
            kind = page.split("/")[2] if "physics" in page else "own"
            other = longest.get(kind)
            if other is None or path.stat().st_size > (night.folder / other).stat().st_size:
                longest[kind] = page
    return sorted(longest.values())


def test_no_page_complains_asks_another_host_or_scrolls_sideways(night: Night, browser: Browser) -> None:
    browser.logs.clear()
    browser.requests.clear()
    wide = []
    with served(night.folder) as address:
        for page in pages(night):
            browser.open(f"{address}/{page}")
            for width in WIDTHS:
                browser.resize(width)
                if browser.evaluate(OVERFLOW) > 0:
                    wide.append((page, width))
    assert wide == []
    assert browser.logs == []
    assert {url for url in browser.requests if not url.startswith((f"{address}/", "data:"))} == set()


def test_pages_work_from_a_file_share(night: Night, browser: Browser) -> None:
    browser.logs.clear()
    for page in some(night):
        browser.open((night.folder / page).as_uri())
        assert browser.evaluate("getComputedStyle(document.body).marginTop") == "0px"  # the sheet is there
    assert browser.logs == []


def test_a_page_as_one_file_has_its_style_and_asks_for_nothing(night: Night, browser: Browser, tmp_path: Path) -> None:
    """The policy of such a page allows its own style by hash: only a browser tells whether it is right."""
    css = (night.physics / "static" / "style.css").read_text("utf-8")
    browser.logs.clear()
    browser.requests.clear()
    places = []
    for number, page in enumerate(path for path in some(night) if "/procedures/" in path or "/operators/" in path):
        file = tmp_path / f"{number}.html"
        file.write_text(as_one_file((night.folder / page).read_text("utf-8"), css), "utf-8")
        places.append(file.as_uri())
        browser.open(places[-1], 320)
        assert browser.evaluate("getComputedStyle(document.body).marginTop") == "0px"
        assert browser.evaluate(OVERFLOW) == 0
    assert len(places) >= 2
    assert browser.logs == []
    assert {url for url in browser.requests if not url.startswith("data:")} == set(places)


@pytest.mark.parametrize("language", LANGUAGES)
def test_pages_of_every_language_fit(changed: Changed, browser: Browser, language: str) -> None:
    night = changed(language=language)
    with served(night.folder) as address:
        for page in some(night):
            browser.open(f"{address}/{page}", 320)
            for width in WIDTHS:
                browser.resize(width)
                assert browser.evaluate(OVERFLOW) == 0, (page, width)


def test_the_whole_page_is_reached_by_keyboard_and_the_focus_is_seen(night: Night, browser: Browser) -> None:
    with served(night.folder) as address:
        for page in some(night):
            browser.open(f"{address}/{page}")
            reached = set()
            (_, number, _) = browser.evaluate(FOCUSED)
            for _ in range(number):
                browser.press("Tab", 9)
                place, _, is_seen = browser.evaluate(FOCUSED)
                assert is_seen, (page, place)
                reached.add(place)
            assert reached == set(range(number)), page


def test_a_table_is_sorted_by_its_head_and_back(night: Night, browser: Browser) -> None:
    page = next(page for page in some(night) if "/procedures/" in page)
    rows = "[...document.querySelectorAll('table[data-sortable] tbody tr:not(.total)')]"
    column = f"{rows}.map((row) => +row.cells[5].dataset.value)"
    with served(night.folder) as address:
        browser.open(f"{address}/{page}")
        before = browser.evaluate(column)
        browser.evaluate("document.querySelectorAll('table[data-sortable] thead button')[5].click()")
        assert browser.evaluate(column) == sorted(before) != before
        browser.evaluate("document.querySelectorAll('table[data-sortable] thead button')[5].click()")
        assert browser.evaluate(column) == sorted(before, reverse=True)
        assert (
            browser.evaluate("document.querySelector('table[data-sortable] tbody').lastElementChild.className")
            == "total"
        )


def test_the_filter_shows_the_procedures_that_hold_its_text(changed: Changed, browser: Browser) -> None:
    more = "select 'x' || procedure_id, 'procedure_dose', 'review', 'operator', 'open', procedure_id, date '2024-04-20'"
    columns = "alert_id, rule, severity, audience, state, procedure_id, occurred_on"
    night = changed(f"insert into alerts.alert ({columns}) {more} from marts.fct_procedure")
    shown = "[...document.querySelectorAll('#further tbody')].filter((part) => part.checkVisibility())"
    with served(night.folder) as address:
        browser.open(f"{address}/pages/physics/index.html")
        browser.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
        texts = browser.evaluate(f"{shown}.map((part) => part.textContent)")
        assert len(texts) > 1
        wanted = browser.evaluate("document.querySelector('#further .case bdi:last-child').textContent")
        browser.evaluate(
            f"(() => {{ const input = document.querySelector('input[data-filter]'); input.value = {json.dumps(wanted)};"
            " input.dispatchEvent(new Event('input')); })()"
        )
        assert browser.evaluate(f"{shown}.map((part) => part.textContent)") == [t for t in texts if wanted in t]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_axe_finds_no_violation(night: Night, browser: Browser, dark: bool, width: int, tmp_path: Path) -> None:
    axe = axe_core(tmp_path)
    found: dict[str, Any] = {}
    with served(night.folder) as address:
        for page in some(night):
            browser.open(f"{address}/{page}", width, dark=dark)
            browser.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
            browser.evaluate(axe + "; true")
            violations = json.loads(
                browser.evaluate(
                    "axe.run().then((result) => JSON.stringify(result.violations.map((one) =>"
                    " [one.id, one.nodes.slice(0, 3).map((node) => node.html.slice(0, 160) + node.failureSummary)])))"
                )
            )
            if violations:
                found[page] = violations
    assert found == {}
