"""How a prepared letter leaves: to a mail server by SMTP, or as a file into the outbox.

Only transport lives here. Which letters leave, and what becomes of those that do not, is decided in delivery.py.
"""

from __future__ import annotations

import smtplib
import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes
from email.policy import SMTP
from email.utils import parseaddr
from pathlib import Path
from typing import Literal, get_args
from urllib.parse import SplitResult, unquote, urlsplit

from ingest.control_characters import printable
from ingest.folders import OWNER_ONLY, make_folder
from ingest.whole_file import write_whole
from orchestration.letters.sent_ledger import PreparedLetter

# Each step of the talk with a mail server may take so long; a server that checks for viruses answers late.
TIMEOUT_S = 60.0
_OK, _WILL_FORWARD = 250, 251
Scheme = Literal["smtp", "smtps", "smtp+starttls"]
SCHEMES: tuple[Scheme, ...] = get_args(Scheme)


class MailServerError(Exception):
    """The mail server cannot be used now; one sentence for a person, without credentials."""


@dataclass(frozen=True, slots=True)
class Relay:
    """A mail server, as ``smtp+starttls://user:password@host:port`` names it.

    Attributes:
        scheme: how the connection is encrypted. ``smtps``: from its first byte. ``smtp+starttls``: by STARTTLS, or no
            letter leaves. ``smtp``: by STARTTLS where the server offers it, else not at all.
    """

    host: str
    port: int
    scheme: Scheme
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def relay_of(url: str, variable: str) -> Relay:
    """Read the address of the mail server.

    Args:
        url: ``smtp://host:port``, ``smtps://user:password@host:port`` or ``smtp+starttls://user:password@host:port``;
            user and password may be left out or percent-encoded.
        variable: name of the environment variable that holds it, for the error.

    Raises:
        MailServerError: not such an address; the message never repeats it, for it may hold a password.
    """
    form = f"{variable} must be smtp://host:port, or smtps:// or smtp+starttls:// with user:password@host:port"
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        raise MailServerError(f"{form}; host or port cannot be read.") from None
    scheme = next((known for known in SCHEMES if known == parts.scheme), None)
    if scheme is None or not parts.hostname or not port or parts.path.strip("/"):
        raise MailServerError(f"{form}; something else stands there.")
    user, password = _credentials(parts)
    if scheme == "smtp" and (user or password):
        raise MailServerError(f"{form}; a password goes over an encrypted connection only.")
    if (user is None) != (password is None):
        raise MailServerError(f"{form}; user and password belong together.")
    if not (user or "").isascii() or not (password or "").isascii():
        raise MailServerError(f"{form}; user and password may have ASCII characters only.")
    return Relay(parts.hostname, port, scheme, user, password)


def send_by_smtp(relay: Relay, letters: Sequence[PreparedLetter]) -> Iterator[tuple[PreparedLetter, str | None]]:
    """Send letters over one connection, in order.

    Yields:
        Each letter as soon as its fate is known: with None when the server took it (250), else with the refusal.

    Raises:
        MailServerError: the server cannot be reached or broke off; the fate of the letters not yielded is unknown.
    """
    with _talking_to(relay) as server:
        for letter in letters:
            yield letter, _send(server, letter)


def refused_recipients(relay: Relay, sender: str, addresses: Sequence[str]) -> list[tuple[str, str]]:
    """Ask the server whether it would take letters to these addresses, sending none; return those refused, and why.

    Raises:
        MailServerError: the server cannot be reached or broke off, or does not take letters from the sender.
    """
    refused = []
    with _talking_to(relay) as server:
        code, text = server.mail(parseaddr(sender)[1])
        if code != _OK:
            raise smtplib.SMTPSenderRefused(code, text, sender)
        for address in addresses:
            code, text = server.rcpt(address)
            if code not in (_OK, _WILL_FORWARD):
                refused.append((address, _answer(code, text)))
        server.rset()
    return refused


def write_to_outbox(letter: PreparedLetter, outbox: Path) -> Path:
    """Write a letter as ``<date>_<role>_<id>.eml`` (mode 0600), whole or not at all; the same letter has one name.

    Raises:
        OSError: the outbox cannot be written.
    """
    make_folder(outbox, OWNER_ONLY)
    token = letter.message_id.strip("<>").partition("@")[0][:16]
    target = outbox / f"{letter.prepared_on.isoformat()}_{letter.reader.role}_{token}.eml"
    write_whole(target, letter.content, 0o600, at_most=0o600)
    return target


def _credentials(parts: SplitResult) -> tuple[str | None, str | None]:
    user, password = (None if part is None else unquote(part) for part in (parts.username, parts.password))
    return user, password


@contextmanager
def _talking_to(relay: Relay) -> Iterator[smtplib.SMTP]:
    """A connection, ended politely; raises MailServerError for whatever the server or the network does to it."""
    try:
        server = _connect(relay)
        try:
            yield server
        finally:
            # Every letter has its answer by now: a server that dies before it says goodbye changes nothing.
            with suppress(OSError):
                server.quit()
    except OSError as error:
        raise MailServerError(f"The mail server {relay} does not take letters now: {_cause(error)}.") from None


def _connect(relay: Relay) -> smtplib.SMTP:
    """A connection on which letters can be sent: greeted, encrypted and logged in as the scheme wants it."""
    # Without a name of its own smtplib asks the DNS for one, and a closed network may never answer.
    name = socket.gethostname()
    context = ssl.create_default_context()  # checks certificate and host name
    if relay.scheme == "smtps":
        server: smtplib.SMTP = smtplib.SMTP_SSL(relay.host, relay.port, name, timeout=TIMEOUT_S, context=context)
    else:
        server = smtplib.SMTP(relay.host, relay.port, name, TIMEOUT_S)
    try:
        server.ehlo_or_helo_if_needed()
        # A certificate that is not valid stops a letter also where encryption is only used if it is offered.
        if relay.scheme == "smtp+starttls" or (relay.scheme == "smtp" and server.has_extn("starttls")):
            server.starttls(context=context)
            server.ehlo()
        if relay.user is not None and relay.password is not None:
            server.login(relay.user, relay.password)
    except BaseException:
        server.close()
        raise
    return server


def _send(server: smtplib.SMTP, letter: PreparedLetter) -> str | None:
    """Send one letter; return the refusal if the server does not want this one."""
    message = message_from_bytes(letter.content, policy=SMTP)
    try:
        server.send_message(message, to_addrs=[letter.reader.address])
    except smtplib.SMTPRecipientsRefused as refusal:
        code, text = refusal.recipients[letter.reader.address]
        return _answer(code, text)
    except (smtplib.SMTPSenderRefused, smtplib.SMTPDataError) as refusal:
        return _answer(refusal.smtp_code, refusal.smtp_error)
    except smtplib.SMTPNotSupportedError as refusal:
        return str(refusal)
    return None


def _answer(code: int, text: bytes | str) -> str:
    words = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return printable(" ".join(f"{code} {words}".split()))


def _cause(error: OSError) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        return f"it answers {error.smtp_code}"  # its text is left out: after a login it may repeat what was sent
    if isinstance(error, ssl.SSLCertVerificationError):
        authority = "SSL_CERT_FILE names the file with the certificate of the hospital's own authority"
        return f"certificate verify failed ({error.verify_message}); {authority}"
    return error.strerror or str(error) or type(error).__name__
