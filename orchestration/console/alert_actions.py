"""What people did about findings: rows appended to the site's alert_log.csv, if the findings are published.

Only writing that one file lives here. What an action means for a finding is decided in dbt at the next run.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Literal, cast
from zoneinfo import ZoneInfo

from ingest.control_characters import control_character
from ingest.problems import Problem, SiteError, UserError
from ingest.site.config import Site, load_site
from ingest.site.reference import ALERT_ID_CHARACTERS, TABLES_BY_NAME
from ingest.site.reference_reader import UNREAD_COLUMN, read_table
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
    """Append what somebody did about a finding of the current publication to reference/alert_log.csv.

    Raises:
        SiteError: the site, or its alert_log.csv, cannot be read; nothing is written.
        UserError: nothing is published, or the current publication has no such finding; nothing is written.
        OSError: the file cannot be written.
    """
    site = load_site(root)
    on = _find(site, alert_id)
    answer = Answer(alert_id, action, _one_line(by, "--by"), on, _one_line(comment, "--comment"))
    _append(site, [answer])
    return answer


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of the rows of a filled-in worklist."""

    added: int
    repeated: int
    unanswered: int


def import_answers(root: Path, file: Path) -> Imported:
    """Append the answers of a filled-in worklist to reference/alert_log.csv: all of them, or none.

    Args:
        root: the site.
        file: CSV in UTF-8 with the columns of alert_log.csv, separated by commas or semicolons; other columns are not
            read, rows without action, by, on and comment are not answered yet. ``on`` may be empty: today.

    Raises:
        SiteError: the site or the file cannot be read, or a row is refused; nothing is written.
        OSError: a file cannot be read or written.
    """
    site = load_site(root)
    content = _with_commas(file.read_bytes())
    unanswered = _unanswered(content)
    answers, problems = [], []
    try:
        read = read_table(ALERT_LOG, content, ZoneInfo(site.config.timezone))
    except SiteError as error:
        raise SiteError([replace(problem, file=file.name) for problem in error.problems]) from None
    for problem in read.problems:
        if problem.line not in unanswered and problem.code != UNREAD_COLUMN:
            problems.append(replace(problem, file=file.name))
    for row in read.rows:
        if row["line"] not in unanswered:
            try:
                answers.append((_content(row), _answer_of(site, row)))
            except UserError as error:
                problems.append(Problem(file.name, int(str(row["line"])), "alert_id", str(error)))
    if problems:
        raise SiteError(sorted(problems, key=lambda problem: problem.line or 0))
    logged = site.reference["alert_log"].rows
    # An answer without a date was given whenever the file was taken: taken again on another day, it is the same answer.
    known = {_content(row) for row in logged} | {_content({**row, "on": None}) for row in logged}
    new = {stated: answer for stated, answer in answers if stated not in known}
    if new:
        _append(site, [*new.values()])
    return Imported(len(new), len(answers) - len(new), len(unanswered))


def _with_commas(content: bytes) -> bytes:
    """The same rows separated by commas: a spreadsheet of many countries saves CSV with semicolons."""
    header = content.split(b"\n", 1)[0]
    if header.count(b";") <= header.count(b","):
        return content
    rows = csv.reader(io.StringIO(content.decode("utf-8-sig", "surrogateescape"), newline=""), delimiter=";")
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode("utf-8", "surrogateescape")


def _unanswered(content: bytes) -> set[int]:
    """Lines of the rows that hold none of action, by, on and comment."""
    reader = csv.reader(io.StringIO(content.decode("utf-8-sig", "replace"), newline=""))
    header: list[str] = []
    found, line = set(), 1
    for cells in reader:
        row = dict(zip(header, (cell.strip() for cell in cells), strict=False))
        if not header:
            header = [cell.strip() for cell in cells]
        elif any(row.values()) and not any(row.get(name) for name in ("action", "by", "on", "comment")):
            found.add(line)
        line = reader.line_num + 1
    return found


def _answer_of(site: Site, row: Mapping[str, object]) -> Answer:
    alert_id, stated = str(row["alert_id"]), row["on"]
    today = _find(site, alert_id)
    by, comment = (_one_line(str(row[name] or ""), name) for name in ("by", "comment"))
    on = stated if isinstance(stated, date) else today
    return Answer(alert_id, cast(Action, row["action"]), by, on, comment)


def _content(row: Mapping[str, object]) -> tuple[str, ...]:
    return tuple(str(row[name]) for name in ("alert_id", "action", "by", "on", "comment"))


def _find(site: Site, alert_id: str) -> date:
    """Local date on which a finding of the current publication is answered."""
    current = current_publication(site.published_dir)
    if current is None:
        raise UserError("Nothing was published yet, so there is no finding to answer: run `doseledger run` first.")
    zone = ZoneInfo(site.config.timezone)
    # The occupational physician answers restricted findings by the same command: whoever may read the file may ask it.
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


def _one_line(text: str, option: str) -> str:
    line = " ".join(text.split())
    if not line:
        raise UserError(f"{option} is empty; say who did what, for the record.")
    if character := control_character(line):
        raise UserError(f"{option} holds the control character {character}; write it without.")
    return line


def _append(site: Site, answers: Sequence[Answer]) -> None:
    """Add rows by one write at the file's end, in the file's own order of columns."""
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
    with path.open("ab") as file:
        file.write(addition if file.tell() else before + addition)
        file.flush()
        os.fsync(file.fileno())


def _check(before: bytes, after: bytes, added: int, site: Site) -> None:
    """What is written must be read back as so many rows more: a quote left open above would swallow them."""
    zone = ZoneInfo(site.config.timezone)
    rows = [len(read_table(ALERT_LOG, content, zone).rows) for content in (before, after)]
    if rows[1] != rows[0] + added:
        raise SiteError([Problem(ALERT_LOG.file, None, None, "cannot take another row; correct it and try again")])
