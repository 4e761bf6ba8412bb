"""Which procedure class each description gets, by today's procedure_types.csv and the shipped patterns.

Reads the studies of the last build, or before a first run the dose reports of the inbox. The dbt macro ``classes_of``
decides, as in the build; it is rendered here by itself.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import duckdb
import jinja2

from ingest.control_characters import printable
from ingest.problems import Problem
from ingest.pseudonymise import load_key
from ingest.raw.build_db import read_build
from ingest.raw.file_ledger import find_dose_reports
from ingest.raw.read_ahead import open_reports
from ingest.records import DoseReport
from ingest.site.config import Site
from ingest.site.reference import Row
from orchestration.console.check_devices import folded
from orchestration.product import DBT_PROJECT

FIRST_REPORTS = 50  # of the inbox, which `check` reads where nothing was built yet
UNCLASSIFIED = "unclassified"
RULE_COLUMNS = ("line", "priority", "field", "match", "pattern", "procedure_type", "specialty")
GUIDANCE = ("fluoroscopy", "stepping_acquisition", "rotational_acquisition")  # events of an XA study
MACROS = DBT_PROJECT / "macros" / "texts.sql"
SEEDS = DBT_PROJECT / "seeds"


@dataclass(frozen=True, slots=True)
class Description:
    """What the dose reports of a study say of the procedure; several studies may say the same."""

    modality: str
    study_description: str | None = None
    requested_procedure: str | None = None
    protocol: str | None = None
    procedure_codes: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """What a reader recognises it by."""
        codes = " ".join(self.procedure_codes)
        named = (self.study_description, self.requested_procedure or self.protocol, codes and f"[{codes}]")
        return printable(" / ".join(part for part in named if part)) or "(no description)"

    def texts(self) -> Iterator[tuple[str, str]]:
        """Field and value of each text that a rule may match."""
        for field in ("study_description", "requested_procedure", "protocol"):
            if value := getattr(self, field):
                yield field, value
        for code in self.procedure_codes:
            yield "procedure_code", code


@dataclass(frozen=True, slots=True)
class Classified:
    """A description, how many studies have it, and its class with the rule that gave it (None: unclassified)."""

    description: Description
    studies: int
    procedure_class: str
    rule: str | None


def classified_descriptions(site: Site, at_most: int | None = None) -> list[Classified]:
    """The descriptions of a site with their classes: without a class first, then the most frequent.

    Args:
        site: with the rules that count.
        at_most: so many dose reports of the inbox where nothing was built; None: all.
    """
    counted = _descriptions(site, at_most)
    classes = classes_of(list(counted), site.reference["procedure_types"].rows)
    found = [
        Classified(description, counted[description], name, rule)
        for description, (name, rule) in zip(counted, classes, strict=True)
    ]
    return sorted(found, key=lambda one: (one.procedure_class != UNCLASSIFIED, -one.studies, one.description.text))


def classes_of(descriptions: Sequence[Description], rules: Iterable[Row]) -> list[tuple[str, str | None]]:
    """Class and rule of each description, by the site's rules and the shipped patterns."""
    template = jinja2.Environment(autoescape=False).from_string(MACROS.read_text("utf-8")).module  # noqa: S701 - SQL
    texts = [
        (number, description.modality, field, value)
        for number, description in enumerate(descriptions)
        for field, value in description.texts()
    ]
    rows = [tuple(row[column] for column in RULE_COLUMNS) for row in rules]
    with duckdb.connect() as con:
        con.execute("create table texts (subject integer, modality varchar, field varchar, field_value varchar)")
        con.execute(
            "create table rules (line bigint, priority integer, field varchar, match_kind varchar, pattern varchar,"
            " procedure_type varchar, specialty varchar)"
        )
        for table, values in (("texts", texts), ("rules", rows)):
            if values:
                marks = ", ".join("?" for _ in values[0])
                con.executemany(f"insert into {table} values ({marks})", values)
        for seed in ("procedure_class", "procedure_class_pattern"):
            con.execute(f"create table {seed} as from read_csv(?, all_varchar = true)", [str(SEEDS / f"{seed}.csv")])
        con.execute("alter table procedure_class_pattern alter priority type integer")
        query = template.classes_of("texts", "rules", "procedure_class_pattern", "procedure_class")  # type: ignore[attr-defined]
        found = {subject: (name, rule) for subject, name, _, _, rule in con.execute(query).fetchall()}
    return [found.get(number, (UNCLASSIFIED, None)) for number in range(len(descriptions))]


