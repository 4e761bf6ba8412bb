"""The digest for medical physics: patients, limits, habits and data, where the dose went, and once a month the month.

Pure: a Publication and its News in, an EmailMessage out. Reading is digest.py's, what is new is decided in delivery.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from email.message import EmailMessage
from pathlib import Path

from orchestration.charts.letter_chart import dose_by_day_png
from orchestration.figures.digest import (
    Balance,
    ChangedThreshold,
    DayBalance,
    HighShareClass,
    MonthSummary,
    Publication,
    UnreadableDose,
    month_end,
)
from orchestration.figures.input_counts import input_sentences
from orchestration.figures.open_findings import Finding
from orchestration.figures.operator import OperatorMonth
from orchestration.figures.procedures import Details
from orchestration.figures.reasons import reason_in_words
from orchestration.figures.wording import NO_BREAK_SPACE, Wording, wording
from orchestration.letters.advice import advice_of
from orchestration.letters.cards import (
    HABITS,
    PATIENTS,
    SECTIONS,
    Card,
    Line,
    advice_once,
    grouped,
    kind_card,
    open_line,
    operator_card,
    patient_card,
    section_of,
)
from orchestration.letters.finding_words import Advise, limits_to_confirm, rule_name, severity_counts, unit_sign
from orchestration.letters.letter import (
    NOT_KNOWN,
    TOLD_IN_FULL_DAYS,
    Envelope,
    News,
    badge_amount,
    dose,
    linked,
    one_line,
    share,
    subject_of,
    write_letter,
)

CHART_DAYS = 31
QUARANTINED_LISTED = 10
UNREADABLE_LISTED = 10
OPERATORS_LISTED = 30
# Cards of a section, and lines of a card; what is more is counted, urgent findings are a line each.
CARDS = {"patients": 8, "limits": 10, "habits": 10, "data": 10}
LINES = {"limits": 4, "habits": 3, "data": 4}


# What one card is about: a procedure, of which a patient without one has none; an operator; a kind of finding.
def _of_patient(finding: Finding) -> str:
    return finding.procedure_id or finding.alert_id


def _of_operator_or_kind(finding: Finding) -> str:
    return finding.operator_id or f"{finding.rule} {finding.quantity}"


@dataclass(frozen=True, slots=True)
class Section:
    """Findings that are read together: new ones as cards, further urgent ones as lines, then the unanswered ones."""

    heading: str
    cards: tuple[Card, ...]
    urgent: tuple[Line, ...]
    still_open: tuple[Line, ...]
    left_out: int
    remarks: tuple[str, ...] = ()


def digest_letter(
    news: News,
    publication: Publication,
    details: Details,
    site_name: str,
    language: str,
    written_on: date,
    envelope: Envelope,
    checks_page: Path | None = None,
) -> EmailMessage:
    """Write the digest to medical physics in the site's language.

    Args:
        news: what is new to this reader.
        publication: figures and all open findings: the urgent ones are in every digest.
        details: the procedures of the findings.
        site_name: of the hospital.
        language: the site's.
        written_on: local date of the site.
        envelope: to an address of medical physics.
        checks_page: the data docs of this build.
    """
    words = wording(language).naming(publication.class_names)
    days = chart_days(publication)
    picture = dose_by_day_png(days, chart_window(publication), words) if days else None
    context = _context(news, publication, details, words, days) | {
        "site_name": one_line(site_name),
        "written_on": words.day(written_on),
        "checks_page": checks_page,
    }
    subject = subject_of(news, site_name, publication.as_of, words)
    return write_letter("digest", envelope, subject, words, context, picture)


def chart_window(publication: Publication) -> tuple[date, date]:
    """Return the first and the last day of the picture."""
    return publication.as_of - timedelta(days=CHART_DAYS - 1), publication.as_of


def chart_days(publication: Publication) -> tuple[DayBalance, ...]:
    """Return the staff's days that the picture shows: the last 31 up to as_of, none if nothing was registered then."""
    first, last = chart_window(publication)
    days = tuple(day for day in publication.days if not day.is_c_arm and first <= day.day <= last)
    return days if any(day.balance.registered_usv for day in days) else ()


