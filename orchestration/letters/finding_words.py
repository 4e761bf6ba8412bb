"""A finding in the words of a letter: who, where, when, how much and against what; and groups of one rule.

Pure wording, from codes and numbers: the published message, which is English, is quoted only where no words fit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from orchestration.figures.open_findings import Finding, LimitShare, UnconfirmedLimit
from orchestration.figures.reasons import reason_in_words
from orchestration.figures.wording import NO_BREAK_SPACE, Wording
from orchestration.letters.dose_range import MSV_STEP, PERCENT_STEP, range_text
from orchestration.letters.letter import NOT_KNOWN, share

SEVERITIES = ("urgent", "review", "notice")
SEVERITY_COLOURS = {"urgent": "#b3261e", "review": "#a85b00", "notice": "#2f6690"}

# What really is free text: the program's own sentence about a file of the site.
PROJECTED = "projected_100"  # detail of a finding about the end of the year, not about what was received
QUOTED = frozenset(
    ("data_quality", name) for name in ("refused_input", "refused_source", "rejected_rows", "swapped_dates")
)

# How the published units are written in a letter; one that is not here is written as published.
UNIT_SIGNS = {
    "uSv": "µSv",
    "uSv/(Gy.cm2)": "µSv/(Gy·cm²)",
    "Gy.cm2": "Gy·cm²",
    "mGy.cm": "mGy·cm",
    "1": "",
    "procedures": "",
    "reports": "",
    "records": "",
    "studies": "",
    "rows": "",
    "files": "",
}

# A share of a limit below it is written as 0.0 %.
SMALLEST_SHARE = 0.0005

# The advice of a finding in the words of its reader.
Advise = Callable[[Finding], str]


@dataclass(frozen=True, slots=True)
class FindingText:
    """One finding in the reader's words; ``quoted`` is the published message where there are no words for it."""

    alert_id: str
    procedure_id: str | None
    where: tuple[str, ...]
    value: str
    threshold: str
    sentence: str
    quoted: str | None


@dataclass(frozen=True, slots=True)
class FindingGroup:
    """Findings of one rule and severity that have the same explanation and advice."""

    severity_word: str
    colour: str
    rule: str
    explanation: str
    advice: str
    findings: tuple[FindingText, ...]


def finding_groups(
    findings: Sequence[Finding], words: Wording, advise: Advise, *, names_operator: bool
) -> list[FindingGroup]:
    """Put findings into words: the gravest first, within a severity by rule, within a rule as they come."""

    def key(finding: Finding) -> tuple[int, str, str, str]:
        return SEVERITIES.index(finding.severity), finding.rule, finding.quantity or "", finding.advice_code or ""

    groups = [list(group) for _, group in groupby(sorted(findings, key=key), key)]
    return [
        FindingGroup(
            severity_word=words.say(f"severity.{group[0].severity}"),
            colour=SEVERITY_COLOURS[group[0].severity],
            rule=rule_name(group[0].rule, words),
            explanation=explanation(group[0], words),
            advice=advise(group[0]),
            findings=tuple(finding_text(finding, words, names_operator=names_operator) for finding in group),
        )
        for group in groups
    ]


def finding_text(finding: Finding, words: Wording, *, names_operator: bool = True) -> FindingText:
    """Put one finding into words. A rule without words (added by a site) is told by its code and its own message."""
    value, threshold = _value_and_threshold(finding, words)
    is_quoted = (finding.rule, finding.quantity) in QUOTED or not words.knows(f"rules.{finding.rule}")
    return FindingText(
        alert_id=finding.alert_id,
        procedure_id=finding.procedure_id,
        where=_where(finding, words, names_operator=names_operator),
        value=value,
        threshold=threshold,
        sentence=_sentence(finding, words),
        quoted=reason_in_words(finding.message, words) if is_quoted and finding.message else None,
    )


def severity_counts(findings: Sequence[Finding], words: Wording) -> list[tuple[str, str, str]]:
    """Count findings by severity: word, number, colour; the gravest first."""
    counts = [(severity, sum(finding.severity == severity for finding in findings)) for severity in SEVERITIES]
    return [
        (words.say(f"severity.{severity}"), words.number(count), SEVERITY_COLOURS[severity])
        for severity, count in counts
        if count
    ]


