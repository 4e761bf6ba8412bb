"""A real mail server on loopback that keeps the letters it takes, for tests of letters."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session


def read_letter(content: bytes) -> EmailMessage:
    """Parse a letter."""
    letter = message_from_bytes(content, policy=SMTP_POLICY)
    assert isinstance(letter, EmailMessage)
    return letter


@dataclass
class Server:
    """A mail server on loopback; ``answer`` may refuse, wait or break off, before or after it has the letter."""

    taken: list[tuple[str, EmailMessage]] = field(default_factory=list)
    refused_recipients: frozenset[str] = frozenset()
    answer: Callable[[SMTP], str | None] = lambda _: None
    keeps_before_answer: bool = True
    url: str = ""
    got_data: threading.Event = field(default_factory=threading.Event)

    async def handle_RCPT(  # noqa: N802, D102
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if address in self.refused_recipients:
            return "550 5.1.1 No such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802, D102
        content = envelope.content
        assert isinstance(content, bytes)
        if self.keeps_before_answer:
            self.taken += [(recipient, read_letter(content)) for recipient in envelope.rcpt_tos]
        self.got_data.set()
        await asyncio.sleep(0)
        return self.answer(server) or "250 OK"

    def ids(self) -> list[str]:
        """Message-IDs of all letters taken, in order."""
        return [str(letter["Message-ID"]) for _, letter in self.taken]


class FreePortController(Controller):
    """A server on port 0: the port that the system gave is known only once it listens."""

    def _trigger_server(self) -> None:
        assert isinstance(self.server, asyncio.Server)
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()