def patterns_inside_words(site: Site) -> list[Problem]:
    """Rules of procedure_types.csv whose ``contains`` is found in a description only inside a word."""
    counted = _descriptions(site, FIRST_REPORTS)
    texts = sorted({(field, folded(value)) for description in counted for field, value in description.texts()})
    return [
        _inside_a_word(row, word)
        for row in site.reference["procedure_types"].rows
        if row["match"] == "contains" and (word := _first_word_around(row, texts))
    ]


def _first_word_around(rule: Row, texts: Iterable[tuple[str, str]]) -> str | None:
    pattern = folded(str(rule["pattern"]))
    words = (_word_around(pattern, value) for field, value in texts if field == rule["field"])
    return next((word for word in words if word is not None), None)


def _word_around(pattern: str, value: str) -> str | None:
    """The word inside which the value has the pattern; None where it also begins a word, or is not in it."""
    starts = [match.start() for match in re.finditer(f"(?={re.escape(pattern)})", value)]
    if not starts or not pattern[:1].isalnum() or any(not value[start - 1 : start].isalnum() for start in starts):
        return None
    return next(word.group() for word in re.finditer(r"\w+", value) if word.start() <= starts[0] < word.end())


def _inside_a_word(rule: Row, word: str) -> Problem:
    line = rule["line"] if isinstance(rule["line"], int) else None
    message = (
        f"{rule['pattern']!r} is found inside the word {word!r}, which may be another procedure; write match 'word' if "
        "it is meant as a word of its own"
    )
    return Problem("reference/procedure_types.csv", line, "pattern", message, "pattern_inside_word")


# --- what the dose reports say --------------------------------------------------------------------------------------


def _descriptions(site: Site, at_most: int | None) -> Counter[Description]:
    """Descriptions with the number of their studies, of the last build; where there is none, of the inbox."""
    built = _built_descriptions(site) if site.build_db.exists() else None
    if built is not None:
        return built
    reports = (opened.report for opened in open_reports(find_dose_reports(site)[:at_most]) if opened is not None)
    return count_descriptions(report for report in reports if isinstance(report, DoseReport))


def _built_descriptions(site: Site) -> Counter[Description] | None:
    with read_build(site, load_key(site.config.site_id, os.environ)) as con:
        if not con.execute(_IS_BUILT).fetchall():
            return None
        return Counter(
            {
                Description(modality, study, requested, protocol, tuple(codes)): count
                for modality, study, requested, protocol, codes, count in con.execute(_STUDIES).fetchall()
            }
        )


def count_descriptions(reports: Iterable[DoseReport]) -> Counter[Description]:
    """Descriptions of studies; a study that was sent more than once counts once."""
    studies = {report.study_instance_uid or report.sop_instance_uid: description_of(report) for report in reports}
    return Counter(studies.values())


def description_of(report: DoseReport) -> Description:
    """What one dose report says of its procedure."""
    is_guided = any(event.event_type in GUIDANCE for event in report.events)
    modality = "CT" if report.modality == "ct" else "XA" if is_guided else "DX"
    return Description(
        modality,
        report.study_description,
        report.requested_procedure,
        report.protocol,
        report.procedure_codes,
    )


_IS_BUILT = "from duckdb_tables() where schema_name = 'intermediate' and table_name = 'int_study'"
_STUDIES = """
    select modality, study_description, requested_procedure, protocol, procedure_codes, count(*)
    from intermediate.int_study
    group by all
"""
