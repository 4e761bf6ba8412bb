"""The frame of the pages: complete in every language, nothing inline, numbers as the language writes them."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from string import Formatter
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from support import paths

from orchestration.figures.wording import LANGUAGES
from orchestration.pages.page import Edition, Frame, page_wording
from orchestration.pages.svg import Scale, chart, rect, text

PAGES = paths.ROOT / "orchestration" / "pages"
TEMPLATES = sorted((PAGES / "templates").glob("*.j2"))
MODULES = sorted({file.name.split(".")[0] for file in (PAGES / "translations").glob("*.yaml")})
EDITION = Edition("r1", date(2024, 3, 31), datetime(2024, 4, 1, 3, 0, tzinfo=UTC), 10)


def frame(language: str = "en", **more: Any) -> Frame:
    return Frame("Hospital", page_wording(language, {}), ZoneInfo("Europe/Madrid"), EDITION, **more)


def texts(module: str, language: str) -> dict[str, str]:
    entry = yaml.safe_load((PAGES / "translations" / f"{module}.{language}.yaml").read_text("utf-8"))
    return dict(flat(entry))


def flat(entry: Any, key: str = "") -> list[tuple[str, str]]:
    if isinstance(entry, str):
        return [(key, entry)]
    return [pair for name, child in entry.items() for pair in flat(child, f"{key}.{name}".strip("."))]


def placeholders(written: str) -> set[str | None]:
    return {name for _, name, _, _ in Formatter().parse(written) if name is not None}


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_the_same_texts_with_the_same_placeholders(module: str, language: str) -> None:
    english, other = texts(module, "en"), texts(module, language)
    assert set(other) == set(english)
    assert {key: placeholders(written) for key, written in other.items()} == {
        key: placeholders(written) for key, written in english.items()
    }
    assert all(written.strip() for written in other.values())


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_every_text_of_a_template_exists(template: Any) -> None:
    source = template.read_text("utf-8")
    words = page_wording("en", {})
    assert {
        key for key in re.findall(r'\bsay\("([a-z_.0-9]+)"\s*[,)]', source) if not words.knows(f"pages.{key}")
    } == set()
    assert {key for key in re.findall(r'\bword\("([a-z_.0-9]+)"\s*[,)]', source) if not words.knows(key)} == set()


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_no_template_has_a_style_a_script_or_a_handler_inline(template: Any) -> None:
    source = template.read_text("utf-8")
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:|https?://", source)
    assert all('src="{{ root }}static/' in script for script in re.findall(r"<script[^>]*>", source))
    assert "|safe" not in source


@pytest.mark.parametrize(("language", "written"), [("en", "−1,234.5"), ("fr", "−1\u202f234,5"), ("es", "−1.234,5")])
def test_a_number_is_written_as_the_language_does(language: str, written: str) -> None:
    assert frame(language).fixed(-1234.5, 1) == written
    assert frame(language).fixed(-0.01, 1) == frame(language).fixed(0, 1)  # no minus before a rounded zero
    assert frame(language).fixed(None) == "–"


def test_times_are_local_at_the_site() -> None:
    assert frame().when(datetime(2024, 7, 1, 22, 30, tzinfo=UTC)) == "Tue 2 Jul, 00:30"
    assert frame().published == "1 Apr 2024, 05:00"


def test_text_of_a_file_is_escaped_and_has_no_control_character() -> None:
    html = frame(names={"A": "<script>\x1b\u202e"}).page("a/index.html", "base.html.j2").html
    assert 'href="../static/style.css"' in html
    drawn = chart('"><script>', 10, [text(1, 2, "<b>"), rect(0, 1, 2, 3, "m-own", "<i>&")])
    assert "<script>" not in drawn
    assert "<b>" not in drawn
    assert "<i>" not in drawn


@given(st.floats(0.1, 1e3), st.floats(1.01, 1e3), st.booleans(), st.lists(st.floats(1e-3, 1e7), min_size=2, max_size=9))
def test_a_scale_keeps_the_order_and_stays_on_the_chart(
    low: float, times: float, is_log: bool, values: list[float]
) -> None:
    scale = Scale(low, low * times, is_log)
    placed = [scale.at(value) for value in sorted(values)]
    assert placed == sorted(placed)
    assert all(-1e-9 <= place <= 100 + 1e-9 for place in placed)
    assert scale.at(low) == pytest.approx(0)
    assert scale.at(low * times) == pytest.approx(100)
