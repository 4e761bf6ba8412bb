"""Answers from a filled-in worklist: read whole, compared with alert_log.csv, appended in one piece or not at all."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from typing import cast
from zoneinfo import ZoneInfo

from ingest.problems import Problem, SiteError, UserError, did_you_mean
from ingest.site.config import load_site
from ingest.site.reference_reader import UNREAD_COLUMN, read_table
from orchestration.console.alert_actions import Published, read_published
from orchestration.console.alert_log import (
    ALERT_LOG,
    PROCEDURE,
    Action,
    Answer,
    answering,
    append_answers,
    key_of,
    one_line,
    read_answers,
)
from orchestration.pages.worklist import ANSWER, CONTEXT


@dataclass(frozen=True, slots=True)
class Imported:
    """Number of rows by what became of them."""

    added: int
    repeated: int
    unanswered: int


def import_answers(root: Path, file: Path) -> Imported:
    """Append the answers of a filled-in worklist to reference/alert_log.csv: all of them, or none.

    Args:
        root: the site.
        file: CSV in UTF-8, separated by commas or semicolons, with the columns of alert_log.csv and, if they are still
            there, those of the worklist. Rows without action, by, on and comment are unanswered. ``on`` may be empty:
            today.

    Raises:
        SiteError: the site or the file cannot be read, or a row is refused; nothing is written.
        OSError: a file cannot be read or written; alert_log.csv is as before.
    """
    site = load_site(root)
    content = _with_commas(file.read_bytes())
    try:
        read = read_table(ALERT_LOG, content, ZoneInfo(site.config.timezone))
    except SiteError as error:
        raise SiteError([replace(problem, file=file.name) for problem in error.problems]) from None
    header, unanswered = _header_and_unanswered(content)
    problems = [
        replace(problem, file=file.name)
        for problem in read.problems
        if problem.line not in unanswered and problem.code != UNREAD_COLUMN
    ]
    problems += [_unknown_column(file.name, name) for name in header if name not in (*ANSWER, *CONTEXT)]
    published = read_published(site)
    answers = []
    for row in read.rows:
        if row["line"] not in unanswered:
            try:
                answers.append((_answer(published, file.name, row), row["on"] is not None))
            except SiteError as error:
                problems += error.problems
    if problems:
        raise SiteError(sorted(problems, key=lambda problem: problem.line or 0))
    with answering(site):
        logged = read_answers(site)
        new: list[Answer] = []
        for answer, is_dated in answers:
            alike = logged[key_of(answer.alert_id)]
            if not any(_is_same(answer, known, is_dated) for known in alike):
                new.append(answer)
                alike.append(asdict(answer))
        if new:
            append_answers(site, new)
    return Imported(len(new), len(answers) - len(new), len(unanswered))


def _with_commas(content: bytes) -> bytes:
    """Separate the rows by commas: in many countries a spreadsheet saves CSV with semicolons."""
    header = content.split(b"\n", 1)[0]
    if header.count(b";") <= header.count(b","):
        return content
    rows = csv.reader(io.StringIO(content.decode("utf-8-sig", "surrogateescape"), newline=""), delimiter=";")
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode("utf-8", "surrogateescape")


def _header_and_unanswered(content: bytes) -> tuple[list[str], set[int]]:
    """Return the names of the columns, and the lines of the rows that hold none of action, by, on and comment."""
    reader = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""))
    header: list[str] = []
    found, line = set(), 1
    for cells in reader:
        row = dict(zip(header, (cell.strip() for cell in cells), strict=False))
        if not header:
            header = [cell.strip() for cell in cells]
        elif any(row.values()) and not any(row.get(name) for name in ANSWER[1:]):
            found.add(line)
        line = reader.line_num + 1
    return header, found


def _unknown_column(file: str, name: str) -> Problem:
    similar = did_you_mean(name, (*ANSWER, *CONTEXT))
    meant = f" (is it '{similar}'?)" if similar else ""
    return Problem(file, 1, name, f"is no column of a worklist{meant}; correct its name or remove it")


def _answer(published: Published, file: str, row: Mapping[str, object]) -> Answer:
    """Read one row; raises SiteError with the first field that is wrong."""
    alert_id, stated = str(row["alert_id"]), row["on"]
    with _named(file, row, "alert_id"):
        published.check_named(alert_id)
    with _named(file, row, "by"):
        by = one_line(str(row["by"] or ""), "the cell")
    with _named(file, row, "comment"):
        comment = one_line(str(row["comment"] or ""), "the cell")
    on = stated if isinstance(stated, date) else published.on
    return Answer(alert_id, cast(Action, row["action"]), by, on, comment)


@contextmanager
def _named(file: str, row: Mapping[str, object], field: str) -> Iterator[None]:
    """Name line and field of what is refused."""
    try:
        yield
    except UserError as error:
        raise SiteError([Problem(file, int(str(row["line"])), field, str(error))]) from None


def _is_same(answer: Answer, known: Mapping[str, object], is_dated: bool) -> bool:
    """Compare with a logged answer; one without a date of its own is the same on any day of import."""
    texts = [(getattr(answer, name), " ".join(str(known[name] or "").split())) for name in ("action", "by", "comment")]
    is_same_day = not is_dated or known["on"] == answer.on
    return is_same_day and all(one == other for one, other in texts) and _is_one_finding(answer.alert_id, known)


def _is_one_finding(alert_id: str, known: Mapping[str, object]) -> bool:
    """Compare two names of findings: one may be the beginning of the other, procedures are named whole."""
    other = str(known["alert_id"])
    if alert_id.startswith(PROCEDURE) or other.startswith(PROCEDURE):
        return alert_id == other
    return alert_id.startswith(other) or other.startswith(alert_id)
