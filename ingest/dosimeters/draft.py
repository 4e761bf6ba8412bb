"""A first draft of sources/<id>.yaml from one export: what the file shows, and CONFIRM where it does not show enough.

Only drafting is here; the user must complete a draft: ``load_description`` refuses it as long as one CONFIRM is in it.
Names of columns, units and spellings of dates are tables.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise, product

from ingest.dosimeters.description import CONFIRM, RATE_UNITS
from ingest.dosimeters.layouts import LAYOUTS, PEAK_RATE, QUANTITIES, LayoutName
from ingest.dosimeters.sample import Sample
from ingest.dosimeters.unit_words import unit_in, units_of
from ingest.times import ISO8601
from ingest.units import BADGE_UNITS

# What columns are called, as words of their folded names; the first row that fits a column names it.
ROLE_WORDS: dict[str, str] = {
    "study_instance_uid": r"uid|studyinstanceuid",
    "accession_number": r"accession|acceso|acc|auftragsnummer",
    "hub": r"hub|base|basis|station|receiver|receptor|recepteur|empfanger|estacion",
    "hp007": r"hp ?0 ?0?7|hp007|skin|haut|piel|peau",
    "hp3": r"hp ?3|lens|linse|cristallin|cristalino|eye",
    PEAK_RATE: r"peak|max|maximum|pico|pic|spitze",
    "hp10": r"hp ?10|dose|doses|dosis|dosisleistung|rate|tasa|debit|counter|deep|доза|мощность",
    "end": r"end|ended|ende|fin|hasta|bis|au|to|until|returned|return|stop|devuelto|rendu|ruckgabe",
    "begin": r"start|started|begin|begins|beginn|inicio|debut|desde|von|du|from|issued|issue|entregado|ausgabe",
    "time": r"time|date|datum|zeit|uhrzeit|hora|fecha|heure|hour|stunde|timestamp|at|время|дата|час",
    "dosimeter_serial": r"badge|dosi\w*met\w*|serial|serie|sn|seriennummer|device|epd|сер|номер|дозиметр",
    "unit": r"unit|units|unidad|unite|einheit",
}
TOKENS: dict[str, tuple[str, ...]] = {
    "null_tokens": ("", "-", "--", "n/a", "N/A", "NA", "null"),
    "below_lod_tokens": ("M", "<LOD", "LOD", "<LLD", "ND", "BDL"),
    "unused_tokens": ("Unused", "unused", "Not used", "No usado", "Non utilisé", "Unbenutzt"),
}
_DATES = ("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y-%m-%d", "%Y/%m/%d", "%Y%m%d")
_SHORT_DATES = ("%d.%m.%y", "%d/%m/%y", "%m/%d/%y")
_TIMES = ("%H:%M:%S", "%H:%M", "%H:%M:%S.%f", "%I:%M:%S %p", "%I:%M %p", "%H.%M")
_ISO = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d([.,]\d+)?)?(Z|[+-]\d\d:?\d\d)?")
_OFFSET = re.compile(r"(Z|[+-]\d\d:?\d\d)")
_NUMBER = re.compile(r"[-+]?[\d., '\u00a0\u202f\u2019]*\d(?:[eE][-+]?\d+)?")
_MOST_VALUES, _MOST_HUBS = 500, 30


@dataclass(slots=True)
class _Column:
    """One column: its name, its role by the words in it, and the spellings of times that fit all its values."""

    index: int
    name: str
    role: str | None
    values: list[str]
    moments: list[str] = field(default_factory=list)
    days: list[str] = field(default_factory=list)
    hours: list[str] = field(default_factory=list)
    number_share: float = 0.0

    @property
    def is_time(self) -> bool:
        return bool(self.moments or self.days or self.hours)


@dataclass(frozen=True, slots=True)
class _Unit:
    """The unit of a dose column, CONFIRM if it is not seen, why, and the column that holds it for each row."""

    unit: str
    why: str
    column: _Column | None = None


@dataclass(slots=True)
class _Draft:
    """What was found, by key of the description."""

    layout: LayoutName | None = None
    layout_evidence: str = f"one of {', '.join(LAYOUTS)}"
    columns: dict[str, list[_Column]] = field(default_factory=dict)
    formats: list[str] = field(default_factory=list)


def draft_description(sample: Sample, source_id: str, file_pattern: str) -> str:
    """The text of a source description, with the evidence or the question beside each value.

    Args:
        sample: the export.
        source_id: as the file will be called, without .yaml.
        file_pattern: which names of exports it is for.
    """
    columns = [_column(index, name, sample.column(index)) for index, name in enumerate(sample.header)]
    draft = _mapped(columns)
    units = {name: _unit(name, draft.columns[name][0], columns, sample.above) for name in _doses(draft)}
    _guess_layout(draft, units, sample)
    return "\n".join([*_head(sample, source_id, file_pattern, draft), *_body(sample, draft, columns, units), ""])


# --- columns -------------------------------------------------------------------------------------------------------


def _column(index: int, name: str, cells: Sequence[str]) -> _Column:
    values = list(dict.fromkeys(cell for cell in cells if cell and cell not in _ALL_TOKENS))[:_MOST_VALUES]
    numbers = sum(_NUMBER.fullmatch(value) is not None for value in values)
    column = _Column(index, name.strip(), _role(name), values, number_share=numbers / len(values) if values else 0.0)
    if values:
        column.moments = _moments(values)
        column.days = [form for form in (*_DATES, *_SHORT_DATES) if _fits(values, form)]
        column.hours = [form for form in _TIMES if _fits(values, form)]
    return column


_ALL_TOKENS = {token for tokens in TOKENS.values() for token in tokens}


def _role(name: str) -> str | None:
    """What a column's name says that it holds."""
    text = unicodedata.normalize("NFKD", name.casefold())
    words = " ".join(re.findall(r"[^\W_]+", "".join(letter for letter in text if not unicodedata.combining(letter))))
    return next((role for role, spelled in ROLE_WORDS.items() if re.search(rf"\b(?:{spelled})\b", words)), None)