def sections(
    news: News, publication: Publication, details: Details, words: Wording, advise: Advise
) -> tuple[Section, ...]:
    """The findings in the order in which they are read; a section without any is left out."""
    listed = {finding.alert_id for finding in news.findings}
    unanswered = [f for f in publication.findings if f.severity == "urgent" and f.alert_id not in listed]
    made = []
    for name in SECTIONS:
        groups = grouped(
            [f for f in news.findings if section_of(f) == name],
            _of_patient if name == PATIENTS else _of_operator_or_kind,
        )
        # Of the groups that are too many the urgent findings stay, a line each.
        more = groups[CARDS[name] :]
        urgent = [f for group in more for f in group if f.severity == "urgent"]
        still_open = [f for f in unanswered if section_of(f) == name]
        cards = [_card(name, group, details, words, advise) for group in groups[: CARDS[name]]]
        made.append(
            Section(
                heading=words.say(f"sections.{name}"),
                # A card about a patient is whole: it may be handed on alone.
                cards=tuple(cards) if name == PATIENTS else advice_once(cards, words),
                urgent=tuple(open_line(finding, details, words) for finding in urgent),
                still_open=tuple(open_line(finding, details, words) for finding in still_open),
                left_out=sum(group[0].severity != "urgent" for group in more),
                remarks=_high_shares(publication.high_share_classes, words) if name == HABITS and news.month else (),
            )
        )
    return tuple(section for section in made if section.cards or section.still_open or section.remarks)


def _card(name: str, findings: Sequence[Finding], details: Details, words: Wording, advise: Advise) -> Card:
    if name == PATIENTS:
        return patient_card(findings, details, words, advise)
    if findings[0].operator_id:
        return operator_card(findings, details, words, advise, LINES[name])
    return kind_card(findings, words, advise, LINES[name])


def _high_shares(classes: Sequence[HighShareClass], words: Wording) -> tuple[str, ...]:
    """The classes that nobody shields: half of their doses are above the lowest threshold of the rule."""
    return tuple(
        words.say(
            "sections.high_share",
            name=words.class_name(row.procedure_type),
            group=words.say(f"role_groups.{row.role_group}"),
            median=words.number(row.median_percent),
            n=words.number(row.n),
        )
        for row in classes
    )


def _context(
    news: News, publication: Publication, details: Details, words: Wording, days: Sequence[DayBalance]
) -> dict[str, object]:
    def advise(finding: Finding) -> str:
        return advice_of(finding.advice_code, finding.procedure_type, publication.advice, words, "advice")

    return {
        "as_of": words.day(publication.as_of),
        "run_id": publication.run_id,
        "refused_sources": [
            _refused_source(finding, words) for finding in publication.findings if finding.quantity == "refused_source"
        ],
        "sections": sections(news, publication, details, words, advise),
        "severities": severity_counts(news.findings, words),
        "older": news.older,
        "told_in_full_days": TOLD_IN_FULL_DAYS,
        "month": _month(publication.last_month, publication, words) if news.month and publication.last_month else None,
        "tiles": _tiles(publication, words),
        "balances": _balances(publication, words),
        "figures": _figures(publication, words),
        "rules": _rule_counts(news, publication, words),
        "unlinked": [
            [words.say(f"unlinked.{row.reason}"), words.number(row.records), dose(row.unlinked_usv, words)]
            for row in publication.unlinked
        ],
        "quarantined": [
            replace(file, reason=reason_in_words(file.reason, words) if file.reason else None)
            for file in publication.quarantined[:QUARANTINED_LISTED]
        ],
        "quarantined_count": len(publication.quarantined),
        "quarantined_more": max(0, len(publication.quarantined) - QUARANTINED_LISTED),
        "unreadable": [_unreadable(study, words) for study in publication.unreadable[:UNREADABLE_LISTED]],
        "unreadable_count": len(publication.unreadable),
        "unreadable_more": max(0, len(publication.unreadable) - UNREADABLE_LISTED),
        "changed_thresholds": list(
            dict.fromkeys(_changed(changed, words) for changed in publication.changed_thresholds)
        ),
        "unconfirmed": limits_to_confirm(publication.unconfirmed_limits, words),
        "input_lines": input_sentences(publication.input_counts, words),
        "chart_alt": _chart_alt(days, words) if days else "",
    }


def _refused_source(finding: Finding, words: Wording) -> str:
    return words.say("quarantined.newest", count=int(finding.value or 0), source=finding.detail or NOT_KNOWN)