def rule_name(rule: str, words: Wording) -> str:
    """Name a rule; one without words by its code."""
    return words.say(f"rules.{rule}.name") if words.knows(f"rules.{rule}") else rule


def short_rule_name(rule: str, words: Wording) -> str:
    """Name a rule in a word or two, where other words beside it say the rest."""
    return words.say(f"rules.{rule}.short") if words.knows(f"rules.{rule}.short") else rule_name(rule, words)


def kind_name(finding: Finding, words: Wording) -> str:
    """Name what a finding is about: its limit, its quantity where the rule watches several, else its rule."""
    if finding.limit:
        name = limit_name(finding.limit, words)
        return words.say("limit.projection", limit=name) if finding.detail == PROJECTED else name
    key = f"rules.{finding.rule}.kinds.{finding.quantity}"
    return words.say(key) if words.knows(key) else rule_name(finding.rule, words)


def limit_name(limit: LimitShare, words: Wording) -> str:
    """Name a limit by its quantity and window."""
    return f"{words.say(f'quantities.{limit.quantity}')}, {words.say(f'windows.{limit.dose_window}')}"


def received_share(limit: LimitShare, words: Wording) -> str:
    """Write the share of a limit that was received, as uncertain as the dose."""
    if limit.dose_msv is None or limit.high_msv is None:
        # Below detection to an unknown degree: a share that would be written as 0 says nothing.
        return share(limit.fraction, words) if (limit.fraction or 0) >= SMALLEST_SHARE else NOT_KNOWN
    if limit.high_msv <= limit.dose_msv:
        return share(limit.fraction, words)
    low, high = (100 * dose / limit.limit_msv for dose in (limit.dose_msv, limit.high_msv))
    return range_text(low, high, words, "%", PERCENT_STEP)


def limits_to_confirm(limits: Iterable[UnconfirmedLimit], words: Wording) -> list[str]:
    """Name limits that are not confirmed: quantity, value and where they are set."""
    return [
        words.say(
            "limit.named",
            quantity=words.say(f"quantities.{limit.quantity}"),
            limit=in_msv(limit.limit_msv, words),
            citation=limit.citation,
        )
        for limit in limits
    ]


def unit_sign(unit: str | None) -> str:
    """Write a published unit as a letter does."""
    return UNIT_SIGNS.get(unit or "", unit or "")


def explanation(finding: Finding, words: Wording) -> str:
    """Say what value and threshold are: by quantity where the rule watches several."""
    keys = (f"rules.{finding.rule}.quantities.{finding.quantity}", f"rules.{finding.rule}.threshold")
    return next((words.say(key) for key in keys if words.knows(key)), "")


def _sentence(finding: Finding, words: Wording) -> str:
    """Say what is particular to this finding, by its quantity and detail, its step, its quantity, or its rule."""
    if finding.limit:
        return " ".join(_limit_sentences(finding, finding.limit, words))
    kinds = (f"{finding.quantity}_{finding.detail}", finding.step, finding.quantity)
    keys = (*(f"rules.{finding.rule}.sentences.{kind}" for kind in kinds), f"rules.{finding.rule}.sentence")
    key = next(filter(words.knows, keys), None)
    if key is None:
        return ""
    return words.say(
        key,
        n=NOT_KNOWN if finding.n_reference is None else words.number(finding.n_reference),
        days=NOT_KNOWN if finding.days is None else words.number(finding.days),
        month=words.month(finding.occurred_on) if finding.occurred_on else NOT_KNOWN,
        detail=_detail(finding, words),
        value=NOT_KNOWN if finding.value is None else words.number(finding.value),
        usual=NOT_KNOWN if finding.usual is None else words.number(finding.usual, 2),
    )


def _detail(finding: Finding, words: Wording) -> str:
    """Write what a finding is about beside its other columns: names of the site, or a procedure class."""
    if finding.detail is None:
        return NOT_KNOWN
    if finding.rule == "reference_level":
        return words.class_name(finding.detail)
    kind, _, name = finding.detail.partition("/")
    if finding.quantity == "feed_silent" and words.knows(f"silent.{kind}"):
        return words.say(f"silent.{kind}", value=name.replace("/", ", "))
    return finding.detail.replace("/", ", ")


