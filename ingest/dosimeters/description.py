"""The description of one dosimeter source (sources/<id>.yaml): how its exports are written, checked as a whole.

Keys, legal values and their dependencies only: layouts are in ``layouts.py``,
exports are read by ``reader.py``. Contract: docs/contract/inputs.md#I15. What changes a number has no default.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from ingest.cells import known_zone
from ingest.dosimeters.layouts import LAYOUTS, PEAK_RATE, QUANTITIES, Layout, LayoutName
from ingest.problems import Problem, SiteError, did_you_mean
from ingest.strict_yaml import problems_of, read_yaml
from ingest.times import format_problem
from ingest.units import BADGE_UNITS, RATE_PERIODS_S
from ingest.user_files import YAML_BYTES, read_regular

Encoding = Literal["utf-8", "utf-8-sig", "cp1252", "iso-8859-1", "utf-16", "cp1251"]
Misfit = tuple[str, str]  # a key (dotted) and what is wrong with it
CONFIRM = "CONFIRM"  # in a draft of 'doseledger describe': what a person has to decide
TOKENS = ("null_tokens", "below_lod_tokens", "unused_tokens")
# Keys that change nothing of what the rows of a file say: which files are read, and what is decided later.
NO_MEANING = frozenset(
    {"source_id", "file_pattern", "hubs", "records_when_idle", "ignored_columns", "quiet_until", "lod"}
)
RATE_UNITS = tuple(f"{unit}/{period}" for unit in BADGE_UNITS for period in RATE_PERIODS_S)


class DescriptionError(SiteError):
    """A source description that cannot be used; holds every problem found, each with file, line and field."""


class MisfitError(ValueError):
    """Values that are legal alone and not together."""

    def __init__(self, misfits: list[Misfit]) -> None:
        super().__init__("; ".join(f"{key} {message}" for key, message in misfits))
        self.misfits = misfits


def _pattern(text: str | None) -> str | None:
    try:
        re.compile(text or "")
    except re.error as error:
        raise ValueError(f"is not a regular expression: {error}") from None
    return text


def _column_names(value: object) -> object:
    """One column is a list of one."""
    return (value,) if isinstance(value, str) else value


def _one_character(text: str) -> str:
    if len(text) != 1 or text in '"\r\n':
        raise ValueError('must be one character other than a quote; write a tab as "\\t" in double quotes')
    return text


def _value_and_unit(value: object) -> object:
    if value is not None and not isinstance(value, Mapping | BaseModel):
        raise ValueError("must have a value and a unit, written as {value: 0.05, unit: mSv}")
    return value


class LimitOfDetection(BaseModel):
    """The dose of one wear period from which on a passive badge has a result other than "below detection"."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    value: Annotated[Decimal, Field(gt=0, le=1_000_000)]
    unit: str

    @property
    def usv(self) -> Decimal:
        """The same in microsievert, as exact as doses are stored."""
        return (self.value * BADGE_UNITS[self.unit]).quantize(Decimal("1e-9"))


FileColumns = Annotated[tuple[str, ...], BeforeValidator(_column_names), Field(min_length=1)]


