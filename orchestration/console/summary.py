"""The summary at the end of a run, in words and figures for a medical physicist; from the published file only.

Only the wording for a terminal is here. The figures come from digest.py, the letters' wording is in wording.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from zoneinfo import ZoneInfo

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from orchestration.console.terminal import typed
from orchestration.figures.digest import Balance, Publication
from orchestration.figures.input_counts import input_sentences_with_tables
from orchestration.figures.wording import wording
from orchestration.publication.history import Kept, current_publication


def figures(publication: Publication) -> RenderableType:
    """Procedures, operators, dose linked, findings by rule, checks: one line each."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column()
    table.add_row("Procedures", f"{publication.procedures} in {publication.rooms} rooms, {_span(publication)}")
    table.add_row("Operators", f"{publication.operators} with a row in at least one procedure")
    table.add_row("Staff dose linked", _linked(publication.staff))
    table.add_row("C-arm dose linked", _linked(publication.c_arm))
    table.add_row("Open alerts", _alerts(publication))
    table.add_row("Checks passed", f"{publication.checks_passed}, none failed that blocks")
    words = wording("en")
    for sentence in input_sentences_with_tables(publication.input_counts, words):
        table.add_row("Not counted", escape(sentence))
    if publication.quarantined:
        refused = f"{len(publication.quarantined)} in quarantine; 'doseledger status' says which and why"
        table.add_row("Files refused", refused)
    return table


def places(run: Path, letters: list[str], waiting: int) -> RenderableType:
    """Where the results are; ``waiting`` letters did not leave."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    table.add_row("Warehouse", escape(str(_near(run) / "warehouse.duckdb")))
    table.add_row("Pages", escape(str(_near(run) / "pages" / "physics" / "index.html")))
    left = _letter_places(letters)
    if waiting:
        left.append(f"[red]{waiting} did not leave[/]; the next run sends them again (the reason is above)")
    table.add_row("Letters", "\n".join(left) or "none: nothing new to tell")
    return table


def not_current(run: Path) -> str:
    """What a run for an earlier date than the current publication's did, and did not."""
    current = current_publication(run.parents[1])
    assert current  # noqa: S101 - else the run would have become it
    return (
        f"`current` stays {current.run_id}, as of {current.as_of}: this run is as of the earlier date {run.name}; it is"
        f" in {_near(run)}, replaces nothing, and no letter leaves for it."
    )


def publications_table(kept: Sequence[Kept], timezone: str) -> RenderableType:
    """The publications on disk, one line each; times in the site's zone."""
    table = Table(box=None, padding=(0, 1, 0, 0))  # so that a line has room in 80 columns
    for name in ("run", "published at", "as of", "size", "checks", ""):
        is_number = name in ("size", "checks")
        is_typed = name == "run"  # a person types it: never cut off
        width = max(len(one.run_id) for one in kept) if is_typed else None
        table.add_column(name, justify="right" if is_number else "left", min_width=width, no_wrap=True)
    for one in kept:
        told = ("", "", "")
        if one.entry:
            at = one.entry.published_at.astimezone(ZoneInfo(timezone))
            told = (f"{at:%Y-%m-%d %H:%M}", str(one.entry.as_of), str(one.entry.checks_passed))
        mark = "current" if one.is_current else "" if one.entry else "cannot be read"
        table.add_row(one.run_id, *told[:2], f"{one.size_bytes / 1e6:,.1f} MB", told[2], mark)
    return table


def next_steps(program: str, site: Path, run: Path) -> RenderableType:
    """The next three commands to try."""
    python = str(Path(program).with_name("python"))
    where = typed(site)
    query = "from marts.fct_operator_procedure order by hp10_usv desc nulls last limit 10"
    opened = f"duckdb.connect({str(_near(run) / 'warehouse.duckdb')!r}, read_only=True)"
    code = f"import duckdb; print({opened}.sql({query!r}))"
    return Group(
        "\nNext:",
        f"  {program} status --site {where}",
        f"  {program} ui --site {where}",
        f"  {typed(python)} -c {typed(code)}",
    )


def _letter_places(letters: list[str]) -> list[str]:
    """How many letters are in the outbox, or were taken by the mail server."""
    places = [str(_near(Path(letter).parent)) if Path(letter).is_absolute() else letter for letter in letters]
    return [f"{count} in {escape(place)}" for place, count in Counter(places).items()]


def _near(path: Path) -> Path:
    """As short as it can be typed from here."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _span(publication: Publication) -> str:
    if publication.first_date is None:
        return f"as of {publication.as_of}"
    return f"{publication.first_date} to {publication.last_date}, as of {publication.as_of}"


def _linked(balance: Balance) -> str:
    share = balance.linked_share
    if share is None:
        return "no electronic badge dose registered"
    return (
        f"{share:.1%} of {balance.registered_usv:,.1f} µSv registered Hp(10); "
        f"{balance.apportioned_usv:,.1f} µSv apportioned, {balance.unlinked_usv:,.1f} µSv unlinked with a reason"
    )


def _alerts(publication: Publication) -> str:
    by_rule = Counter(finding.rule for finding in publication.findings)
    listed = ", ".join(f"{rule} {count}" for rule, count in by_rule.most_common())
    return f"{len(publication.findings)}" + (f": {listed}" if listed else "")
