"""Answers to findings: rows appended to the site's alert_log.csv, if the findings are published.

Only writing that one file lives here. What an action means for a finding is decided in dbt at the next run.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

from ingest.control_characters import control_character
from ingest.problems import Problem, SiteError, UserError
from ingest.site.config import Site, load_site
from ingest.site.reference import ALERT_ID_CHARACTERS, TABLES_BY_NAME
from ingest.site.reference_reader import read_table
from orchestration.publication.clock_guard import clock_at
from orchestration.publication.history import current_publication
from orchestration.publication.published_files import open_published
from orchestration.publication.snapshot import RESTRICTED

ALERT_LOG = TABLES_BY_NAME["alert_log"]
# The findings that an answer names, as the macro answers_to of dbt_project resolves it.
_NAMED = f"""
    select alert_id from alerts.alert
    where
        (length(?) >= {ALERT_ID_CHARACTERS} and starts_with(alert_id, ?))
        or 'procedure:' || procedure_id = ?
"""
Action = Literal["acknowledged", "explained", "closed", "false_alarm"]


@dataclass(frozen=True, slots=True)
class Answer:
    """One row of alert_log.csv; ``on`` is the local date of the site."""

    alert_id: str
    action: Action
    by: str
    on: date
    comment: str


def answer_finding(root: Path, alert_id: str, action: Action, by: str, comment: str) -> Answer:
    """Append the answer to a finding of the current publication to reference/alert_log.csv.

    Raises:
        SiteError: the site, or its alert_log.csv, cannot be read; nothing is written.
        UserError: nothing is published, or the current publication has no such finding; nothing is written.
        OSError: the file cannot be written.
    """
    site = load_site(root)
    on = answer_date(site, alert_id)
    answer = Answer(alert_id, action, one_line(by, "--by"), on, one_line(comment, "--comment"))
    append_answers(site, [answer])
    return answer


def answer_date(site: Site, alert_id: str) -> date:
    """Local date on which a finding of the current publication is answered."""
    current = current_publication(site.published_dir)
    if current is None:
        raise UserError("Nothing was published yet, so there is no finding to answer: run `doseledger run` first.")
    zone = ZoneInfo(site.config.timezone)
    # The occupational physician answers restricted findings by the same command: reading the file needs its rights.
    with open_published(current.folder / RESTRICTED) as con:
        named = con.execute(_NAMED, [alert_id] * 3).fetchall()
        (published_at,) = con.execute(
            "select published_at from ledger.publication where run_id = ?", [current.run_id]
        ).fetchall()[0]
    if not named:
        raise UserError(
            f"The publication {current.run_id} has no finding {alert_id!r}; copy the identifier from the letter or from"
            f" alerts.alert: its first {ALERT_ID_CHARACTERS} characters or more, or procedure: and a procedure_id."
        )
    if len(named) > 1 and not alert_id.startswith("procedure:"):
        raise UserError(f"{alert_id!r} is the begin of {len(named)} findings; give more characters of the identifier.")
    # What was published for a past date (a replay, a demo) is answered as of that date: no run as of it would count an
    # answer that lies in its future.
    is_replay = current.as_of < published_at.astimezone(zone).date()
    return current.as_of if is_replay else clock_at(site).today


def one_line(text: str, option: str) -> str:
    """Return a text of an answer as one line; refuse an empty one and control characters, which ``option`` holds."""
    line = " ".join(text.split())
    if not line:
        raise UserError(f"{option} is empty; say who did what, for the record.")
    if character := control_character(line):
        raise UserError(f"{option} holds the control character {character}; write it without.")
    return line


def append_answers(site: Site, answers: Sequence[Answer]) -> None:
    """Add rows at the end of alert_log.csv, in its own order of columns: all of them, or, where the disk is full, none.

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
    addition = ("" if before.endswith(b"\n") else line_end).encode() + rows.getvalue().encode()
    _check(before, before + addition, len(answers), site)
    with path.open("ab", buffering=0) as file:
        begin = file.tell()
        remaining = memoryview(addition if begin else before + addition)
        try:
            while remaining:
                remaining = remaining[file.write(remaining) :]
            os.fsync(file.fileno())
        except OSError:
            file.truncate(begin)
            raise


def _check(before: bytes, after: bytes, added: int, site: Site) -> None:
    """What is written must be read back as so many rows more: a quote left open above would swallow them."""
    zone = ZoneInfo(site.config.timezone)
    rows = [len(read_table(ALERT_LOG, content, zone).rows) for content in (before, after)]
    if rows[1] != rows[0] + added:
        raise SiteError([Problem(ALERT_LOG.file, None, None, "cannot take another row; correct it and try again")])