def _month(summary: MonthSummary, publication: Publication, words: Wording) -> dict[str, object]:
    last = month_end(summary.month)
    balances = (day.balance for day in publication.days if not day.is_c_arm and summary.month <= day.day <= last)
    staff = sum(balances, Balance())
    return {
        "name": words.month(summary.month),
        "sentence": words.say(
            "month.sentence",
            procedures=words.number(summary.procedures),
            operators=words.number(len(summary.operators)),
            dose=dose(staff.registered_usv, words),
            share=linked(staff.linked_share, words),
        ),
        "findings": [[rule_name(rule, words), words.number(count)] for rule, count in summary.findings],
        "operators": [_operator_row(row, words) for row in summary.operators[:OPERATORS_LISTED]],
        "operator_lines": [_operator_line(row, words) for row in summary.operators[:OPERATORS_LISTED]],
        "operators_more": max(0, len(summary.operators) - OPERATORS_LISTED),
    }


def _operator_row(row: OperatorMonth, words: Wording) -> list[str]:
    """Operator, procedures, share with badge, over the apron and lens in µSv, highest share of a limit."""
    badges = row.with_badge / row.procedures if row.procedures else None
    return [
        row.operator_id,
        words.number(row.procedures),
        share(badges, words),
        badge_amount(row.hp10_over_apron_usv, words),
        badge_amount(row.lens_usv, words),
        share(row.limit_share, words),
    ]


def _operator_line(row: OperatorMonth, words: Wording) -> str:
    """The same in a line of text."""
    operator, procedures, badge, hp10, lens, limit = _operator_row(row, words)
    values = {"operator": operator, "procedures": procedures, "badge": badge}
    return words.say("month.line", **values, hp10=hp10, lens=lens, limit=limit)


def _unreadable(study: UnreadableDose, words: Wording) -> dict[str, str]:
    return {
        "study": words.say(
            "unreadable.study",
            day=words.day(study.day) if study.day else NOT_KNOWN,
            room=one_line(study.room_id),
            accession=one_line(study.accession_number or NOT_KNOWN),
        ),
        "messages": one_line(study.messages),
    }


def _changed(changed: ChangedThreshold, words: Wording) -> str:
    rule = rule_name(changed.rule, words)
    if not changed.is_enabled:
        return words.say("changed.off", rule=rule)
    sign = unit_sign(changed.unit)
    value, default = (f"{words.number(number)}{NO_BREAK_SPACE}{sign}" for number in (changed.value, changed.default))
    return words.say("changed.value", rule=rule, name=changed.name, value=value.rstrip(), default=default.rstrip())


def _tiles(publication: Publication, words: Wording) -> list[tuple[str, str]]:
    return [
        (words.number(publication.procedures), words.say("tiles.procedures")),
        (words.number(publication.operators), words.say("tiles.operators")),
        (linked(publication.staff.linked_share, words), words.say("tiles.linked")),
        (words.number(publication.checks_passed), words.say("tiles.checks")),
    ]


def _figures(publication: Publication, words: Wording) -> str:
    if publication.first_date is None or publication.last_date is None:
        return words.say("figures.no_procedures")
    return words.say(
        "figures.procedures",
        procedures=words.number(publication.procedures),
        first=words.day(publication.first_date),
        last=words.day(publication.last_date),
        rooms=words.number(publication.rooms),
        operators=words.number(publication.operators),
    )


def _balances(publication: Publication, words: Wording) -> list[list[str]]:
    """One row per disposition; columns: its name, staff badges, C-arm badges, all."""
    columns = (publication.staff, publication.c_arm, publication.staff + publication.c_arm)
    dispositions = ("registered", "linked", "apportioned", "unlinked")
    return [
        [words.say(f"balance.{name}"), *(dose(getattr(column, f"{name}_usv"), words) for column in columns)]
        for name in dispositions
    ] + [[words.say("balance.share"), *(linked(column.linked_share, words) for column in columns)]]


def _rule_counts(news: News, publication: Publication, words: Wording) -> list[list[str]]:
    """Rules with open findings: name, new in this letter, open in all; most new ones first."""
    new = Counter(finding.rule for finding in news.findings)
    still_open = Counter(finding.rule for finding in publication.findings)
    ordered = sorted(still_open, key=lambda rule: (-new[rule], -still_open[rule], rule))
    return [[rule_name(rule, words), words.number(new[rule]), words.number(still_open[rule])] for rule in ordered]


def _chart_alt(days: Sequence[DayBalance], words: Wording) -> str:
    shown = sum((day.balance for day in days), Balance())
    return words.say(
        "chart.alt",
        dose=dose(shown.registered_usv, words),
        share=linked(shown.linked_share, words),
        first=words.day(days[0].day),
        last=words.day(days[-1].day),
    )