def _limit_sentences(finding: Finding, limit: LimitShare, words: Wording) -> Iterator[str]:
    """What was received first; then what it rests on, what may come, and whether the limit itself is certain."""
    is_pregnancy = limit.dose_window == "pregnancy"
    yield words.say(
        "limit.pregnancy" if is_pregnancy else "limit.received",
        dose=range_text(limit.dose_msv, limit.high_msv, words, "mSv", MSV_STEP),
        limit=in_msv(limit.limit_msv, words),
        share=received_share(limit, words),
        window=limit_name(limit, words),
        begin=words.day(limit.window_begin),
        end=words.day((is_pregnancy and finding.occurred_on) or limit.window_end),
    )
    if is_pregnancy:
        yield _covered(limit, words)
        if limit.is_begin_unknown:
            yield words.say("limit.before_declaration")
    yield from limit_remarks(limit, words)
    if finding.detail == PROJECTED and finding.value is not None:
        yield words.say("limit.projected", share=share(finding.value / 100, words))


def limit_remarks(limit: LimitShare, words: Wording) -> Iterator[str]:
    """The other window of a limit where its share is another, what the dose rests on, and whether the limit is sure."""
    if limit.other_window and share(limit.other_fraction, words) != share(limit.fraction, words):
        other = words.say(f"windows.{limit.other_window}")
        yield words.say("limit.other", window=other, share=share(limit.other_fraction, words))
    if limit.is_estimate and (limit.fraction or 0) >= 1:
        yield words.say("limit.estimate")
    if limit.status == "must_confirm":
        yield words.say("limit.unconfirmed", citation=limit.citation or NOT_KNOWN)


def _covered(limit: LimitShare, words: Wording) -> str:
    if not limit.covered_days or limit.covered_to is None:
        return words.say("limit.not_covered")
    return words.say("limit.covered", count=limit.covered_days, last=words.day(limit.covered_to))


def in_msv(msv: float | None, words: Wording) -> str:
    """Write a dose in mSv."""
    return NOT_KNOWN if msv is None else f"{words.number(msv)}{NO_BREAK_SPACE}mSv"


def _where(finding: Finding, words: Wording, *, names_operator: bool) -> tuple[str, ...]:
    parts = {
        "operator": finding.operator_id if names_operator else None,
        "room": finding.room_id,
        "procedure_type": finding.procedure_type and words.class_name(finding.procedure_type),
        "date": finding.occurred_on and words.day(finding.occurred_on),
    }
    return tuple(words.say(f"where.{name}", value=value) for name, value in parts.items() if value)


def _value_and_threshold(finding: Finding, words: Wording) -> tuple[str, str]:
    """Write both with as many digits as it takes to tell them apart: 20.004 is more than 20."""
    numbers = [number for number in (finding.value, finding.threshold) if number is not None]
    digits = next(
        (n for n in range(3, 16) if len({words.number(number, n) for number in numbers}) == len(set(numbers))), 16
    )
    unit, factor = ("min", 1 / 60) if finding.quantity == "fluoro_time" else (unit_sign(finding.unit), 1)

    def written(number: float | None) -> str:
        return (
            NOT_KNOWN if number is None else f"{words.number(number * factor, digits)}{NO_BREAK_SPACE}{unit}".rstrip()
        )

    threshold = words.say(
        f"findings.threshold.{finding.decided_by or 'fixed'}",
        threshold=written(finding.threshold),
        third_quartile=written(finding.third_quartile),
        floor=written(finding.floor),
        n=NOT_KNOWN if finding.n_reference is None else words.number(finding.n_reference),
        group=words.say(f"role_groups.{finding.role_group}") if finding.role_group else NOT_KNOWN,
    )
    if finding.limit and finding.value is not None and finding.unit == "%":
        # As everywhere else where a share of a limit is written.
        return share(finding.value / 100, words), threshold
    return written(finding.value), threshold
