"""Delivery: which findings of a publication are new to whom, and their letters sent, written or kept waiting.

Only these decisions live here. It reads the published files and its own ledger, never the build database.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from email.utils import parseaddr
from pathlib import Path

from ingest.site import Mail, SiteConfig
from orchestration.digest import Publication, read_publication
from orchestration.letters import Digest, Envelope, digest_letter, is_told_in_full
from orchestration.post import MailServerError, relay_of, send_by_smtp, write_to_outbox
from orchestration.sent_ledger import PreparedLetter, SentLedger, open_sent_ledger


@dataclass(frozen=True, slots=True)
class SentLetter:
    """A letter that left in this run; ``sent_to`` is the mail server or the file in the outbox."""

    message_id: str
    recipient: str
    sent_to: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """What one delivery did.

    Attributes:
        sent: letters that left now, those of earlier runs too.
        waiting: letters that are prepared and go out at the next run.
        findings_told: new findings that are listed in the letters prepared now.
        older_told: new findings that these letters count only, because they are old.
        notes: what a person should know; free of dose data.
    """

    sent: tuple[SentLetter, ...]
    waiting: int
    findings_told: int
    older_told: int
    notes: tuple[str, ...]

    @property
    def recipients(self) -> tuple[str, ...]:
        """Who got a letter now, each once."""
        return tuple(dict.fromkeys(letter.recipient for letter in self.sent))


def deliver(published_run: Path, site: SiteConfig, data_dir: Path, environ: Mapping[str, str], today: date) -> Delivery:
    """Tell medical physics what is new in a publication, each reader each finding once.

    A letter is prepared in ``<data_dir>/delivery/sent.sqlite`` before it leaves, so nothing is lost or said twice:
    a mail server that is down, or a crash, leaves it waiting, and the next call sends the same letter with the same
    Message-ID.

    Args:
        published_run: folder ``published/runs/<run_id>`` with ``warehouse.duckdb``.
        site: identity, language and mail part of site.yaml.
        data_dir: where ``delivery/`` and, without a mail server, ``outbox/`` are.
        environ: where the variable that ``mail.smtp_url_env`` names holds the mail server's address.
        today: local date of the site, written into the letter.

    Raises:
        OSError: data_dir cannot be written.
        duckdb.Error: the published file cannot be read.
    """
    publication = read_publication(published_run / "warehouse.duckdb")
    readers = list(dict.fromkeys(site.mail.medical_physics))
    with open_sent_ledger(data_dir / "delivery" / "sent.sqlite") as ledger:
        digests = [digest for reader in readers if (digest := _prepare(ledger, publication, site, reader, today))]
        waiting = [letter for letter in ledger.waiting() if letter.recipient in readers]
        sent, refusals = _send(ledger, waiting, site.mail.smtp_url_env, environ, data_dir / "outbox")
        left = ledger.waiting()
    strays = sorted({letter.recipient for letter in left if letter.recipient not in readers})
    return Delivery(
        sent=tuple(sent),
        waiting=len(left),
        findings_told=len({finding.alert_id for digest in digests for finding in digest.findings}),
        older_told=max((digest.older for digest in digests), default=0),
        notes=(*_notes(site.mail, strays), *refusals),
    )


def _prepare(ledger: SentLedger, publication: Publication, site: SiteConfig, reader: str, today: date) -> Digest | None:
    """Put what is new to a reader into one waiting letter; nothing new, no letter."""
    told = ledger.told(reader)
    new = [finding for finding in publication.findings if finding.alert_id not in told]
    if not new:
        return None
    listed = tuple(finding for finding in new if is_told_in_full(finding, publication.as_of))
    digest = Digest(site.name, site.language, today, publication, listed, len(new) - len(listed))
    alert_ids = [finding.alert_id for finding in new]
    message_id = _message_id(site, reader, alert_ids)
    envelope = Envelope(site.mail.from_, reader, message_id, datetime.now(UTC))
    letter = PreparedLetter(message_id, reader, today, digest_letter(digest, envelope).as_bytes())
    ledger.prepare(letter, alert_ids)
    return digest


def _message_id(site: SiteConfig, reader: str, alert_ids: Sequence[str]) -> str:
    """Name a letter by what it says to whom: the same news has the same name, even if the ledger was lost."""
    content = "\n".join([site.site_id, reader, *sorted(alert_ids)])
    domain = parseaddr(site.mail.from_)[1].partition("@")[2]
    return f"<{hashlib.sha256(content.encode()).hexdigest()[:32]}@{domain}>"


def _send(
    ledger: SentLedger, letters: Sequence[PreparedLetter], variable: str, environ: Mapping[str, str], outbox: Path
) -> tuple[list[SentLetter], list[str]]:
    """Let letters leave, each marked at once; return those that left and why others did not."""
    sent: list[SentLetter] = []
    refusals: list[str] = []

    def leaves(letter: PreparedLetter, sent_to: str) -> None:
        ledger.mark_sent(letter.message_id, sent_to)
        sent.append(SentLetter(letter.message_id, letter.recipient, sent_to))

    url = environ.get(variable, "")
    if not url:
        for letter in letters:
            leaves(letter, str(write_to_outbox(letter, outbox)))
    elif letters:
        try:
            relay = relay_of(url, variable)
            for letter, refusal in send_by_smtp(relay, letters):
                if refusal is None:
                    leaves(letter, str(relay))
                else:
                    refusals.append(f"The mail server {relay} refused the letter to {letter.recipient}: {refusal}.")
        except MailServerError as error:
            refusals.append(f"{error} Letters that have not left wait for the next run.")
    return sent, refusals


def _notes(mail: Mail, strays: Sequence[str]) -> list[str]:
    notes = []
    if not mail.medical_physics:
        notes.append("mail.medical_physics is empty in site.yaml: findings are told to nobody and stay new.")
    if mail.restricted:
        notes.append("Letters to mail.restricted are not written yet: look into restricted/restricted.duckdb.")
    else:
        # Said whether there are any or not: that there is one is itself restricted.
        notes.append("mail.restricted is empty in site.yaml: restricted findings, if any, are told to nobody.")
    notes += [f"Letters to {address} wait: it is no longer in mail.medical_physics of site.yaml." for address in strays]
    return notes