def _moments(values: Sequence[str]) -> list[str]:
    if all(_ISO.fullmatch(value) for value in values):
        return [ISO8601]
    forms = [f"{day} {hour}" for day, hour in product((*_DATES, *_SHORT_DATES), _TIMES)]
    return [form for form in forms if _fits(values, form)]


def _fits(values: Sequence[str], form: str) -> bool:
    try:
        for value in values:
            datetime.strptime(value, form)  # noqa: DTZ007 - only whether it can be read
    except ValueError:
        return False
    return True


# --- which column is what ------------------------------------------------------------------------------------------


def _mapped(columns: list[_Column]) -> _Draft:
    draft = _Draft()
    for name in ("dosimeter_serial", "study_instance_uid", "accession_number", "hub", *QUANTITIES, PEAK_RATE):
        found = [column for column in columns if column.role == name]
        if name in (*QUANTITIES, PEAK_RATE):
            found = [column for column in found if column.number_share or not column.values]
        if len(found) == 1:
            draft.columns[name] = found
    times = [column for column in columns if column.is_time and column.role in ("begin", "end", "time", None)]
    moments = _whole_moments(times)
    days = [column for column in times if column.days]
    if not moments and len(days) == 2:
        begin, end = sorted(days, key=lambda column: column.role == "end")
        draft.columns |= {"period_begin": [begin], "period_end": [end]}
        draft.formats = [form for form in begin.days if form in end.days]
    for name, (pair, forms) in zip(("started_at", "ended_at"), moments[:2], strict=False):
        draft.columns[name] = pair
        draft.formats = [form for form in forms if name == "started_at" or form in draft.formats]
    return draft


def _whole_moments(times: list[_Column]) -> list[tuple[list[_Column], list[str]]]:
    """Columns, or pairs of a date and the time after it, that say a moment, with its spellings; an end comes last."""
    found: list[tuple[list[_Column], list[str]]] = []
    for column, after in zip(times, [*times[1:], None], strict=False):
        if column.moments:
            found.append(([column], column.moments))
        elif column.days and after is not None and after.hours and not after.moments:
            found.append(([column, after], [f"{day} {hour}" for day, hour in product(column.days, after.hours)]))
    return sorted(found, key=lambda moment: moment[0][0].role == "end")


def _doses(draft: _Draft) -> list[str]:
    return [name for name in (*QUANTITIES, PEAK_RATE) if name in draft.columns]


def _unit(name: str, dose: _Column, columns: list[_Column], above: list[str]) -> _Unit:
    """The unit of a dose column and where it was read."""
    own = unit_in(dose.name)
    beside = _unit_column(dose, columns, is_rate="/" in own if own else True if name == PEAK_RATE else None)
    if beside is not None:
        return _unit_of_rows(own, beside)
    if own is not None:
        return _Unit(own, "as its column is called")
    said = {unit for line in above if (unit := unit_in(line))}
    if len(said) == 1:
        return _Unit(said.pop(), "as the lines above the header say; a file with another unit there is not noticed")
    units = ", ".join([*BADGE_UNITS, "or with /h /min /s for a rate"])
    return _Unit(CONFIRM, f"the file does not say it; one of {units}")


