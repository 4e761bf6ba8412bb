"""What every page of one audience shares: its frame, its words and numbers, and the renderer of templates.

The text and figures of each page are in its own module. A page is plain text until audiences.py writes it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml
from babel.dates import format_date, format_datetime, format_skeleton
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ingest.control_characters import printable
from orchestration.figures.habits import NO_CAUSE
from orchestration.figures.open_findings import Finding
from orchestration.figures.operator import page_folder
from orchestration.figures.wording import Wording, wording
from orchestration.letters.dose_range import MSV_STEP, range_text
from orchestration.letters.finding_words import finding_text, kind_name, short_rule_name, unit_sign
from orchestration.pages import svg

FOLDER = Path(__file__).parent
STATIC = FOLDER / "static"
NOT_KNOWN = "–"


@dataclass(frozen=True, slots=True)
class Page:
    """One page; ``path`` is relative to the folder of its audience."""

    path: str
    html: str


@dataclass(frozen=True, slots=True)
class Link:
    """One entry of the navigation; ``path`` is relative to the folder of the audience."""

    path: str
    name: str


@dataclass(frozen=True, slots=True)
class Edition:
    """Which publication a page belongs to; ``published_at`` is an instant with zone."""

    run_id: str
    as_of: date
    published_at: datetime
    checks_passed: int


@dataclass(frozen=True)
class Frame:
    """One audience: its site, language, people and navigation.

    Attributes:
        names: names of people by operator_id; empty for an audience that sees no name.
        pages: paths of all pages of this audience; nothing else is linked to.
        is_narrow: one column of 60 rem, for one person on a phone.
    """

    site_name: str
    words: Wording
    zone: ZoneInfo
    edition: Edition
    navigation: tuple[Link, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    pages: frozenset[str] = frozenset()
    is_narrow: bool = False

    @property
    def published(self) -> str:
        """Date and local time of the publication."""
        return f"{self.day(self.local(self.edition.published_at))}, {self.clock(self.edition.published_at)}"

    def page(self, path: str, template: str, **values: object) -> Page:
        """Render a template of ``templates/`` as the page of a path."""
        shared = {"frame": self, "path": path, "root": "../" * path.count("/")}
        return Page(path, self._environment.get_template(template).render(shared | values))

    def person_path(self, operator_id: str) -> str:
        """Path of a person's page in the folder of medical physics."""
        return f"operators/{page_folder(operator_id)}.html"

    def person(self, operator_id: str | None) -> str:
        """Name a person; one without a name by the operator_id."""
        return self.names.get(operator_id or "", operator_id or NOT_KNOWN)

    def say(self, key: str, **values: object) -> str:
        """Return a text of ``translations/`` by its dotted key."""
        return self.words.say(f"pages.{key}", **values)

    def fixed(self, value: float | None, decimals: int = 0) -> str:
        """Write a number with a fixed number of decimals, as the columns of a table need."""
        if value is None:
            return NOT_KNOWN
        return f"{value:z,.{decimals}f}".translate(self._separators)

    def number(self, value: float | None, digits: int = 3) -> str:
        """Write a number with so many significant digits; whole numbers are never rounded."""
        return NOT_KNOWN if value is None else self.words.number(value, digits)

    def dose(self, usv: float | None) -> str:
        """Write a dose in µSv: whole from 10 on, one decimal below."""
        return self.fixed(usv, 0 if usv is None or abs(usv) >= 9.95 else 1)

    def msv_range(self, low: float | None, high: float | None) -> str:
        """Write a dose in mSv behind which results may be below detection, as the letters do; without its unit."""
        return range_text(low, high, self.words, "", MSV_STEP)

    def factor(self, value: float | None) -> str:
        """Write a ratio with one decimal, from 100 on without."""
        return self.fixed(value, 0 if value is not None and value >= 99.5 else 1)

    def gray(self, mgy: float | None, decimals: int = 2) -> str:
        """Write a value in mGy as Gy."""
        return self.fixed(None if mgy is None else mgy / 1000, decimals)

    def share_down(self, value: Decimal | float | None) -> str:
        """Write a share in percent, rounded down to a tenth: 99.96 % of the dose is not all of it."""
        return NOT_KNOWN if value is None else self.share(math.floor(1000 * value) / 1000, 1)

    def share(self, value: float | None, decimals: int = 0) -> str:
        """Write a share (0 to 1) in percent with its sign."""
        return NOT_KNOWN if value is None else f"{self.fixed(100 * value, decimals)}\u00a0%"

    def local(self, instant: datetime | None) -> datetime | None:
        """Move an instant to the site's zone."""
        return instant and instant.astimezone(self.zone)

    def day(self, day: date | datetime | None) -> str:
        """Write a date with its month in short, e.g. 26 Sep 2024."""
        return NOT_KNOWN if day is None else format_date(day, "d MMM y", self.words.locale)

    def short_day(self, day: date | datetime | None) -> str:
        """Write a date without its year, e.g. 26 Sep."""
        return NOT_KNOWN if day is None else format_date(day, "d MMM", self.words.locale)

    def when(self, instant: datetime | None) -> str:
        """Write the local time of an instant with its weekday, e.g. Thu 26 Sep, 09:16."""
        local = self.local(instant)
        return NOT_KNOWN if local is None else format_datetime(local, "EEE d MMM, HH:mm", locale=self.words.locale)

    def clock(self, instant: datetime | None, *, seconds: bool = False) -> str:
        """Write the local time of day of an instant."""
        local = self.local(instant)
        return NOT_KNOWN if local is None else f"{local:%H:%M:%S}" if seconds else f"{local:%H:%M}"

    def month(self, day: date | None) -> str:
        """Write the month of a date, e.g. Sep 2024."""
        return NOT_KNOWN if day is None else format_skeleton("yMMM", day, locale=self.words.locale)

    def kind(self, finding: Finding) -> str:
        """Name what a finding is about in a few words."""
        named = kind_name(finding, self.words)
        return named if finding.limit else short_rule_name(finding.rule, self.words)

    def cause(self, main_cause: str | None) -> str:
        """Name the main cause of a dose; where one factor is, that it is mostly that."""
        named = self.words.say(f"causes.{main_cause}")
        return named if main_cause in NO_CAUSE else self.say("frame.mostly", cause=named)

    @cached_property
    def _separators(self) -> dict[int, str]:
        symbols = self.words.locale.number_symbols["latn"]
        return str.maketrans({",": symbols["group"], ".": symbols["decimal"], "-": "\u2212"})

    @cached_property
    def _environment(self) -> Environment:
        made = Environment(
            loader=FileSystemLoader(FOLDER / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            finalize=_printable,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        made.globals |= {"msv_range": self.msv_range, "say": self.say, "word": self.words.say, "svg": svg}
        numbers = (self.fixed, self.number, self.dose, self.factor, self.gray, self.share, self.share_down)
        times = (self.day, self.short_day, self.when, self.clock, self.month)
        made.filters |= {write.__name__: write for write in (*numbers, *times, self.person)}
        made.filters["class_name"] = self.words.class_name
        made.filters["lower_first"] = _lower_first
        made.filters["kind"] = self.kind
        made.filters["cause"] = self.cause
        made.filters["unit"] = unit_sign
        made.filters["finding_text"] = lambda finding: finding_text(finding, self.words)
        return made


def _lower_first(words: str) -> str:
    return words[:1].lower() + words[1:]


def _printable(value: object) -> object:
    """Free text of a file without control characters; marks of a chart as they are."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def page_wording(language: str, class_names: Mapping[str, Mapping[str, str]]) -> Wording:
    """Return the wording of the letters with the texts of the pages below ``pages``, one table a module.

    ``translations/<module>.<language>.yaml`` holds the texts of one page.
    """
    files = sorted((FOLDER / "translations").glob(f"*.{language}.yaml"))
    pages: dict[str, Any] = {file.name.split(".")[0]: yaml.safe_load(file.read_text("utf-8")) for file in files}
    words = wording(language).naming(class_names)
    return replace(words, texts={**words.texts, "pages": pages})
