"""Which findings of the current publication an answer is for: by identifier, or by procedure, operator and rule."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

from ingest.problems import UserError, did_you_mean
from ingest.site.config import Site, load_site
from ingest.site.reference import ALERT_ID_CHARACTERS
from orchestration.console.alert_log import (
    PROCEDURE,
    Action,
    Answer,
    answering,
    append_answers,
    is_named,
    key_of,
    keys_of,
    latest_action,
    one_line,
    read_answers,
    state_after,
)
from orchestration.figures.procedure_names import procedure_named
from orchestration.pages.worklist import Row, Selection, read_rows
from orchestration.publication.clock_guard import clock_at
from orchestration.publication.history import current_publication
from orchestration.publication.published_files import open_published
from orchestration.publication.snapshot import RESTRICTED, WAREHOUSE

# States of a finding that an action of a selection changes; a finding that is named is answered in any state.
ANSWERABLE: Mapping[Action, tuple[str, ...]] = {
    "acknowledged": ("open",),
    "explained": ("open",),
    "closed": ("open", "acknowledged"),
    "false_alarm": ("open", "acknowledged"),
}


@dataclass(frozen=True, slots=True)
class Filters:
    """What the user typed to select findings; ``procedure`` is any name of it."""

    rule: str | None = None
    severity: str | None = None
    operator_id: str | None = None
    procedure: str | None = None
    since: date | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """Findings of a publication; ``short_ids`` has those of all its findings by alert_id."""

    run_id: str
    rows: tuple[Row, ...]
    short_ids: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Published:
    """The findings that can be answered.

    Attributes:
        run_id: of the current publication.
        on: local date of an answer.
        by_key: findings by what they may be named by.
    """

    run_id: str
    on: date
    by_key: Mapping[str, Sequence[str]]

    def check_named(self, name: str) -> None:
        """Refuse a name of no finding, and one that is the beginning of several.

        Raises:
            UserError: nothing can be answered by this name.
        """
        named = [alert_id for alert_id in self.by_key.get(key_of(name), ()) if is_named(name, alert_id)]
        if not named:
            raise UserError(
                f"The publication {self.run_id} has no finding {name!r}; copy the identifier from the letter or from"
                f" `doseledger alert list`: its first {ALERT_ID_CHARACTERS} characters or more, or procedure: and a"
                " procedure_id."
            )
        if len(named) > 1 and not name.startswith(PROCEDURE):
            raise UserError(f"{name!r} is the begin of {len(named)} findings; give more characters of the identifier.")


def read_published(site: Site) -> Published:
    """Read what can be answered, restricted findings too: the occupational physician answers by the same command.

    Raises:
        UserError: nothing is published yet.
    """
    current = current_publication(site.published_dir)
    if current is None:
        raise UserError("Nothing was published yet, so there is no finding to answer: run `doseledger run` first.")
    with open_published(current.folder / RESTRICTED) as con:
        alerts = con.execute("select alert_id, procedure_id from alerts.alert").fetchall()
        (published_at,) = con.execute(
            "select published_at from ledger.publication where run_id = ?", [current.run_id]
        ).fetchall()[0]
    by_key = defaultdict(list)
    for alert_id, procedure_id in alerts:
        for key in keys_of(alert_id, procedure_id):
            by_key[key].append(alert_id)
    # What was published for a past date (a replay, a demo) is answered as of that date: no run as of it would count an
    # answer that lies in its future.
    is_replay = current.as_of < published_at.astimezone(ZoneInfo(site.config.timezone)).date()
    return Published(current.run_id, current.as_of if is_replay else clock_at(site).today, by_key)


def answer_finding(root: Path, alert_id: str, action: Action, by: str, comment: str) -> Answer:
    """Append the answer to a finding of the current publication to reference/alert_log.csv.

    Raises:
        SiteError: the site, or its alert_log.csv, cannot be read; nothing is written.
        UserError: nothing is published, or the current publication has no such finding; nothing is written.
        OSError: the file cannot be written.
    """
    site = load_site(root)
    published = read_published(site)
    published.check_named(alert_id)
    answer = Answer(alert_id, action, one_line(by, "--by"), published.on, one_line(comment, "--comment"))
    with answering(site):
        append_answers(site, [answer])
    return answer


def answer_selected(
    root: Path, filters: Filters, action: Action, by: str, comment: str, *, is_dry_run: bool
) -> tuple[Found, date]:
    """Append the same answer to each finding of a selection that the action changes; return them and the date.

    Raises:
        SiteError: the site, or its alert_log.csv, cannot be read; nothing is written.
        UserError: nothing is published, or the selection is empty; nothing is written.
        OSError: the file cannot be written.
    """
    site = load_site(root)
    published = read_published(site)
    by, comment = one_line(by, "--by"), one_line(comment, "--comment")
    with answering(site):
        found = find(site, filters)
        rows = tuple(row for row in found.rows if row.state in ANSWERABLE[action])
        if not rows:
            others = f" ({len(found.rows)} were answered already)" if found.rows else ""
            raise UserError(f"The selection has no finding to answer{others}; nothing was written.")
        if not is_dry_run:
            append_answers(site, [Answer(row.alert_id, action, by, published.on, comment) for row in rows])
    return replace(found, rows=rows), published.on


def find(site: Site, filters: Filters) -> Found:
    """Read findings that medical physics sees, in the state that they have with the answers of alert_log.csv.

    Raises:
        UserError: nothing is published, or a filter names what the publication does not have.
    """
    current = current_publication(site.published_dir)
    if current is None:
        raise UserError("Nothing was published yet, so there is no finding: run `doseledger run` first.")
    with open_published(current.folder / WAREHOUSE) as con:
        operators = [name for (name,) in con.execute("select operator_id from marts.dim_operator").fetchall()]
        if filters.operator_id is not None and filters.operator_id not in operators:
            similar = did_you_mean(filters.operator_id, operators)
            meant = f"; is it {similar!r}?" if similar else "."
            raise UserError(f"The publication has no operator {filters.operator_id!r}{meant}")
        procedure_id = None if filters.procedure is None else procedure_named(con, filters.procedure)
        selection = Selection(filters.rule, filters.severity, filters.operator_id, procedure_id, filters.since)
        rows = read_rows(con, selection)
        all_ids = [alert_id for (alert_id,) in con.execute("select alert_id from alerts.alert").fetchall()]
    answers = read_answers(site)
    return Found(current.run_id, tuple(_with_answers(row, answers) for row in rows), short_ids(all_ids))


def _with_answers(row: Row, answers: Mapping[str, Sequence[Mapping[str, object]]]) -> Row:
    """Take an answer that is not published yet for the state."""
    action = latest_action(answers, row.alert_id, row.procedure_id)
    return row if action is None else replace(row, state=state_after(action))


def short_ids(alert_ids: Iterable[str]) -> dict[str, str]:
    """Shorten identifiers to 8 characters, or to as many as identify a finding."""
    alike: defaultdict[str, list[str]] = defaultdict(list)
    for alert_id in alert_ids:
        alike[key_of(alert_id)].append(alert_id)
    return {alert_id: _shortest(alert_id, others) for others in alike.values() for alert_id in others}


def _shortest(alert_id: str, others: Sequence[str]) -> str:
    beginnings = (alert_id[:length] for length in range(ALERT_ID_CHARACTERS, len(alert_id)))
    return next((short for short in beginnings if [one.startswith(short) for one in others].count(True) == 1), alert_id)
