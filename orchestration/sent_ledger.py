"""The memory of delivery: which finding went into which letter, and which letters still have to leave.

Only this SQLite file is kept here. What is told and how a letter leaves is decided in delivery.py and post.py.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

_SCHEMA = """
    create table if not exists letter (  -- one row per letter ever prepared
        message_id text primary key,
        recipient text not null,
        state text not null check (state in ('prepared', 'sent')),
        prepared_on text not null,  -- local date of the site
        content blob,  -- the whole message while it waits; NULL once it left: dose data is kept no longer than needed
        sent_to text,  -- mail server or file that took it
        check ((state = 'prepared') = (content is not null))
    ) strict;
    create table if not exists told (  -- one row per reader and finding: nobody is told anything twice
        recipient text not null,
        alert_id text not null,
        message_id text not null references letter (message_id),
        primary key (recipient, alert_id)
    ) strict;
"""


@dataclass(frozen=True, slots=True)
class PreparedLetter:
    """A letter that has to leave: the same bytes and the same Message-ID at every attempt."""

    message_id: str
    recipient: str
    prepared_on: date
    content: bytes


class SentLedger:
    """The open ledger; every method is one durable transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def told(self, recipient: str) -> frozenset[str]:
        """Return the ids of all findings that are in a letter to this reader, sent or waiting."""
        rows = self._connection.execute("select alert_id from told where recipient = ?", (recipient,))
        return frozenset(alert_id for (alert_id,) in rows)

    def prepare(self, letter: PreparedLetter, alert_ids: Iterable[str]) -> None:
        """Keep a letter and what it tells, both or neither."""
        with self._connection:
            self._connection.execute(
                "insert into letter (message_id, recipient, state, prepared_on, content)"
                " values (?, ?, 'prepared', ?, ?)",
                (letter.message_id, letter.recipient, letter.prepared_on.isoformat(), letter.content),
            )
            self._connection.executemany(
                "insert into told (recipient, alert_id, message_id) values (?, ?, ?)",
                [(letter.recipient, alert_id, letter.message_id) for alert_id in alert_ids],
            )

    def waiting(self) -> list[PreparedLetter]:
        """Return the letters that have not left, oldest first."""
        rows = self._connection.execute(
            "select message_id, recipient, prepared_on, content from letter where state = 'prepared' order by rowid"
        )
        return [
            PreparedLetter(message_id, recipient, date.fromisoformat(prepared_on), content)
            for message_id, recipient, prepared_on, content in rows
        ]

    def mark_sent(self, message_id: str, sent_to: str) -> None:
        """Record that a letter left; it will never be sent again."""
        with self._connection:
            self._connection.execute(
                "update letter set state = 'sent', content = null, sent_to = ? where message_id = ?",
                (sent_to, message_id),
            )


@contextmanager
def open_sent_ledger(path: Path) -> Iterator[SentLedger]:
    """Open the ledger, made at first use; only its owner can read it.

    Raises:
        OSError: the folder cannot be written.
        sqlite3.DatabaseError: the file is not a ledger of letters.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(_SCHEMA)
        yield SentLedger(connection)
