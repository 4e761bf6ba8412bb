"""An operator's own letter: the month, the limits and the comparison; at most five procedures; one habit.

Pure: Personal data and its News in, an EmailMessage out. Others are in it only as quartiles of 20 procedures or more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from email.message import EmailMessage
from statistics import median

from orchestration.charts.letter_chart import own_procedures_png
from orchestration.figures.digest import Advice
from orchestration.figures.habits import Habit, Protection
from orchestration.figures.open_findings import Finding, LimitShare
from orchestration.figures.operator import (
    LEAST_OTHER_PEOPLE,
    LEAST_PROCEDURES_OF_A_CLASS,
    ClassQuartiles,
    OperatorMonth,
    OwnProcedure,
    Personal,
)
from orchestration.figures.procedures import Details
from orchestration.figures.wording import NO_BREAK_SPACE, Wording, wording
from orchestration.letters.advice import advice_of
from orchestration.letters.cards import (
    OF_SEVERAL_PROCEDURES,
    advice_once,
    grouped,
    is_of_one_procedure,
    kind_card,
    own_card,
)
from orchestration.letters.dose_range import MSV_STEP, USV_STEP, range_text
from orchestration.letters.finding_words import (
    finding_text,
    limit_name,
    limits_to_confirm,
    received_share,
    severity_counts,
)
from orchestration.letters.letter import (
    NOT_KNOWN,
    TOLD_IN_FULL_DAYS,
    Envelope,
    News,
    amount,
    badge_amount,
    one_line,
    share,
    subject_of,
    write_letter,
)

PROCEDURES_SHOWN = 5
CLASSES_SHOWN = 6
LINES = 2
OWN_WORDS = "own.advice"  # advice in the words of a letter to the operator
# What is advised where a cause of marts.fct_dose_explanation is a habit (seed advice_rule, rule persistent).
ADVICE_OF_CAUSE = {
    "protection": "shield",
    "radiation": "technique",
    "geometry": "geometry",
    "c_arm_badge_or_room": "c_arm_badge_or_room",
}


def operator_letter(
    news: News,
    personal: Personal,
    details: Details,
    name: str | None,
    advice: Mapping[tuple[str, str], Advice],
    class_names: Mapping[str, Mapping[str, str]],
    site_name: str,
    language: str,
    as_of: date,
    envelope: Envelope,
) -> EmailMessage:
    """Write an operator's own letter.

    Args:
        news: findings of audience ``operator`` about this operator.
        personal: what else the letter tells.
        details: the procedures of the findings.
        name: the operator's, for the greeting.
        advice: the published advice; the site's own words win over the letter's.
        class_names: names of the procedure classes, by language.
        site_name: of the hospital.
        language: the operator's.
        as_of: last local date of the data.
        envelope: to the operator's own address.
    """
    words = wording(language).naming(class_names)
    picture = own_procedures_png(personal, words) if personal.procedures else None

    def advise(finding: Finding) -> str:
        return advice_of(finding.advice_code, finding.procedure_type, advice, words, OWN_WORDS)

    procedures = grouped([f for f in news.findings if is_of_one_procedure(f)], lambda finding: finding.procedure_id)
    classes = _class_rows(personal.procedures, personal.classes, words)
    habits = [finding for finding in news.findings if finding.rule in OF_SEVERAL_PROCEDURES]
    others = [f for f in news.findings if not is_of_one_procedure(f) and f not in habits]
    context = {
        "site_name": one_line(site_name),
        "name": one_line(name or personal.operator_id),
        "operator_id": personal.operator_id,
        "as_of": words.day(as_of),
        "first": words.day(personal.first),
        "last": words.day(personal.last),
        "told_in_full_days": TOLD_IN_FULL_DAYS,
        "least_procedures": LEAST_PROCEDURES_OF_A_CLASS,
        "least_others": LEAST_OTHER_PEOPLE,
        "severities": severity_counts(news.findings, words),
        "older": news.older,
        "month": _month(personal.month, words) if personal.month else [],
        "month_line": _month_line(personal.month, words) if personal.month else "",
        "month_heading": _month_heading(personal, words),
        "month_reason": words.say("month.reason", as_of=words.day(as_of)) if personal.is_whole_month else "",
        "limits": [_limit_row(limit, words) for limit in _highest(personal.limits)],
        "limit_lines": [_limit_line(limit, words) for limit in _highest(personal.limits)],
        "of_limits": advice_once((kind_card(group, words, advise, LINES) for group in grouped(others, _kind)), words),
        "classes": classes[:CLASSES_SHOWN],
        "class_lines": [_class_line(row, words) for row in classes[:CLASSES_SHOWN]],
        "classes_left_out": len(classes[CLASSES_SHOWN:]),
        "cards": advice_once(
            (own_card(group, details, words, advise) for group in procedures[:PROCEDURES_SHOWN]), words
        ),
        "left_out": len(procedures[PROCEDURES_SHOWN:]),
        "habit": [
            *filter(None, (finding_text(finding, words).sentence for finding in habits)),
            *_habit(personal.habit, words),
        ],
        "habit_advice": _habit_advice(personal.habit, advice, words),
        "unconfirmed": limits_to_confirm(personal.unconfirmed_limits, words),
        "chart_alt": words.say("own.chart_alt", procedures=words.number(len(personal.procedures))),
    }
    return write_letter("operator", envelope, subject_of(news, site_name, as_of, words), words, context, picture)


def _kind(finding: Finding) -> tuple[str, str | None]:
    return finding.rule, finding.quantity


def _month_heading(personal: Personal, words: Wording) -> str:
    """Name the month; one that is not over by its last day with data, too."""
    month = words.month(personal.first)
    if personal.is_whole_month:
        return words.say("own.month.heading", month=month)
    return words.say("own.month.so_far", month=month, last=words.day(personal.last))


def _month(month: OperatorMonth, words: Wording) -> list[list[str]]:
    """What the month came to: name and value."""
    badges = month.with_badge / month.procedures if month.procedures else None
    return [
        [words.say("own.month.procedures"), words.number(month.procedures)],
        [words.say("own.month.badge"), share(badges, words)],
        [words.say("own.month.hp10"), _registered(month.hp10_over_apron_usv, words)],
        [words.say("own.month.lens"), _registered(month.lens_usv, words)],
        [
            words.say("own.month.effective"),
            range_text(month.effective_usv, month.effective_high_usv, words, "µSv", USV_STEP),
        ],
    ]


def _registered(usv: float | None, words: Wording) -> str:
    return NOT_KNOWN if usv is None else f"{badge_amount(usv, words)}{NO_BREAK_SPACE}µSv"


def _month_line(month: OperatorMonth, words: Wording) -> str:
    """The same in a line of text."""
    return "; ".join(words.say("line.pair", label=label, value=value) for label, value in _month(month, words))


def _highest(limits: Sequence[LimitShare]) -> list[LimitShare]:
    """Of the windows of one limit the one of which most is used."""
    highest: dict[tuple[str, str], LimitShare] = {}
    for limit in limits:
        key = (limit.quantity, limit.limit_rule)
        if key not in highest or (limit.fraction or 0) > (highest[key].fraction or 0):
            highest[key] = limit
    return list(highest.values())


def _limit_row(limit: LimitShare, words: Wording) -> list[str]:
    """Limit, dose and value in mSv, share of it now and projected."""
    return [
        limit_name(limit, words),
        range_text(limit.dose_msv, limit.high_msv, words, "", MSV_STEP),
        amount(limit.limit_msv, words),
        received_share(limit, words),
        share(limit.projected_fraction, words),
    ]


def _limit_line(limit: LimitShare, words: Wording) -> str:
    """The same in a line of text."""
    name, dose_msv, value, received, projected = _limit_row(limit, words)
    key = "own.limits.line" if limit.projected_fraction is None else "own.limits.line_projected"
    return words.say(key, limit=name, dose=dose_msv, value=value, share=received, projected=projected)


def _habit(habit: Habit | None, words: Wording) -> list[str]:
    """What the last procedures have in common, and the protection of the last 12 months against colleagues."""
    if habit is None:
        return []
    counts = {
        "count": habit.explained,
        "above": words.number(habit.above_usual),
        "of_cause": words.number(habit.of_cause),
    }
    if habit.cause is None:
        last = words.say("own.habit.none", **counts)
    else:
        last = words.say("own.habit.cause", cause=words.say(f"causes.{habit.cause}"), **counts)
    return [last, *(sentence for row in habit.protections[:1] for sentence in _protection(row, words))]


def _protection(row: Protection, words: Wording) -> list[str]:
    """Only what 20 procedures or more say, with their uncertainty."""
    if not row.is_enough or row.low is None or row.high is None:  # the latter two for the type checker
        return []
    ratio, low, high = (words.number(value, 2) for value in (row.ratio, row.low, row.high))
    group = words.say(f"role_groups.{row.role_group}")
    sentences = [words.say("own.habit.protection", ratio=ratio, low=low, high=high, group=group)]
    if row.above_usual_usv is not None:
        less, of_all = (words.number(value / 1000, 2) for value in (row.above_usual_usv, row.hp10_usv))
        sentences.append(words.say("own.habit.less", less=less, of_all=of_all))
    return sentences


def _habit_advice(habit: Habit | None, advice: Mapping[tuple[str, str], Advice], words: Wording) -> str:
    """The advice of the cause of the habit."""
    return advice_of(ADVICE_OF_CAUSE[habit.cause], None, advice, words, OWN_WORDS) if habit and habit.cause else ""


def _class_rows(
    procedures: Sequence[OwnProcedure], classes: Sequence[ClassQuartiles], words: Wording
) -> list[list[str]]:
    """Class, own procedures, own median; n, median and middle half (first to third quartile) of the class; in µSv."""
    quartiles = {(row.procedure_type, row.role_group): row for row in classes}
    own: dict[tuple[str, str], list[float]] = {}
    for procedure in procedures:
        own.setdefault((procedure.procedure_type, procedure.role_group), []).append(procedure.hp10_usv)
    return [
        [
            words.class_name(*kind),
            words.number(len(doses)),
            badge_amount(median(doses), words),
            *_class_cells(quartiles.get(kind), words),
        ]
        for kind, doses in sorted(own.items(), key=lambda item: (-len(item[1]), item[0]))
    ]


def _class_line(row: Sequence[str], words: Wording) -> str:
    """A row of the table of classes in a line of text."""
    name, own, own_median, n, class_median, class_range = row
    key = "own.classes.line_not_compared" if n == NOT_KNOWN else "own.classes.line"
    values = {"name": name, "own": own, "median": own_median}
    return words.say(key, **values, n=n, class_median=class_median, class_range=class_range)


def _class_cells(row: ClassQuartiles | None, words: Wording) -> list[str]:
    if row is None:
        return [NOT_KNOWN, NOT_KNOWN, NOT_KNOWN]
    return [
        words.number(row.procedures),
        badge_amount(row.median_usv, words),
        "–".join(dict.fromkeys(badge_amount(usv, words) for usv in (row.q1_usv, row.q3_usv))),
    ]
