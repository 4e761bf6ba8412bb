"""What every letter is: plain text, HTML, at most one picture in it and one page beside it; how figures are written.

No file, clock, database or network is touched here. What each letter says is in letter_<reader>.py and its templates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from ingest.control_characters import printable
from orchestration.figures.open_findings import Finding
from orchestration.figures.wording import NO_BREAK_SPACE, Wording

# A finding that is first seen when it is older than this is only counted, unless it is urgent (issue 8).
TOLD_IN_FULL_DAYS = 31
PICTURE_CID = "picture@doseledger"
NOT_KNOWN = "—"
BADGE_RESOLUTION_USV = 1


@dataclass(frozen=True, slots=True)
class PageFile:
    """The reader's page as one file that goes with the letter."""

    name: str
    html: str


@dataclass(frozen=True, slots=True)
class Envelope:
    """Who writes to whom; ``written_at`` is an instant with zone, ``page`` the address of the reader's page, if any."""

    sender: str
    recipient: str
    message_id: str
    written_at: datetime
    page: str | None = None
    page_file: PageFile | None = None


@dataclass(frozen=True, slots=True)
class News:
    """What is new to one reader, and what is still open.

    Attributes:
        findings: listed in full.
        older: number of older ones.
        month: to be summed up.
        unanswered: number of urgent findings of earlier letters that are still open.
    """

    findings: tuple[Finding, ...] = ()
    older: int = 0
    month: date | None = None
    unanswered: int = 0


def is_shown_in_full(finding: Finding, as_of: date) -> bool:
    """Tell whether a new finding is listed: an urgent one, one without a date, and one that is not old."""
    is_recent = finding.occurred_on is None or finding.occurred_on >= as_of - timedelta(days=TOLD_IN_FULL_DAYS)
    return is_recent or finding.severity == "urgent"


def write_letter(
    template: str,
    envelope: Envelope,
    subject: str,
    words: Wording,
    context: Mapping[str, object],
    picture: bytes | None = None,
) -> EmailMessage:
    """Write a letter from its two templates, ``<template>.txt.j2`` and ``<template>.html.j2``.

    Args:
        template: which letter.
        envelope: its sender, reader and name.
        subject: its subject, of whatever names; line breaks in it do no harm.
        words: its language.
        context: what the templates name.
        picture: a PNG that the HTML shows as ``cid:`` PICTURE_CID.
    """
    language = words.locale.language
    known = {
        "say": words.say,
        "language": language,
        "picture_cid": PICTURE_CID if picture else None,
        "page": envelope.page,
        "page_file": envelope.page_file,
        **context,
    }
    letter = EmailMessage(policy=SMTP)
    letter["From"] = envelope.sender
    letter["To"] = envelope.recipient
    letter["Subject"] = one_line(subject)
    letter["Date"] = format_datetime(envelope.written_at)
    letter["Message-ID"] = envelope.message_id
    letter["Auto-Submitted"] = "auto-generated"  # RFC 3834: no answer from an out-of-office robot
    letter.set_content(_TEMPLATES.get_template(f"{template}.txt.j2").render(known))
    letter.add_alternative(_TEMPLATES.get_template(f"{template}.html.j2").render(known), subtype="html")
    if picture:
        html = letter.get_payload(1)
        assert isinstance(html, EmailMessage)  # noqa: S101  # for the type checker: add_alternative made it
        html.add_related(picture, "image", "png", cid=f"<{PICTURE_CID}>", disposition="inline")
    if envelope.page_file:
        page = envelope.page_file  # as bytes: text would get other line ends
        letter.add_attachment(page.html.encode(), "text", "html", params={"charset": "utf-8"}, filename=page.name)
    letter["Content-Language"] = language  # at last: what is set before goes down to the first part
    return letter


def subject_of(news: News, site_name: str, until: date, words: Wording) -> str:
    """Say in one line what a letter lists; what else it has only where nothing is listed."""
    values = {"site": site_name, "until": words.day(until)}
    if news.findings:
        return words.say("subject.findings", count=len(news.findings), **values)
    if news.month:
        return words.say("subject.month", month=words.month(news.month), **values)
    if news.older:
        return words.say("subject.older", **values)
    return words.say("subject.unanswered", count=news.unanswered, **values)


def one_line(text: str) -> str:
    """The text without line breaks and control characters, whatever came in a name."""
    return printable(" ".join(text.split()))


def amount(number: float | None, words: Wording) -> str:
    """Write a number whose unit stands at the head of its column."""
    return NOT_KNOWN if number is None else words.number(number)


def dose(usv: Decimal | float | None, words: Wording) -> str:
    """Write a dose in µSv."""
    return NOT_KNOWN if usv is None else f"{words.number(usv)}{NO_BREAK_SPACE}µSv"


def badge_amount(usv: float | None, words: Wording) -> str:
    """Write what a badge registered in a procedure, in µSv: below 1 µSv its digits say nothing."""
    return f"<{NO_BREAK_SPACE}1" if usv is not None and usv < BADGE_RESOLUTION_USV else amount(usv, words)


def share(fraction: Decimal | float | None, words: Wording, rounding: str = ROUND_HALF_EVEN) -> str:
    """Write a part of one in percent."""
    return NOT_KNOWN if fraction is None else words.percent(Decimal(str(fraction)), rounding)


def linked(fraction: Decimal | float | None, words: Wording) -> str:
    """Write the share of the dose that is linked, rounded down: 99.96 % of the dose is not all of it."""
    return share(fraction, words, ROUND_DOWN)


_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=select_autoescape(enabled_extensions=("html.j2",)),
    undefined=StrictUndefined,
    finalize=lambda value: printable(value) if isinstance(value, str) else value,
    trim_blocks=True,
    lstrip_blocks=True,
)