def _unit_column(dose: _Column, columns: list[_Column], *, is_rate: bool | None) -> _Column | None:
    """The column that holds the units of a dose column: the next one to its right, else the nearest to its left."""
    found = [column for column in columns if units_of(column.values)]
    if is_rate is not None:
        found = [column for column in found if all(("/" in (unit_in(cell) or "")) == is_rate for cell in column.values)]
    right = [column for column in found if column.index > dose.index]
    return next(iter(right), None) or next(reversed(found), None)


def _unit_of_rows(own: str | None, beside: _Column) -> _Unit:
    """The unit where each row has its own; none if the dose column's name contradicts it."""
    shown = ", ".join(map(repr, beside.values))
    if own is not None and {unit_in(cell) for cell in beside.values} != {own}:
        return _Unit(CONFIRM, f"the column's name says {own}, and column {beside.name!r} {shown}")
    unread = [cell for cell in beside.values if cell not in (*BADGE_UNITS, *RATE_UNITS)]
    refused = f"; rows with {', '.join(map(repr, unread))} are rejected" if unread else ""
    return _Unit(unit_in(beside.values[0]) or CONFIRM, f"the unit of each row: {shown}{refused}", beside)


def _guess_layout(draft: _Draft, units: dict[str, _Unit], sample: Sample) -> None:
    """The layout that has just these columns, if the file tells it."""
    unit = units["hp10"].unit if "hp10" in units else CONFIRM
    guess: LayoutName | None = None
    if "study_instance_uid" in draft.columns or "accession_number" in draft.columns:
        guess, why = "procedure_totals", "each row names a study"
    elif "period_begin" in draft.columns:
        guess, why = "badge_periods", "two dates and no times"
    elif "ended_at" in draft.columns:
        guess, why = "sessions", "each row has a begin and an end"
    elif "started_at" in draft.columns and unit in RATE_UNITS:
        guess, why = "rate_samples", f"one time and a rate in {unit}"
    elif "started_at" in draft.columns and unit != CONFIRM:
        if all(minutes in ("00", "00:00") for minutes in _after_hour(draft, sample)):
            guess, why = "hourly_totals", "all times are full hours"
        elif _never_falls(draft, sample):
            guess, why = "counter_log", "one time and a value that never falls"
        else:
            draft.layout_evidence = (
                "counter_log if the values are readings of a counter, which is reset where they fall"
            )
    if guess is not None:
        draft.layout, draft.layout_evidence = guess, why
        draft.columns = {name: columns for name, columns in draft.columns.items() if name in LAYOUTS[guess].columns}


def _texts(draft: _Draft, name: str, sample: Sample) -> list[str]:
    cells = (sample.column(column.index) for column in draft.columns[name])
    return [" ".join(parts) for parts in zip(*cells, strict=True)]


def _after_hour(draft: _Draft, sample: Sample) -> list[str]:
    """Minutes and seconds of the times."""
    found = (re.search(r":(\d\d(?::\d\d)?)", text) for text in _texts(draft, "started_at", sample))
    return [minutes[1] if minutes else "?" for minutes in found]


def _never_falls(draft: _Draft, sample: Sample) -> bool:
    """Whether every badge's values only grow, and grow at all."""
    if not {"dosimeter_serial", "hp10"} <= draft.columns.keys():
        return False
    last: dict[str, float] = {}
    grows = False
    badges = sample.column(draft.columns["dosimeter_serial"][0].index)
    for badge, text in zip(badges, sample.column(draft.columns["hp10"][0].index), strict=True):
        try:
            value = float(text.replace(",", "."))
        except ValueError:
            continue
        if value < last.get(badge, value):
            return False
        grows = grows or value > last.get(badge, value)
        last[badge] = value
    return grows


# --- the text ------------------------------------------------------------------------------------------------------


def _line(key: str, value: str, why: str = "", indent: int = 0) -> str:
    return f"{'  ' * indent}{key}: {value}{f'  # {why}' if why else ''}"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=not text.isprintable())


