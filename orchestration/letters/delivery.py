"""Delivery: what of a publication is new to whom, and their letters sent, written or kept waiting.

Only these decisions live here. It reads the published files and its own ledger, never the build database.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from email.message import EmailMessage
from email.utils import parseaddr
from pathlib import Path
from urllib.parse import quote
from zoneinfo import ZoneInfo

from ingest.site.config import Mail, SiteConfig
from orchestration.figures.digest import Publication, month_end, read_publication
from orchestration.figures.open_findings import Finding, read_findings
from orchestration.figures.operator import Addressee, page_folder, read_addressees, read_personal
from orchestration.figures.procedures import Details, read_details
from orchestration.letters.letter import Envelope, News, PageFile, is_shown_in_full
from orchestration.letters.occupational_physician import restricted_letter
from orchestration.letters.operations import Trouble, operations_letter
from orchestration.letters.operator import operator_letter
from orchestration.letters.physicist import digest_letter
from orchestration.letters.post import MailServerError, refused_recipients, relay_of, send_by_smtp, write_to_outbox
from orchestration.letters.sent_ledger import PreparedLetter, Reader, SentLedger, open_sent_ledger
from orchestration.one_file import as_one_file
from orchestration.publication.data_docs import data_docs_file
from orchestration.publication.published_files import open_published

OPERATORS_NAMED = 10
SENT = Path("delivery/sent.sqlite")  # below data_dir


@dataclass(frozen=True, slots=True)
class SentLetter:
    """A letter that left in this run; ``sent_to`` is the mail server or the file in the outbox."""

    message_id: str
    recipient: str
    sent_to: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """What one delivery did. Of letters to mail.restricted it says nothing at all: that there is one is restricted.

    Attributes:
        sent: letters that left now, those of earlier runs too.
        waiting: letters that are prepared and go out at the next run.
        findings_told: new findings that are listed in the digests prepared now.
        older_told: new findings that these digests count only, because they are old.
        notes: what a person should know; free of dose data.
    """

    sent: tuple[SentLetter, ...] = ()
    waiting: int = 0
    findings_told: int = 0
    older_told: int = 0
    notes: tuple[str, ...] = ()

    @property
    def recipients(self) -> tuple[str, ...]:
        """Who got a letter now, each once."""
        return tuple(dict.fromkeys(letter.recipient for letter in self.sent))


@dataclass(frozen=True, slots=True)
class Draft:
    """What one reader may get: open findings, perhaps a month, and how their letter is written.

    Attributes:
        is_reminded: an urgent finding that is not answered is a letter by itself, once a week.
    """

    reader: Reader
    findings: tuple[Finding, ...]
    month: date | None
    write: Callable[[News, Envelope], EmailMessage]
    is_reminded: bool = False


# Role of a reader -> the reader's page in a publication.
PAGES = {
    "medical_physics": "pages/physics/index.html",
    "operator": "pages/operators/{subject}/index.html",
    "restricted": "restricted/pages/index.html",
}


@dataclass(frozen=True, slots=True)
class Office:
    """The site as delivery knows it.

    Attributes:
        site: identity, language and mail part of site.yaml.
        data_dir: where ``delivery/`` and, without a mail server, ``outbox/`` are.
        environ: where the variable that ``mail.smtp_url_env`` names holds the mail server's address.
        today: local date of the site, written into letters.
        publication: folder of the publication that letters are about; None where they are about a failed run.
    """

    site: SiteConfig
    data_dir: Path
    environ: Mapping[str, str]
    today: date
    publication: Path | None = None


def deliver(published_run: Path, site: SiteConfig, data_dir: Path, environ: Mapping[str, str], today: date) -> Delivery:
    """Tell what is new in a publication to those who may see it, each reader each finding and month once.

    A letter is prepared in ``<data_dir>/delivery/sent.sqlite`` before it leaves, so nothing is lost or said twice:
    a mail server that is down, or a crash, leaves it waiting, and the next call sends the same letter with the same
    Message-ID.

    Args:
        published_run: folder ``published/runs/<run_id>`` with ``warehouse.duckdb`` and ``restricted/``.
        site: identity, language and mail part of site.yaml.
        data_dir: where ``delivery/`` and, without a mail server, ``outbox/`` are.
        environ: where the variable that ``mail.smtp_url_env`` names holds the mail server's address.
        today: local date of the site, written into the letter.

    Raises:
        OSError: data_dir cannot be written.
        duckdb.Error: a published file cannot be read.
    """
    office = Office(site, data_dir, environ, today, published_run)
    warehouse = published_run / "warehouse.duckdb"
    publication = read_publication(warehouse)
    details = read_details(warehouse, ZoneInfo(site.timezone))
    addressees = read_addressees(published_run / "restricted" / "restricted.duckdb")
    drafts = [
        *_digests(publication, details, office),
        *_own_letters(publication, details, addressees, warehouse, office),
        *_confidential_letters(published_run / "restricted" / "restricted.duckdb", publication, office),
    ]
    with open_sent_ledger(data_dir / SENT) as ledger:
        told = [(draft.reader.role, news) for draft in drafts if (news := _prepare(ledger, draft, publication, office))]
        # A letter about an earlier failure may still wait for the mail server.
        operations = _readers("operations", site.mail.operations)
        delivery = _send_all(ledger, {draft.reader for draft in drafts} | set(operations), office)
    digests = [news for role, news in told if role == "medical_physics"]
    return Delivery(
        sent=delivery.sent,
        waiting=delivery.waiting,
        findings_told=len({finding.alert_id for news in digests for finding in news.findings}),
        older_told=max((news.older for news in digests), default=0),
        notes=(*_notes(site.mail, addressees), *delivery.notes),
    )


def deliver_troubles(
    troubles: Sequence[Trouble], site: SiteConfig, data_dir: Path, environ: Mapping[str, str], today: date
) -> Delivery:
    """Tell mail.operations what went wrong; the same trouble once a day.

    Args:
        troubles: what went wrong, free of patient data; none = nothing to tell.
        site: as for `deliver`.
        data_dir: as for `deliver`.
        environ: as for `deliver`.
        today: local date of the site.

    Raises:
        OSError: data_dir cannot be written.
    """
    readers = _readers("operations", site.mail.operations)
    if not troubles:
        return Delivery()
    if not readers:
        return Delivery(notes=("mail.operations is empty in site.yaml: nobody is written to about what went wrong.",))
    office = Office(site, data_dir, environ, today)
    # Its page is another at each try, and no other trouble.
    text = "\n".join(sentence for trouble in troubles for sentence in (trouble.step, *trouble.sentences))
    item = f"trouble {today.isoformat()} {hashlib.sha256(text.encode()).hexdigest()}"
    with open_sent_ledger(data_dir / SENT) as ledger:
        for reader in readers:
            if item not in ledger.told(reader):
                envelope = _envelope(office, reader, [item])
                letter = operations_letter(troubles, site.name, site.language, today, envelope)
                ledger.prepare(_prepared(letter, envelope, reader, today), [item])
        return _send_all(ledger, set(readers), office)


# --- what each reader may be told ----------------------------------------------------------------------------------


def _readers(role: str, addresses: Sequence[str]) -> list[Reader]:
    return [Reader(role, address) for address in dict.fromkeys(addresses)]


def _digests(publication: Publication, details: Details, office: Office) -> Iterator[Draft]:
    site = office.site
    summary = publication.last_month
    month = summary.month if summary and (summary.procedures or summary.operators) else None
    page = data_docs_file(office.data_dir, publication.build_id)
    checks_page = page if page.exists() else None

    def write(news: News, envelope: Envelope) -> EmailMessage:
        return digest_letter(news, publication, details, site.name, site.language, office.today, envelope, checks_page)

    for reader in _readers("medical_physics", site.mail.medical_physics):
        yield Draft(reader, publication.findings, month, write, is_reminded=True)


def _own_letters(
    publication: Publication, details: Details, addressees: Sequence[Addressee], warehouse: Path, office: Office
) -> Iterator[Draft]:
    """Each operator's own: only findings of audience ``operator`` about them, to their own address."""
    summary = publication.last_month
    worked = {row.operator_id for row in summary.operators} if summary else set()
    for addressee in addressees:
        if addressee.address is None:
            continue
        findings = tuple(
            finding
            for finding in publication.findings
            if finding.operator_id == addressee.operator_id and finding.audience == "operator"
        )
        month = summary.month if summary and addressee.operator_id in worked else None
        reader = Reader("operator", addressee.address, addressee.operator_id)
        yield Draft(reader, findings, month, _write_own(addressee, publication, details, warehouse, office))


