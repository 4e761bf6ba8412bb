"""The digest for medical physics: new findings, where the dose went, files refused, and once a month the month.

Pure: a Publication and its News in, an EmailMessage out. Reading is digest.py's, what is new is decided in delivery.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta
from email.message import EmailMessage
from pathlib import Path

from orchestration.charts.letter_chart import dose_by_day_png
from orchestration.figures.digest import (
    Balance,
    ChangedThreshold,
    DayBalance,
    MonthSummary,
    Publication,
    UnreadableDose,
    month_end,
)
from orchestration.figures.input_counts import input_sentences
from orchestration.figures.open_findings import Finding
from orchestration.figures.operator import OperatorMonth
from orchestration.figures.wording import NO_BREAK_SPACE, Wording, wording
from orchestration.letters.finding_words import finding_groups, rule_name, severity_counts, unit_sign
from orchestration.letters.letter import (
    NOT_KNOWN,
    TOLD_IN_FULL_DAYS,
    Envelope,
    News,
    amount,
    dose,
    one_line,
    share,
    subject_of,
    write_letter,
)

CHART_DAYS = 31
QUARANTINED_LISTED = 10
UNREADABLE_LISTED = 10
OPERATORS_LISTED = 30


def digest_letter(
    news: News,
    publication: Publication,
    site_name: str,
    language: str,
    written_on: date,
    envelope: Envelope,
    checks_page: Path | None = None,
) -> EmailMessage:
    """Write the digest to medical physics in the site's language; ``checks_page``: the data docs of this build."""
    words = wording(language)
    days = chart_days(publication)
    picture = dose_by_day_png(days, chart_window(publication), words) if days else None
    context = _context(news, publication, words, days) | {
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


def _context(news: News, publication: Publication, words: Wording, days: Sequence[DayBalance]) -> dict[str, object]:
    def advise(finding: Finding) -> str:
        advice = publication.advice.get((finding.advice_code or "", words.locale.language))
        return advice.sentence if advice else ""

    return {
        "as_of": words.day(publication.as_of),
        "run_id": publication.run_id,
        "refused_sources": [
            _refused_source(finding, words) for finding in publication.findings if finding.quantity == "refused_source"
        ],
        "groups": finding_groups(news.findings, words, advise, names_operator=True),
        "severities": severity_counts(news.findings, words),
        "shows_procedure": True,
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
        "quarantined": publication.quarantined[:QUARANTINED_LISTED],
        "quarantined_count": len(publication.quarantined),
        "quarantined_more": max(0, len(publication.quarantined) - QUARANTINED_LISTED),
        "unreadable": [_unreadable(study, words) for study in publication.unreadable[:UNREADABLE_LISTED]],
        "unreadable_count": len(publication.unreadable),
        "unreadable_more": max(0, len(publication.unreadable) - UNREADABLE_LISTED),
        "changed_thresholds": list(
            dict.fromkeys(_changed(changed, words) for changed in publication.changed_thresholds)
        ),
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
            share=share(staff.linked_share, words),
        ),
        "findings": [[rule_name(rule, words), words.number(count)] for rule, count in summary.findings],
        "operators": [_operator_row(row, words) for row in summary.operators[:OPERATORS_LISTED]],
        "operators_more": max(0, len(summary.operators) - OPERATORS_LISTED),
    }


def _operator_row(row: OperatorMonth, words: Wording) -> list[str]:
    """Operator, procedures, share with badge, over the apron and lens in µSv, highest share of a limit."""
    badges = row.with_badge / row.procedures if row.procedures else None
    return [
        row.operator_id,
        words.number(row.procedures),
        share(badges, words),
        amount(row.hp10_over_apron_usv, words),
        amount(row.lens_usv, words),
        share(row.limit_share, words),
    ]


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
        (share(publication.staff.linked_share, words), words.say("tiles.linked")),
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
    ] + [[words.say("balance.share"), *(share(column.linked_share, words) for column in columns)]]


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
        share=share(shown.linked_share, words),
        first=words.day(days[0].day),
        last=words.day(days[-1].day),
    )