def _head(sample: Sample, source_id: str, file_pattern: str, draft: _Draft) -> Iterator[str]:
    yield "# A draft made from one export: read every line and its reason. CONFIRM stands where the export does not"
    yield "# show enough: the source is refused until you have put a value there."
    yield "# Then look at what it makes of the export: doseledger check --site SITE --file EXPORT"
    yield _line("source_id", source_id, "as this file is called, and the folder below inbox/dosimeters/")
    yield _line("layout", draft.layout or CONFIRM, draft.layout_evidence)
    yield _line("file_pattern", _quoted(file_pattern), "names of the exports; others in the folder are refused")
    yield _line("encoding", sample.encoding, sample.encoding_evidence)
    yield _line("delimiter", _quoted(sample.delimiter), f"divides nearly every line into {len(sample.header)} cells")


def _body(sample: Sample, draft: _Draft, columns: list[_Column], units: dict[str, _Unit]) -> Iterator[str]:
    yield from _number_lines(draft)
    yield _line("skip_rows", str(len(sample.above)), "lines above the header line; must be so in every export")
    yield from _footer_lines(sample)
    yield from _time_lines(draft, sample)
    if draft.layout == "rate_samples":
        yield _line("sample_seconds", *_sample_seconds(draft, sample))
    if draft.layout == "hourly_totals":
        yield _line("counter", *_counter(draft, sample))
    yield "columns:"
    needed = LAYOUTS[draft.layout].required if draft.layout else ("dosimeter_serial", "started_at", "hp10")
    for name in dict.fromkeys((*needed, *draft.columns)):
        names = [column.name for column in draft.columns.get(name, [])]
        why = "" if names else f"not recognised among {', '.join(map(repr, sample.header))}"
        yield _line(name, ", ".join(map(_quoted, names)).join("[]" if len(names) > 1 else ("", "")) or CONFIRM, why, 1)
    yield from _unit_lines({name: units[name] for name in _doses(draft)})
    yield from _hub_lines(draft, sample)
    if draft.layout in ("hourly_totals", "counter_log"):
        yield _line("records_when_idle", CONFIRM, "true if rows of 0 are written also when the badge is not worn")
    mapped = {column.index for names in draft.columns.values() for column in names}
    mapped |= {column.index for name in _doses(draft) if (column := units[name].column) is not None}
    rest = [column.name for column in columns if column.index not in mapped]
    yield _line(
        "ignored_columns", f"[{', '.join(map(_quoted, rest))}]", "not used and not kept; is no dose among them?"
    )
    yield from _token_lines(draft, sample)


def _unit_lines(units: dict[str, _Unit]) -> Iterator[str]:
    fixed = {name: unit for name, unit in units.items() if unit.column is None}
    if not units:
        yield _line("units", CONFIRM, "such as {hp10: uSv}")
    if fixed:
        yield "units:"
    for name, unit in fixed.items():
        yield _line(name, unit.unit if unit.unit == CONFIRM else _quoted(unit.unit), unit.why, 1)
    if len(fixed) < len(units):
        yield "unit_column:"
    for name, unit in units.items():
        if unit.column is not None:
            yield _line(name, _quoted(unit.column.name), unit.why, 1)


def _number_lines(draft: _Draft) -> Iterator[str]:
    values = [value for name in _doses(draft) for value in draft.columns[name][0].values if _NUMBER.fullmatch(value)]
    decimal, thousands, why = _decimal(values)
    yield _line("decimal", decimal if decimal == CONFIRM else _quoted(decimal), why)
    yield _line("thousands", thousands, why if thousands == CONFIRM else "")


def _decimal(values: list[str]) -> tuple[str, str, str]:
    """Decimal sign, sign between thousands, and the evidence."""
    signs = {sign for value in values for sign in re.findall(r"[.,]", value)}
    groups = {
        re.sub("[\u00a0\u202f]", " ", sign) for value in values for sign in re.findall(r"\d([ '\u00a0\u202f])\d", value)
    }
    thousands = _quoted(groups.pop()) if len(groups) == 1 else "null"
    if len(signs) == 2:
        both = [value for value in values if signs <= set(value)]
        lasts = {value[max(value.rfind(","), value.rfind("."))] for value in both}
        if len(lasts) == 1:
            [decimal] = lasts
            return decimal, _quoted("." if decimal == "," else ","), f"as in {both[0]}"
        return CONFIRM, CONFIRM, "both . and , occur, and no value shows which is which"
    if not signs:
        return ".", thousands, "no value seen has decimals; a , would be refused"
    [sign] = signs
    telling = [
        value for value in values if sign in value and not re.fullmatch(rf"[1-9]\d{{0,2}}(\{sign}\d{{3}})+", value)
    ]
    if telling:
        return sign, thousands, f"as in {telling[0]}"
    example = next(value for value in values if sign in value)
    return CONFIRM, CONFIRM, f"{example} may be a thousand or a decimal: nothing seen tells"