def _write_own(
    addressee: Addressee, publication: Publication, details: Details, warehouse: Path, office: Office
) -> Callable[[News, Envelope], EmailMessage]:
    def write(news: News, envelope: Envelope) -> EmailMessage:
        last = month_end(news.month) if news.month else publication.as_of
        return operator_letter(
            news,
            read_personal(warehouse, addressee.operator_id, last.replace(day=1), last),
            details,
            addressee.name,
            publication.advice,
            publication.class_names,
            office.site.name,
            addressee.language or office.site.language,
            publication.as_of,
            envelope,
        )

    return write


def _confidential_letters(restricted: Path, publication: Publication, office: Office) -> Iterator[Draft]:
    site = office.site
    readers = _readers("restricted", site.mail.restricted)
    if not readers:
        return
    with open_published(restricted) as connection:
        findings = read_findings(connection, ["restricted"])

    def write(news: News, envelope: Envelope) -> EmailMessage:
        return restricted_letter(news, publication.advice, site.name, site.language, publication.as_of, envelope)

    for reader in readers:
        yield Draft(reader, findings, None, write)


# --- what is new, prepared -----------------------------------------------------------------------------------------


def _prepare(ledger: SentLedger, draft: Draft, publication: Publication, office: Office) -> News | None:
    """Put what is new to a reader into one waiting letter; nothing new, no letter."""
    sent = ledger.told(draft.reader)
    new = [finding for finding in draft.findings if finding.alert_id not in sent]
    month = draft.month if draft.month and _month_item(draft.month) not in sent else None
    urgent = [finding for finding in draft.findings if draft.is_reminded and finding.severity == "urgent"]
    week = [_week_item(publication.as_of)] if urgent and _week_item(publication.as_of) not in sent else []
    if not new and month is None and not week:
        return None
    listed = tuple(finding for finding in new if is_shown_in_full(finding, publication.as_of))
    unanswered = sum(finding.alert_id in sent for finding in urgent)
    news = News(listed, len(new) - len(listed), month, unanswered)
    items = [finding.alert_id for finding in new] + ([_month_item(month)] if month else []) + week
    envelope = _envelope(office, draft.reader, items)
    letter = _prepared(draft.write(news, envelope), envelope, draft.reader, office.today)
    ledger.prepare(letter, items)
    return news


