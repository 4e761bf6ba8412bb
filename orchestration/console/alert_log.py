"""Answers as rows of the site's alert_log.csv: one way to write them, for one answer or for a whole worklist.

What an action means for a finding is decided in dbt at the next run.
"""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Literal
from zoneinfo import ZoneInfo

from filelock import FileLock, Timeout

from ingest.control_characters import control_character
from ingest.problems import Problem, SiteError, UserError
from ingest.site.config import Site
from ingest.site.reference import ALERT_ID_CHARACTERS, TABLES_BY_NAME
from ingest.site.reference_reader import read_table
from ingest.whole_file import write_whole

ALERT_LOG = TABLES_BY_NAME["alert_log"]
PROCEDURE = "procedure:"  # before a procedure_id: all findings of the procedure
MODE = 0o640  # of a new alert_log.csv
LOCK_PATIENCE_S = 10
Action = Literal["acknowledged", "explained", "closed", "false_alarm"]
State = Literal["open", "acknowledged", "closed"]


@dataclass(frozen=True, slots=True)
class Answer:
    """One row of alert_log.csv; ``on`` is the local date of the site."""

    alert_id: str
    action: Action
    by: str
    on: date
    comment: str


def state_after(action: object) -> State:
    """State of a finding after an action, as the model alerts.alert has it."""
    return "closed" if action in ("closed", "false_alarm") else "acknowledged"


def key_of(name: str) -> str:
    """Return what all names of one finding share: its first characters, or its procedure."""
    return name if name.startswith(PROCEDURE) else name[:ALERT_ID_CHARACTERS]


def keys_of(alert_id: str, procedure_id: str | None) -> tuple[str, ...]:
    """Return the keys by which a finding may be named."""
    return (key_of(alert_id), *([PROCEDURE + procedure_id] if procedure_id else []))


def is_named(name: str, alert_id: str) -> bool:
    """Tell whether a name of the same key means a finding, as the macro answers_to of dbt_project resolves it."""
    return name.startswith(PROCEDURE) or (len(name) >= ALERT_ID_CHARACTERS and alert_id.startswith(name))


def one_line(text: str, option: str) -> str:
    """Return a text of an answer as one line; refuse an empty one and control characters, which ``option`` holds."""
    line = " ".join(text.split())
    if not line:
        raise UserError(f"{option} is empty; state who did what, for the record.")
    if character := control_character(line):
        raise UserError(f"{option} holds the control character {character}; write it without.")
    return line


@contextmanager
def answering(site: Site) -> Iterator[None]:
    """Let one process at a time read and write alert_log.csv: each writes the whole file.

    Raises:
        UserError: another process is answering.
    """
    lock = FileLock(site.data_dir / "alert_log.lock", timeout=LOCK_PATIENCE_S)
    try:
        lock.acquire()
    except Timeout:
        raise UserError("Another command is writing answers; try again when it has ended.") from None
    try:
        yield
    finally:
        lock.release()


def read_answers(site: Site) -> defaultdict[str, list[Mapping[str, object]]]:
    """Read the accepted rows of alert_log.csv as it is now, by the key of what they name."""
    path = site.root / ALERT_LOG.file
    rows = read_table(ALERT_LOG, path.read_bytes(), _zone(site)).rows if path.exists() else ()
    answers: defaultdict[str, list[Mapping[str, object]]] = defaultdict(list)
    for row in rows:
        answers[key_of(str(row["alert_id"]))].append(row)
    return answers


def latest_action(
    answers: Mapping[str, Sequence[Mapping[str, object]]], alert_id: str, procedure_id: str | None
) -> object | None:
    """Return the action that counts of the answers to a finding: the latest by date, then by line."""
    rows = [row for key in keys_of(alert_id, procedure_id) for row in answers.get(key, ())]
    naming = [row for row in rows if is_named(str(row["alert_id"]), alert_id)]
    return max(naming, key=_order, default={}).get("action")


def append_answers(site: Site, answers: Sequence[Answer]) -> None:
    """Add rows at the end of alert_log.csv, in its own order of columns: all of them, or none; within ``answering``.

    Raises:
        SiteError: the file cannot take another row; nothing is written.
        OSError: the file cannot be written; it is as before.
    """
    path = site.root / ALERT_LOG.file
    names = [column.name for column in ALERT_LOG.columns]
    before = path.read_bytes() if path.exists() else (",".join(names) + "\n").encode()
    header = next(csv.reader(io.StringIO(before.decode("utf-8-sig"), newline="")), [])
    line_end = "\r\n" if b"\r\n" in before else "\n"
    rows = io.StringIO()
    writer = csv.writer(rows, lineterminator=line_end)
    for answer in answers:
        cells = {name: str(getattr(answer, name)) for name in names}
        writer.writerow([cells.get(name.strip(), "") for name in header])
    end_of_last_row = "" if before.endswith(b"\n") else line_end
    after = before + (end_of_last_row + rows.getvalue()).encode()
    _check(before, after, len(answers), site)
    write_whole(path, after, MODE)


def _order(row: Mapping[str, object]) -> tuple[date, int]:
    on, line = row["on"], row["line"]
    assert isinstance(line, int)  # noqa: S101 - set by read_table
    return on if isinstance(on, date) else date.min, line


def _check(before: bytes, after: bytes, added: int, site: Site) -> None:
    """What is written must be read back as so many rows more: a quote left open above would swallow them."""
    rows = [len(read_table(ALERT_LOG, content, _zone(site)).rows) for content in (before, after)]
    if rows[1] != rows[0] + added:
        raise SiteError([Problem(ALERT_LOG.file, None, None, "cannot take another row; correct it and try again")])


def _zone(site: Site) -> ZoneInfo:
    return ZoneInfo(site.config.timezone)