def _footer_lines(sample: Sample) -> Iterator[str]:
    words = list(dict.fromkeys(re.match(r"\W*([^\W\d_]+)", line) for line in sample.footer))
    found = list(dict.fromkeys(word[1] for word in words if word))
    if not found:
        yield _line("footer_pattern", "null", "no line at the end looks like a sum or a signature")
        return
    pattern = f"^({'|'.join(map(re.escape, found))})"
    yield _line("footer_pattern", _quoted(pattern), "lines at the end that begin so are no data")


def _time_lines(draft: _Draft, sample: Sample) -> Iterator[str]:
    has_offset = "started_at" in draft.columns and all(
        _OFFSET.search(text, 10) for text in _texts(draft, "started_at", sample)
    )
    used = "; not used for times that carry an offset, as all seen here do" if has_offset else ""
    yield _line("timezone", CONFIRM, f"zone of the clock that wrote these times, such as Europe/Madrid{used}")
    yield _line("dst", CONFIRM, f"true if that clock goes forward in summer, false if it never changes{used}")
    if len(draft.formats) == 1:
        yield _line("datetime_format", _quoted(draft.formats[0]), "the only spelling that reads all rows seen")
        return
    options = " or ".join(map(_quoted, draft.formats)) or "iso8601 or a strptime format"
    why = "all rows seen can be read so" if draft.formats else "no known spelling reads all rows"
    yield _line("datetime_format", CONFIRM, f"{options}: {why}")


def _moments_of(draft: _Draft, sample: Sample) -> dict[str, list[datetime]]:
    """The times of each badge in the order of the file; none where the format is open."""
    times: dict[str, list[datetime]] = {}
    if len(draft.formats) != 1 or not {"dosimeter_serial", "started_at"} <= draft.columns.keys():
        return times
    badges = sample.column(draft.columns["dosimeter_serial"][0].index)
    for badge, text in zip(badges, _texts(draft, "started_at", sample), strict=True):
        moment = (
            datetime.fromisoformat(text) if draft.formats == [ISO8601] else datetime.strptime(text, draft.formats[0])  # noqa: DTZ007 - differences only
        )
        times.setdefault(badge, []).append(moment)
    return times


def _sample_seconds(draft: _Draft, sample: Sample) -> tuple[str, str]:
    gaps = Counter(
        (later - earlier).total_seconds()
        for moments in _moments_of(draft, sample).values()
        for earlier, later in pairwise(sorted(moments))
        if later != earlier
    )
    if not gaps or gaps.most_common(1)[0][0] != min(gaps):
        return CONFIRM, "seconds that one row stands for: the times seen have no regular step"
    return f"{min(gaps):g}", "seconds that one row stands for: the most frequent and shortest step of the times seen"


def _counter(draft: _Draft, sample: Sample) -> tuple[str, str]:
    if _never_falls(draft, sample):
        return CONFIRM, "cumulative or increment: the values seen never fall, as a counter's"
    return CONFIRM, "cumulative or increment: values seen fall, so increments, unless the badge was reset"


def _hub_lines(draft: _Draft, sample: Sample) -> Iterator[str]:
    if "hub" not in draft.columns:
        return
    hubs = sorted({hub for hub in sample.column(draft.columns["hub"][0].index) if hub})
    if not hubs:
        return
    yield "hubs:  # the room_id of rooms.csv in which each stands"
    for hub in hubs[:_MOST_HUBS]:
        yield _line(_quoted(hub), CONFIRM, "", 1)


def _token_lines(draft: _Draft, sample: Sample) -> Iterator[str]:
    cells = {cell for name in _doses(draft) for cell in sample.column(draft.columns[name][0].index)}
    words = sorted(cell for cell in cells if not _NUMBER.fullmatch(cell))
    for key, known in TOKENS.items():
        found = [word for word in words if word in known]
        if key == "null_tokens":
            found = ["", *(word for word in found if word)]
        yield _line(key, f"[{', '.join(map(_quoted, found))}]", "in dose columns, seen" if any(found) else "")
    strange = [word for word in words if word not in _ALL_TOKENS]
    if strange:
        shown = ", ".join(map(_quoted, strange[:20]))
        yield f"# Rows with these in a dose column are rejected unless they are a token above: {shown}"
