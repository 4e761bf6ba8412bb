"""Letters as data in, EmailMessage out: what a digest tells, in which order, as HTML, plain text and one picture.

No file, clock, database or network is touched here: digest.py reads, delivery.py decides and sends, wording.py words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from orchestration.digest import Balance, ChangedThreshold, DayBalance, Finding, Publication
from orchestration.wording import NO_BREAK_SPACE, Wording, wording

# A finding that is first seen when it is older than this is told as a count only (issue 8).
TOLD_IN_FULL_DAYS = 31
CHART_DAYS = 31
SEVERITIES = ("urgent", "review", "notice")
SEVERITY_COLOURS = {"urgent": "#b3261e", "review": "#a85b00", "notice": "#2f6690"}
QUARANTINED_LISTED = 10
CHART_CID = "dose-by-day@doseledger"
NOT_KNOWN = "—"

# Rules of which value and threshold do not tell all: the published message (English) is told too.
RULES_OF_SEVERAL_KINDS = frozenset({"dose_limit", "patient_dose", "reference_level", "data_quality"})

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
}


@dataclass(frozen=True, slots=True)
class Digest:
    """What one digest tells: the publication, the findings that are told in full, and the number of older ones."""

    site_name: str
    language: str
    written_on: date
    publication: Publication
    findings: tuple[Finding, ...]
    older: int


@dataclass(frozen=True, slots=True)
class Envelope:
    """Who writes to whom; ``written_at`` is an instant with zone."""

    sender: str
    recipient: str
    message_id: str
    written_at: datetime


@dataclass(frozen=True, slots=True)
class FindingText:
    """One finding in the reader's words."""

    alert_id: str
    procedure_id: str | None
    severity_word: str
    colour: str
    rule: str
    where: tuple[str, ...]
    value: str
    threshold: str
    derivation: str
    message: str | None
    advice: str


def is_told_in_full(finding: Finding, as_of: date) -> bool:
    """Tell whether a new finding is listed; an older one is only counted. A finding without a date is listed."""
    return finding.occurred_on is None or finding.occurred_on >= as_of - timedelta(days=TOLD_IN_FULL_DAYS)


def digest_letter(digest: Digest, envelope: Envelope) -> EmailMessage:
    """Write the digest to medical physics: plain text, and HTML with the picture inside the message."""
    words = wording(digest.language)
    days = chart_days(digest.publication)
    context = _context(digest, words, days)
    letter = EmailMessage(policy=SMTP)
    letter["From"] = envelope.sender
    letter["To"] = envelope.recipient
    letter["Subject"] = _subject(digest, words)
    letter["Date"] = format_datetime(envelope.written_at)
    letter["Message-ID"] = envelope.message_id
    letter["Content-Language"] = digest.language
    letter["Auto-Submitted"] = "auto-generated"  # RFC 3834: no answer from an out-of-office robot
    letter.set_content(_TEMPLATES.get_template("digest.txt.j2").render(context))
    letter.add_alternative(_TEMPLATES.get_template("digest.html.j2").render(context), subtype="html")
    if days:
        from orchestration.letter_chart import dose_by_day_png  # see there: a slow import

        html = letter.get_payload(1)
        assert isinstance(html, EmailMessage)  # noqa: S101  # for the type checker: add_alternative made it
        html.add_related(
            dose_by_day_png(days, chart_window(digest.publication), words),
            "image",
            "png",
            cid=f"<{CHART_CID}>",
            disposition="inline",
        )
    return letter


def chart_window(publication: Publication) -> tuple[date, date]:
    """Return the first and the last day of the picture."""
    return publication.as_of - timedelta(days=CHART_DAYS - 1), publication.as_of


def chart_days(publication: Publication) -> tuple[DayBalance, ...]:
    """Return the staff's days that the picture shows: the last 31 up to as_of, none if nothing was registered then."""
    first, last = chart_window(publication)
    days = tuple(day for day in publication.days if not day.is_c_arm and first <= day.day <= last)
    return days if any(day.balance.registered_usv for day in days) else ()


def finding_text(finding: Finding, words: Wording, advice: Mapping[tuple[str, str], str]) -> FindingText:
    """Put a finding into words. A rule without words (added by a site) is told by its code and its own message."""
    is_known = words.knows(f"rules.{finding.rule}")
    value, threshold = _value_and_threshold(finding, words)
    return FindingText(
        alert_id=finding.alert_id,
        procedure_id=finding.procedure_id,
        severity_word=words.say(f"severity.{finding.severity}"),
        colour=SEVERITY_COLOURS[finding.severity],
        rule=_rule_name(finding.rule, words),
        where=_where(finding, words),
        value=value,
        threshold=threshold,
        derivation=_derivation(finding, words) if is_known else "",
        message=finding.message if finding.rule in RULES_OF_SEVERAL_KINDS or not is_known else None,
        advice=advice.get((finding.advice_code or "", words.locale.language), ""),
    )


def _derivation(finding: Finding, words: Wording) -> str:
    """Say what value and threshold are: by quantity where the rule watches several."""
    by_quantity = f"rules.{finding.rule}.quantities.{finding.quantity}"
    key = by_quantity if words.knows(by_quantity) else f"rules.{finding.rule}.threshold"
    return words.say(key, n=NOT_KNOWN if finding.n_reference is None else words.number(finding.n_reference))


def _rule_name(rule: str, words: Wording) -> str:
    return words.say(f"rules.{rule}.name") if words.knows(f"rules.{rule}") else rule