def _month_item(month: date) -> str:
    return f"month {month:%Y-%m}"


def _week_item(day: date) -> str:
    return f"urgent {day:%G-W%V}"


def _envelope(office: Office, reader: Reader, items: Sequence[str]) -> Envelope:
    """Name a letter by what it says to whom: the same news has the same Message-ID, even if the ledger was lost."""
    site = office.site
    content = "\n".join([site.site_id, reader.role, reader.subject, reader.address, *sorted(items)])
    domain = parseaddr(site.mail.from_)[1].partition("@")[2]
    message_id = f"<{hashlib.sha256(content.encode()).hexdigest()[:32]}@{domain}>"
    page, page_file = _page(office, reader), _page_file(office, reader)
    return Envelope(site.mail.from_, reader.address, message_id, datetime.now(UTC), page, page_file)


def _page_file(office: Office, reader: Reader) -> PageFile | None:
    """An operator's own page of this publication as one file, where the site wants it in the letter."""
    if not (office.site.mail.attach_page and office.publication and reader.role == "operator"):
        return None
    page = office.publication / PAGES["operator"].format(subject=page_folder(reader.subject))
    html = as_one_file(page.read_text("utf-8"), (page.parent / "static" / "style.css").read_text("utf-8"))
    return PageFile(f"doseledger_{office.today}.html", html)