class SourceDescription(BaseModel):
    """How the exports of one dosimeter source are read.

    Attributes:
        skip_rows: lines above the header line.
        footer_pattern: regular expression; trailing lines in which it is found are not data.
        timezone, dst: of times that carry no offset; without ``dst`` the clock shows standard time all year.
        sample_seconds: seconds that one rate sample stands for (``rate_samples``).
        counter: what an hourly value is (``hourly_totals``).
        columns: the file's column or columns by canonical name.
        units: unit by canonical name, for every dose and rate that is mapped.
        unit_column: in place of it, the file's column that holds the unit of each row.
        hubs: room_id by the hub name of the file.
        records_when_idle: whether rows of 0 are written also when the badge is not worn.
        quiet_until: last local date on which no record is expected of this source.
        lod: limit of detection of a wear period (``badge_periods``): what "below detection" is at most.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    source_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    layout: LayoutName
    file_pattern: Annotated[str, Field(min_length=1)] = "*"
    encoding: Encoding
    delimiter: Annotated[str, AfterValidator(_one_character)]
    decimal: Literal[".", ","]
    thousands: Literal[".", ",", " ", "'"] | None = None
    skip_rows: Annotated[int, Field(ge=0, le=1000)] = 0
    footer_pattern: Annotated[str | None, AfterValidator(_pattern)] = None
    timezone: Annotated[str, AfterValidator(known_zone)]
    dst: bool
    datetime_format: str
    sample_seconds: Annotated[Decimal, Field(gt=0, le=86_400, decimal_places=6)] = Decimal(1)
    counter: Literal["increment", "cumulative"] = "increment"
    columns: Mapping[str, FileColumns]
    units: Mapping[str, str] = Field(default_factory=dict)
    unit_column: Mapping[str, Annotated[str, Field(min_length=1)]] = Field(default_factory=dict)
    hubs: Mapping[str, str] = Field(default_factory=dict)
    records_when_idle: bool = False
    ignored_columns: tuple[str, ...] = ()
    null_tokens: tuple[str, ...] = ("",)
    below_lod_tokens: tuple[str, ...] = ()
    unused_tokens: tuple[str, ...] = ()
    quiet_until: date | None = None
    lod: Annotated[LimitOfDetection | None, BeforeValidator(_value_and_unit)] = None

    @property
    def meaning_sha256(self) -> str:
        """SHA-256 of all that decides what a row of an export means: if it changes, loaded files are read again."""
        meaning = self.model_dump(mode="json", exclude=set(NO_MEANING), exclude_defaults=True)
        for tokens in TOKENS:
            if tokens in meaning:
                meaning[tokens].sort()
        return hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()

    @property
    def mapped_columns(self) -> tuple[str, ...]:
        """The columns of the file that are read, each once."""
        columns = [column for columns in self.columns.values() for column in columns]
        return tuple(dict.fromkeys([*columns, *self.unit_column.values()]))

    def legal_units(self, name: str) -> tuple[str, ...]:
        """The units that a dose or rate may have."""
        return RATE_UNITS if LAYOUTS[self.layout].is_rate or name == PEAK_RATE else tuple(BADGE_UNITS)

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        misfits = [misfit for check in _CHECKS for misfit in check(self, LAYOUTS[self.layout])]
        if misfits:
            raise MisfitError(misfits)
        return self


def load_description(path: Path) -> SourceDescription:
    """Read one source description.

    Raises:
        DescriptionError: it is no legal description; the file in its problems is relative to the site.
        OSError: the file cannot be opened.
    """
    file = f"{path.parent.name}/{path.name}"
    try:
        document = read_yaml(read_regular(path, YAML_BYTES), file)
    except SiteError as error:
        raise DescriptionError(error.problems) from None
    undecided = [
        Problem(file, document.line_of(place), ".".join(place), f"still says {CONFIRM}; decide it and write the value")
        for place in _undecided(document.data)
    ]
    if undecided:
        raise DescriptionError(undecided)
    try:
        return SourceDescription.model_validate(document.data)
    except ValidationError as error:
        misfits = _misfits_of(error)
        if misfits is None:
            raise DescriptionError(problems_of(error, document, {"": SourceDescription})) from None
        problems = [Problem(file, document.line_of(tuple(key.split("."))), key, message) for key, message in misfits]
        raise DescriptionError(problems) from None


def _undecided(value: object, place: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Where a draft still waits for a person's decision."""
    if value == CONFIRM:
        yield place
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from _undecided(part, (*place, str(key)))
    elif isinstance(value, list):
        for part in value:
            yield from _undecided(part, place)


def _misfits_of(error: ValidationError) -> list[Misfit] | None:
    cause = error.errors()[0].get("ctx", {}).get("error")
    return cause.misfits if isinstance(cause, MisfitError) else None


# --- what the keys need of each other ------------------------------------------------------------------------------