def _where(finding: Finding, words: Wording) -> tuple[str, ...]:
    parts = {
        "operator": finding.operator_id,
        "room": finding.room_id,
        "procedure_type": finding.procedure_type,
        "date": finding.occurred_on and words.day(finding.occurred_on),
    }
    return tuple(words.say(f"where.{name}", value=value) for name, value in parts.items() if value)


def _value_and_threshold(finding: Finding, words: Wording) -> tuple[str, str]:
    """Write both with as many digits as it takes to tell them apart: 20.004 is more than 20."""
    numbers = [number for number in (finding.value, finding.threshold) if number is not None]
    digits = next(
        (n for n in range(3, 16) if len({words.number(number, n) for number in numbers}) == len(set(numbers))), 16
    )
    sign = UNIT_SIGNS.get(finding.unit or "", finding.unit or "")

    def written(number: float | None) -> str:
        return NOT_KNOWN if number is None else f"{words.number(number, digits)}{NO_BREAK_SPACE}{sign}".rstrip()

    return written(finding.value), written(finding.threshold)


def _changed(changed: ChangedThreshold, words: Wording) -> str:
    rule = _rule_name(changed.rule, words)
    if not changed.is_enabled:
        return words.say("changed.off", rule=rule)
    sign = UNIT_SIGNS.get(changed.unit, changed.unit)
    value, default = (f"{words.number(number)}{NO_BREAK_SPACE}{sign}" for number in (changed.value, changed.default))
    return words.say("changed.value", rule=rule, name=changed.name, value=value.rstrip(), default=default.rstrip())


def _subject(digest: Digest, words: Wording) -> str:
    # A header is one line, whatever line breaks a site's name has.
    site = " ".join(digest.site_name.split())
    until = words.day(digest.publication.as_of)
    return words.say("subject", count=len(digest.findings) + digest.older, site=site, until=until)


def _context(digest: Digest, words: Wording, days: Sequence[DayBalance]) -> dict[str, object]:
    publication = digest.publication
    return {
        "say": words.say,
        "language": digest.language,
        "site_name": digest.site_name,
        "written_on": words.day(digest.written_on),
        "as_of": words.day(publication.as_of),
        "run_id": publication.run_id,
        "findings": [finding_text(finding, words, publication.advice) for finding in digest.findings],
        "changed_thresholds": list(
            dict.fromkeys(_changed(changed, words) for changed in publication.changed_thresholds)
        ),
        "severities": _severity_counts(digest.findings, words),
        "older": digest.older,
        "told_in_full_days": TOLD_IN_FULL_DAYS,
        "tiles": _tiles(digest, words),
        "balances": _balances(publication, words),
        "figures": _figures(publication, words),
        "rules": _rule_counts(digest, words),
        "unlinked": [
            (words.say(f"unlinked.{row.reason}"), words.number(row.records), _dose(row.unlinked_usv, words))
            for row in publication.unlinked
        ],
        "quarantined": publication.quarantined[:QUARANTINED_LISTED],
        "quarantined_count": len(publication.quarantined),
        "quarantined_more": max(0, len(publication.quarantined) - QUARANTINED_LISTED),
        "chart_cid": CHART_CID if days else None,
        "chart_alt": _chart_alt(days, words) if days else "",
    }


def _severity_counts(findings: Sequence[Finding], words: Wording) -> list[tuple[str, str, str]]:
    counts = Counter(finding.severity for finding in findings)
    return [
        (words.say(f"severity.{severity}"), words.number(counts[severity]), SEVERITY_COLOURS[severity])
        for severity in SEVERITIES
        if counts[severity]
    ]


def _tiles(digest: Digest, words: Wording) -> list[tuple[str, str]]:
    publication = digest.publication
    return [
        (words.number(publication.procedures), words.say("tiles.procedures")),
        (words.number(publication.operators), words.say("tiles.operators")),
        (_share(publication.staff.linked_share, words), words.say("tiles.linked")),
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
        [words.say(f"balance.{name}"), *(_dose(getattr(column, f"{name}_usv"), words) for column in columns)]
        for name in dispositions
    ] + [[words.say("balance.share"), *(_share(column.linked_share, words) for column in columns)]]


def _rule_counts(digest: Digest, words: Wording) -> list[tuple[str, str, str]]:
    """Rules with open findings: name, new in this letter, open in all; most new ones first."""
    new = Counter(finding.rule for finding in digest.findings)
    still_open = Counter(finding.rule for finding in digest.publication.findings)
    ordered = sorted(still_open, key=lambda rule: (-new[rule], -still_open[rule], rule))
    return [(_rule_name(rule, words), words.number(new[rule]), words.number(still_open[rule])) for rule in ordered]


def _dose(usv: Decimal, words: Wording) -> str:
    return f"{words.number(usv)}{NO_BREAK_SPACE}µSv"


def _share(share: Decimal | None, words: Wording) -> str:
    return NOT_KNOWN if share is None else words.percent(share)


def _chart_alt(days: Sequence[DayBalance], words: Wording) -> str:
    shown = sum((day.balance for day in days), Balance())
    return words.say(
        "chart.alt",
        dose=_dose(shown.registered_usv, words),
        share=_share(shown.linked_share, words),
        first=words.day(days[0].day),
        last=words.day(days[-1].day),
    )


_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "letter_templates"),
    autoescape=select_autoescape(enabled_extensions=("html.j2",)),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
