"""State of a site: the last publication, the verdict on the last build, and quarantined files with the reason.

It reads and prints; it writes nothing and holds no lock longer than a query.
"""

from __future__ import annotations

import os
from pathlib import Path

import duckdb
from rich.console import Console, RenderableType
from rich.markup import escape
from rich.table import Table

from ingest.pseudonymise import load_key
from ingest.raw.build_db import read_build
from ingest.site.config import Site, load_site
from orchestration.figures.input_counts import input_sentences_with_tables, read_input_counts
from orchestration.figures.wording import wording
from orchestration.letters.delivery import SENT
from orchestration.letters.sent_ledger import waiting_letters
from orchestration.publication.build_record import last_build
from orchestration.publication.clock_guard import clock_at, of_a_time_to_come
from orchestration.publication.data_docs import data_docs_file
from orchestration.publication.history import current_publication, rolled_back_from
from orchestration.publication.published_files import open_published

REFUSED_LISTED = 20


def print_status(root: Path, out: Console, *, all_refused: bool = False) -> None:
    """Prints the status of a site.

    Args:
        root: the site folder.
        out: where to print.
        all_refused: name every refused file, not only the first.

    Raises:
        SiteError, KeyRefused, WrongKey, BuildUnavailable: said in one sentence by the command line.
    """
    site = load_site(root)
    out.print(f"[bold]{escape(site.config.name)}[/] ({site.config.site_id}), {escape(str(site.root))}")
    _print_publication(site, out)
    if waiting := waiting_letters(site.data_dir / SENT):
        out.print(
            f"[red]Letters that have not left:[/] {waiting.letters}, the oldest of {waiting.since}; each run sends them"
            " again, and `doseledger doctor` asks the mail server why."
        )
    if not site.build_db.exists():
        out.print("Nothing was built yet: run `doseledger run` first.")
        return
    with read_build(site, load_key(site.config.site_id, os.environ)) as con:
        _print_verdict(con, site, out)
        out.print(_files(con))
        _print_refused(con, out, all_refused=all_refused)


def _print_publication(site: Site, out: Console) -> None:
    current = current_publication(site.published_dir)
    if current is None:
        out.print("Published: nothing yet")
        return
    out.print(f"Published: {current.run_id}, as of {current.as_of}, in {escape(str(current.folder))}")
    if sentence := of_a_time_to_come(current, clock_at(site)):
        out.print(f"[red]✗[/] {escape(sentence)}")
    with open_published(current.folder / "warehouse.duckdb") as con:
        for sentence in input_sentences_with_tables(read_input_counts(con), wording("en")):
            out.print(f"  {escape(sentence)}")
    if newest := rolled_back_from(site.published_dir, current):
        out.print(f"[red]Rolled back[/] from {newest}; the next run that passes its checks publishes again.")


def _print_verdict(con: duckdb.DuckDBPyConnection, site: Site, out: Console) -> None:
    build = last_build(con, site.build_db.stem)
    if build is None:
        out.print("Last build: none")
        return
    if build.blocked_by:
        out.print(f"[red]Last build: as of {build.as_of}; not to be published:[/]")
    else:
        out.print(f"Last build: as of {build.as_of}; {build.checks_passed} checks passed, none blocks")
    for reason in build.blocked_by:
        out.print(f"  [red]✗[/] {escape(reason)}")
    page = data_docs_file(site.data_dir, build.build_id)
    if page.exists():  # a build that failed was not judged, and old pages are not kept
        out.print(f"Every check of it: {escape(str(page))}")


def _files(con: duckdb.DuckDBPyConnection) -> RenderableType:
    table = Table(title="Files seen", title_justify="left")
    for name in ("kind", "status", "files", "rows loaded", "rows rejected"):
        table.add_column(name, justify="right" if name in ("files", "rows loaded", "rows rejected") else "left")
    for kind, state, files, loaded, rejected in con.execute(_FILES_BUILT if _is_built(con) else _FILES).fetchall():
        table.add_row(kind, state, f"{files:,}", f"{loaded:,}", f"{rejected:,}")
    return table


def _is_built(con: duckdb.DuckDBPyConnection) -> bool:
    """Whether versions and repeats of files were decided: by the last build, of the files that it had."""
    return bool(con.execute(_LEDGER_FILE).fetchall())


def _print_refused(con: duckdb.DuckDBPyConnection, out: Console, *, all_refused: bool) -> None:
    quarantined = con.execute(_QUARANTINED).fetchall()
    if quarantined:
        out.print("In quarantine:")
    for path, shown_path, reason in quarantined if all_refused else quarantined[:REFUSED_LISTED]:
        published = "" if shown_path == path else f" (published as {shown_path})"
        out.print(f"  {escape(path)}{escape(published)}: {escape(reason or '')}")
    more = len(quarantined) - REFUSED_LISTED
    if more > 0 and not all_refused:
        out.print(f"  … and {more:,} more: `doseledger status --all` names them.")
    findings = con.execute(_FINDINGS).fetchall()
    if findings:
        out.print("Refused or odd in what was loaded:")
    for path, line, code, message in findings:
        place = f"{path} line {line}" if line else path
        out.print(f"  {escape(place)} ({code}): {escape(message)}")


_FILES = """
    select kind, status, count(*), sum(rows_loaded)::bigint, sum(rows_rejected)::bigint
    from raw.file
    group by kind, status
    order by kind, count(*) desc, status
"""

_LEDGER_FILE = "from duckdb_tables() where schema_name = 'ledger' and table_name = 'file'"

_FILES_BUILT = """
    select kind, coalesce(judged.status, seen.status) as status, count(*), sum(seen.rows_loaded)::bigint,
        sum(seen.rows_rejected)::bigint
    from raw.file as seen
    left join ledger.file as judged using (load_seq, kind)
    group by all
    order by kind, count(*) desc, status
"""

_QUARANTINED = (
    "select path, shown_path, reason from raw.file where status = 'quarantined' and superseded_by is null"
    " order by load_seq desc"
)

_FINDINGS = "select path, line, code, message from raw.finding order by path, line limit 50"