def _check_columns(source: SourceDescription, layout: Layout) -> Iterator[Misfit]:
    for name in layout.required:
        if name not in source.columns:
            yield f"columns.{name}", f"is missing; layout {source.layout} needs it"
    if layout.any_of and not source.columns.keys() & set(layout.any_of):
        yield "columns", f"must map at least one of {', '.join(layout.any_of)}"
    for name in source.columns:
        if name not in layout.columns:
            meant = did_you_mean(name, layout.columns)
            hint = f"did you mean {meant}?" if meant else f"it has {', '.join(layout.columns)}"
            yield f"columns.{name}", f"is no column of layout {source.layout}; {hint}"


def _check_ignored(source: SourceDescription, _layout: Layout) -> Iterator[Misfit]:
    for column in source.ignored_columns:
        if column in source.mapped_columns:
            yield "ignored_columns", f"names {column!r}, which is mapped too; take it out of one of the two"


def _check_units(source: SourceDescription, _layout: Layout) -> Iterator[Misfit]:
    stated = [name for name in (*QUANTITIES, PEAK_RATE) if name in source.columns]
    for name in stated:
        legal = source.legal_units(name)
        if name in source.units and name in source.unit_column:
            yield f"unit_column.{name}", f"is given beside units.{name}; keep one of the two"
        elif name in source.units and source.units[name] not in legal:
            kind = "a dose rate such as uSv/h" if legal is RATE_UNITS else "a dose such as uSv"
            yield f"units.{name}", f"must be {kind}; legal are {', '.join(legal)}"
        elif name not in source.units and name not in source.unit_column:
            yield f"units.{name}", "is missing; say the unit that the file writes, it is never assumed"
    for key in ("units", "unit_column"):
        for name in getattr(source, key):
            if name not in stated:
                yield f"{key}.{name}", "is given to a column that is not mapped as a dose or rate; remove it"
    mapped = {column for columns in source.columns.values() for column in columns}
    for name, column in source.unit_column.items():
        if column in mapped:
            yield f"unit_column.{name}", f"is {column!r}, which is mapped under columns too; it can hold only one thing"


def _check_numbers(source: SourceDescription, _layout: Layout) -> Iterator[Misfit]:
    if source.thousands == source.decimal:
        yield "thousands", "must not be the decimal sign too"
    given = source.model_fields_set
    if source.layout == "rate_samples" and "sample_seconds" not in given:
        yield "sample_seconds", "is missing; say how many seconds one row of rate_samples stands for"
    if source.layout == "hourly_totals" and "counter" not in given:
        yield "counter", "is missing; say whether hourly values are an increment or cumulative"


def _check_tokens(source: SourceDescription, _layout: Layout) -> Iterator[Misfit]:
    first: dict[str, str] = {}
    for key in TOKENS:
        for token in getattr(source, key):
            if first.setdefault(token, key) != key:
                yield key, f"names {token!r}, which is in {first[token]} too; it can mean only one thing"


def _check_times(source: SourceDescription, layout: Layout) -> Iterator[Misfit]:
    problem = format_problem(source.datetime_format, needs_hour=layout.span != "period")
    if problem:
        yield "datetime_format", problem


def _check_hubs(source: SourceDescription, _layout: Layout) -> Iterator[Misfit]:
    if source.hubs and "hub" not in source.columns:
        yield "hubs", "are given, but no column is mapped to hub; map it under columns"


def _check_lod(source: SourceDescription, layout: Layout) -> Iterator[Misfit]:
    if source.lod is None:
        return
    if source.lod.unit not in BADGE_UNITS:
        yield "lod.unit", f"must be a unit of dose; legal are {', '.join(BADGE_UNITS)}"
    if layout.span != "period":
        yield "lod", "is the limit of detection of a wear period, which only badge_periods has; remove it"


_CHECKS = (
    _check_columns,
    _check_ignored,
    _check_units,
    _check_numbers,
    _check_tokens,
    _check_times,
    _check_hubs,
    _check_lod,
)
