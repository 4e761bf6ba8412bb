"""The memory of delivery: what was told to which reader in which letter, and which letters still have to leave.

Only this SQLite file is kept here. What is told and how a letter leaves is decided in delivery.py and post.py.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from filelock import FileLock

from ingest.folders import OWNER_ONLY, make_folder

# Changes of the file since the first version, one script a version: PRAGMA user_version says how many were made.
_VERSIONS = (
    """
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
    """,
    # Readers are told apart by what they may see, too: one address may be a physicist's and an operator's.
    """
    alter table letter add column role text not null default 'medical_physics';
    alter table letter add column subject text not null default '';
    create table told_to (  -- one row per reader and item (a finding, a month, a trouble): told once
        role text not null,
        subject text not null,  -- whose data the reader gets: an operator_id, or empty
        recipient text not null,
        item text not null,
        message_id text not null references letter (message_id),
        primary key (role, subject, recipient, item)
    ) strict;
    insert into told_to select 'medical_physics', '', recipient, alert_id, message_id from told;
    drop table told;
    alter table told_to rename to told;
    """,
    """
    create table posted (  -- one row per webhook and event that it took
        url_env text not null,  -- the variable that holds the address; the address itself is a secret
        item text not null,
        primary key (url_env, item)
    ) strict;
    """,
)


@dataclass(frozen=True, slots=True)
class Reader:
    """Who gets letters, and in which role.

    Attributes:
        role: ``medical_physics``, ``operator``, ``restricted`` or ``operations``: what the reader may see.
        address: where letters go.
        subject: of an operator the operator_id whose data the letter tells; else empty.
    """

    role: str
    address: str
    subject: str = ""


@dataclass(frozen=True, slots=True)
class PreparedLetter:
    """A letter that has to leave: the same bytes and the same Message-ID at every attempt."""

    message_id: str
    reader: Reader
    prepared_on: date
    content: bytes


class SentLedger:
    """The open ledger; every method is one durable transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def told(self, reader: Reader) -> frozenset[str]:
        """Return all items that are in a letter to this reader, sent or waiting."""
        rows = self._connection.execute(
            "select item from told where (role, subject, recipient) = (?, ?, ?)", _key(reader)
        )
        return frozenset(item for (item,) in rows)

    def prepare(self, letter: PreparedLetter, items: Iterable[str]) -> None:
        """Keep a letter and what it tells, both or neither."""
        with self._connection:
            self._connection.execute(
                "insert into letter (message_id, role, subject, recipient, state, prepared_on, content)"
                " values (?, ?, ?, ?, 'prepared', ?, ?)",
                (letter.message_id, *_key(letter.reader), letter.prepared_on.isoformat(), letter.content),
            )
            self._connection.executemany(
                "insert into told (role, subject, recipient, item, message_id) values (?, ?, ?, ?, ?)",
                [(*_key(letter.reader), item, letter.message_id) for item in items],
            )

    def waiting(self) -> list[PreparedLetter]:
        """Return the letters that have not left, oldest first."""
        rows = self._connection.execute(
            "select message_id, role, subject, recipient, prepared_on, content"
            " from letter where state = 'prepared' order by rowid"
        )
        return [
            PreparedLetter(message_id, Reader(role, recipient, subject), date.fromisoformat(prepared_on), content)
            for message_id, role, subject, recipient, prepared_on, content in rows
        ]

    def mark_sent(self, message_id: str, sent_to: str) -> None:
        """Record that a letter left; it will never be sent again."""
        with self._connection:
            self._connection.execute(
                "update letter set state = 'sent', content = null, sent_to = ? where message_id = ?",
                (sent_to, message_id),
            )

    def was_posted(self, url_env: str, item: str) -> bool:
        """Return whether a webhook took an event."""
        rows = self._connection.execute("select 1 from posted where (url_env, item) = (?, ?)", (url_env, item))
        return rows.fetchone() is not None

    def mark_posted(self, url_env: str, item: str) -> None:
        """Record that a webhook took an event; it is not posted again."""
        with self._connection:
            self._connection.execute("insert into posted (url_env, item) values (?, ?)", (url_env, item))


@contextmanager
def open_sent_ledger(path: Path) -> Iterator[SentLedger]:
    """Open the ledger, made at first use; only its owner can read it, and one process at a time delivers.

    Raises:
        OSError: the folder cannot be written.
        sqlite3.DatabaseError: the file is not a ledger of letters.
    """
    make_folder(path.parent, OWNER_ONLY)
    # Two that deliver at once would both send what waits.
    with FileLock(path.with_suffix(".lock"), mode=0o600):
        path.touch(mode=0o600)
        with closing(sqlite3.connect(path)) as connection:
            _bring_up_to_date(connection)
            yield SentLedger(connection)


@dataclass(frozen=True, slots=True)
class Waiting:
    """Letters that have not left: how many, and the local date of the oldest."""

    letters: int
    since: date


def waiting_letters(path: Path) -> Waiting | None:
    """What waits in a ledger, which is not changed; None if nothing does. Restricted letters are not counted.

    Raises:
        sqlite3.DatabaseError: the file is not a ledger of letters.
    """
    if not path.exists():
        return None
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        letters, since = connection.execute(
            "select count(*), min(prepared_on) from letter where state = 'prepared' and role <> 'restricted'"
        ).fetchone()
    return Waiting(letters, date.fromisoformat(since)) if letters else None


def _key(reader: Reader) -> tuple[str, str, str]:
    return reader.role, reader.subject, reader.address


def _bring_up_to_date(connection: sqlite3.Connection) -> None:
    (version,) = connection.execute("pragma user_version").fetchone()
    for number, changes in enumerate(_VERSIONS[version:], start=version + 1):
        # A script commits as a whole or, when the process dies within, not at all.
        connection.executescript(f"begin; {changes} pragma user_version = {number}; commit;")