def _page(office: Office, reader: Reader) -> str | None:
    """Address of the reader's page: only where the site names one and the page was published."""
    path = PAGES.get(reader.role, "").format(subject=page_folder(reader.subject))
    if not (office.site.pages_url and path and (office.data_dir / "published" / "current" / path).is_file()):
        return None
    return f"{office.site.pages_url}/{quote(path)}"


def _prepared(letter: EmailMessage, envelope: Envelope, reader: Reader, today: date) -> PreparedLetter:
    return PreparedLetter(envelope.message_id, reader, today, letter.as_bytes())


# --- letters leave -------------------------------------------------------------------------------------------------


def _send_all(ledger: SentLedger, readers: set[Reader], office: Office) -> Delivery:
    """Let what waits for these readers leave; what becomes of restricted letters is said to nobody.

    Their server and addresses are tried at every run, whether there is a letter or not: so that it is known that they
    can be reached, and the answer does not tell whether there was something to send.
    """
    waiting = [letter for letter in ledger.waiting() if letter.reader in readers]
    confidential = [letter for letter in waiting if letter.reader.role == "restricted"]
    sent, refusals = _send(ledger, [letter for letter in waiting if letter not in confidential], office)
    refusals += _unreachable([reader.address for reader in readers if reader.role == "restricted"], office)
    _send(ledger, confidential, office)
    told_of = {reader.role for reader in readers} - {"restricted"}
    left = [letter.reader for letter in ledger.waiting() if letter.reader.role in told_of]
    strays = sorted({reader.address for reader in left if reader not in readers})
    notes = [f"Letters to {address} wait: site.yaml or operators.csv no longer has this address." for address in strays]
    return Delivery(tuple(sent), len(left), notes=(*notes, *dict.fromkeys(refusals)))


def _send(ledger: SentLedger, letters: Sequence[PreparedLetter], office: Office) -> tuple[list[SentLetter], list[str]]:
    """Let letters leave, each marked at once; return those that left and why others did not."""
    sent: list[SentLetter] = []
    refusals: list[str] = []

    def leaves(letter: PreparedLetter, sent_to: str) -> None:
        ledger.mark_sent(letter.message_id, sent_to)
        sent.append(SentLetter(letter.message_id, letter.reader.address, sent_to))

    variable = office.site.mail.smtp_url_env
    url = office.environ.get(variable, "")
    if not url:
        for letter in letters:
            leaves(letter, str(write_to_outbox(letter, office.data_dir / "outbox")))
    elif letters:
        try:
            relay = relay_of(url, variable)
            for letter, refusal in send_by_smtp(relay, letters):
                if refusal is None:
                    leaves(letter, str(relay))
                else:
                    refusals.append(
                        f"The mail server {relay} refused the letter to {letter.reader.address}: {refusal}."
                    )
        except MailServerError as error:
            refusals.append(f"{error} Letters that have not left wait for the next run.")
    return sent, refusals


def _unreachable(addresses: Sequence[str], office: Office) -> list[str]:
    """Say which addresses the mail server would not take, and why; without a mail server there is nothing to ask."""
    variable = office.site.mail.smtp_url_env
    url = office.environ.get(variable, "")
    if not url or not addresses:
        return []
    try:
        relay = relay_of(url, variable)
        refused = refused_recipients(relay, office.site.mail.from_, addresses)
    except MailServerError as error:
        return [f"{error} Letters that have not left wait for the next run."]
    return [f"The mail server {relay} takes no letters to {address}: {answer}." for address, answer in refused]


def _notes(mail: Mail, addressees: Sequence[Addressee]) -> list[str]:
    notes = []
    if not mail.medical_physics:
        notes.append("mail.medical_physics is empty in site.yaml: findings are told to nobody and stay new.")
    if not mail.restricted:
        # Said whether there are any or not: that there is one is itself restricted.
        notes.append("mail.restricted is empty in site.yaml: restricted findings, if any, are told to nobody.")
    if unaddressed := [addressee.operator_id for addressee in addressees if addressee.address is None]:
        named = ", ".join(unaddressed[:OPERATORS_NAMED])
        more = f" and {len(unaddressed) - OPERATORS_NAMED} more" if len(unaddressed) > OPERATORS_NAMED else ""
        notes.append(f"operators.csv has no email of {named}{more}: they get no letter of their own.")
    return notes
