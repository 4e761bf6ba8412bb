"""An operator's own letter: new findings, limits, own procedures beside their class, and once a month the month.

Pure: Personal data and its News in, an EmailMessage out. Others are in it only as quartiles of 20 procedures or more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from email.message import EmailMessage
from statistics import median

from orchestration.charts.letter_chart import own_procedures_png
from orchestration.figures.digest import Advice
from orchestration.figures.open_findings import Finding
from orchestration.figures.operator import (
    LEAST_PROCEDURES_OF_A_CLASS,
    ClassQuartiles,
    OperatorMonth,
    OwnProcedure,
    Personal,
)
from orchestration.figures.wording import Wording, wording
from orchestration.letters.finding_words import finding_groups, limit_name, severity_counts
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


def operator_letter(
    news: News,
    personal: Personal,
    name: str | None,
    advice: Mapping[tuple[str, str], Advice],
    site_name: str,
    language: str,
    as_of: date,
    envelope: Envelope,
) -> EmailMessage:
    """Write an operator's own letter.

    Args:
        news: findings of audience ``operator`` about this operator.
        personal: what else the letter tells.
        name: the operator's, for the greeting.
        advice: the published advice; the site's own words win over the letter's.
        site_name: of the hospital.
        language: the operator's.
        as_of: last local date of the data.
        envelope: to the operator's own address.
    """
    words = wording(language)
    picture = own_procedures_png(personal, words) if personal.procedures else None

    def advise(finding: Finding) -> str:
        return _own_advice(finding.advice_code or "", advice, words)

    context = {
        "site_name": one_line(site_name),
        "name": one_line(name or personal.operator_id),
        "operator_id": personal.operator_id,
        "as_of": words.day(as_of),
        "first": words.day(personal.first),
        "last": words.day(personal.last),
        "told_in_full_days": TOLD_IN_FULL_DAYS,
        "least_procedures": LEAST_PROCEDURES_OF_A_CLASS,
        "groups": finding_groups(news.findings, words, advise, names_operator=False),
        "severities": severity_counts(news.findings, words),
        "older": news.older,
        "month": _month(personal.month, words) if news.month and personal.month else None,
        "month_name": words.month(personal.first),
        "limits": [
            [
                limit_name(limit, words),
                amount(limit.dose_msv, words),
                amount(limit.limit_msv, words),
                share(limit.fraction, words),
                share(limit.projected_fraction, words),
            ]
            for limit in personal.limits
        ],
        "classes": _class_rows(personal.procedures, personal.classes, words),
        "chart_alt": words.say("own.chart_alt", procedures=words.number(len(personal.procedures))),
    }
    return write_letter("operator", envelope, subject_of(news, site_name, as_of, words), words, context, picture)


def _own_advice(code: str, advice: Mapping[tuple[str, str], Advice], words: Wording) -> str:
    """Advise the operator: in the site's words, else in those of a letter to the operator, else as published."""
    published = advice.get((code, words.locale.language))
    if words.knows(f"own.advice.{code}") and not (published and published.is_of_site):
        return words.say(f"own.advice.{code}")
    return published.sentence if published else ""


def _month(month: OperatorMonth, words: Wording) -> list[list[str]]:
    """What the month came to: name and value."""
    badges = month.with_badge / month.procedures if month.procedures else None
    return [
        [words.say("own.month.procedures"), words.number(month.procedures)],
        [words.say("own.month.badge"), share(badges, words)],
        [words.say("own.month.hp10"), dose(month.hp10_over_apron_usv, words)],
        [words.say("own.month.lens"), dose(month.lens_usv, words)],
        [words.say("own.month.effective"), dose(month.effective_usv, words)],
    ]


def _class_rows(
    procedures: Sequence[OwnProcedure], classes: Sequence[ClassQuartiles], words: Wording
) -> list[list[str]]:
    """Class, own procedures, own median; n, median and middle half (first to third quartile) of the class; in µSv."""
    quartiles = {row.procedure_type: row for row in classes}
    own: dict[str, list[float]] = {}
    for procedure in procedures:
        own.setdefault(procedure.procedure_type, []).append(procedure.hp10_usv)
    return [
        [
            procedure_type,
            words.number(len(doses)),
            amount(median(doses), words),
            *_class_cells(quartiles, procedure_type, words),
        ]
        for procedure_type, doses in sorted(own.items(), key=lambda item: (-len(item[1]), item[0]))
    ]


def _class_cells(quartiles: Mapping[str, ClassQuartiles], procedure_type: str, words: Wording) -> list[str]:
    if procedure_type not in quartiles:
        return [NOT_KNOWN, NOT_KNOWN, NOT_KNOWN]
    row = quartiles[procedure_type]
    return [
        words.number(row.procedures),
        amount(row.median_usv, words),
        f"{words.number(row.q1_usv)}–{words.number(row.q3_usv)}",
    ]
