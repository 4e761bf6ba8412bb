"""The command line `doseledger`: what a person types, what is printed, which exit code it means.

Only talking to a person lives here. Heavy imports (Dagster, dbt, Great Expectations) stay inside the commands that
need them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal
from zoneinfo import ZoneInfo

import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ingest.control_characters import printable
from ingest.problems import SiteError, UserError, root_causes
from ingest.site.config import Rule
from orchestration.console.alert_log import Action
from orchestration.console.terminal import terminal, typed

if TYPE_CHECKING:
    from orchestration.nightly import NightlyResult

EXIT_CODES = "Exit codes: 0 done; 1 a mistake or a failed check, stated in words; 2 the command was typed wrongly."
UNITS = "Units everywhere: Hp(10) in µSv, KAP in Gy·cm², Ka,r in mGy, times in s; dates are the site's local dates."
EPILOG = f"{UNITS} {EXIT_CODES}"

app = typer.Typer(
    help="Joins the badge dose of interventional staff with the X-ray dose reports of each procedure. "
    f"An early-warning system, not the dose of record. {UNITS}",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
out = terminal()
err = terminal(is_stderr=True)


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        from importlib.metadata import version

        out.print(f"doseledger {version('doseledger')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Options that need no command."""


SiteOption = Annotated[Path, typer.Option("--site", help="The site folder (it holds site.yaml).")]


@contextmanager
def _plain_errors() -> Iterator[None]:
    """A mistake that the site can fix is printed as its own sentence, without a traceback."""
    try:
        yield
    except SiteError as error:
        for cause in root_causes(error.problems):
            err.print(f"[red]✗[/] {escape(cause)}")
        raise typer.Exit(1) from None
    except UserError as error:
        err.print(f"[red]✗[/] {escape(str(error))}")
        raise typer.Exit(1) from None
    except Exception as error:
        from orchestration.disk_space import sentence_of

        if (sentence := sentence_of(error)) is None:
            raise
        err.print(f"[red]✗[/] {escape(sentence)}")
        raise typer.Exit(1) from None


@app.command(epilog=EPILOG)
def init(
    folder: Annotated[Path, typer.Argument(help="A new or empty folder.")],
) -> None:
    """Write a commented site folder to start from."""
    from ingest.site.template import create_site

    with _plain_errors():
        written = create_site(folder)
    out.print(f"[green]✓[/] {len(written)} files in {escape(str(folder))}; fill in site.yaml and reference/, then:")
    out.print(f"  {_program()} check --site {typed(folder)}")


@app.command(epilog=EPILOG)
def check(
    site: SiteOption,
    file: Annotated[
        Path | None,
        typer.Option(help="Show how this dosimeter export would be read; exit code 1 if it would be quarantined."),
    ] = None,
    as_of: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Judge dose limits as of this date; today if left out."),
    ] = None,
) -> None:
    """Validate site.yaml, reference CSVs and source descriptions; loads nothing. Names file, line and field.

    Names the files of the inbox that would be refused for their place, name or size, and those to be read again.
    """
    from ingest.site.config import check_site, load_site
    from orchestration.console.check_badges import check_badges
    from orchestration.console.check_devices import unmatched_devices
    from orchestration.console.check_file import ignored_units_of_sources
    from orchestration.console.check_inbox import (
        files_to_read_again,
        left_to_fill_in,
        misplaced_files,
        unreadable_exports,
    )
    from orchestration.console.check_limits import limit_warnings, regime_problems
    from orchestration.console.classify import unclassified_sentence
    from orchestration.console.procedure_classes import patterns_inside_words

    if file is not None:
        _check_export(site, file)
        return
    with _plain_errors():
        problems = check_site(site)
        with suppress(SiteError):  # its problems are listed below
            folder = load_site(site)
            day = as_of.date() if as_of else datetime.now(ZoneInfo(folder.config.timezone)).date()
            found = [*unmatched_devices(folder), *patterns_inside_words(folder), *misplaced_files(folder)]
            odd = [escape(str(problem)) for problem in found]
            odd += map(escape, limit_warnings(folder, day))
            odd += map(escape, [*left_to_fill_in(folder), *unreadable_exports(folder)])
            unclassified = unclassified_sentence(folder)
            for warning in [*ignored_units_of_sources(folder), *odd, *unclassified, *files_to_read_again(folder)]:
                out.print(f"[yellow]![/] {warning}")
            badges = check_badges(folder)
            problems += [*badges.problems, *regime_problems(folder, day)]
            if badges.n_unread:
                err.print(f"Large exports that were not read for badges of several sources: {badges.n_unread}.")
    if problems:
        for sentence in root_causes(problems):
            err.print(f"[red]✗[/] {escape(sentence)}")
        err.print(f"Problems: {len(problems)}. Nothing was loaded.")
        raise typer.Exit(1)
    out.print(f"[green]✓[/] {escape(str(site))}: site.yaml, reference files and sources are usable.")


@app.command(epilog=EPILOG)
def describe(
    place: Annotated[
        Path, typer.Argument(help="An export of the new dosimeter source, a dose report, or a folder of dose reports.")
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write to this new file, such as sources/cath_rates.yaml.")
    ] = None,
) -> None:
    """Draft a source description from an export, or rows of rooms.csv and procedure_types.csv from dose reports.

    What the files do not show is left for you, as CONFIRM.
    """
    from orchestration.console.describe import describe_files

    with _plain_errors():
        text = describe_files(place, output)
    if output is None:
        typer.echo(text, nl=False)
        return
    err.print(f"[green]✓[/] {escape(str(output))}: decide every CONFIRM in it, then:")
    err.print(f"  {_program()} check --site SITE --file {typed(place)}")


@app.command(epilog=EPILOG)
def classify(site: SiteOption) -> None:
    """List what the dose reports call procedures, with the number of studies, the procedure class and the rule.

    Reads the studies of the last build, or before a first run the dose reports of the inbox; loads nothing.
    """
    from ingest.site.config import load_site
    from orchestration.console.classify import classification_lines
    from orchestration.console.procedure_classes import classified_descriptions

    with _plain_errors():
        for line in classification_lines(classified_descriptions(load_site(site))):
            typer.echo(line)


@app.command(epilog=EPILOG)
def trace(
    site: SiteOption,
    procedure: Annotated[str | None, typer.Option(help="A procedure_id or Study Instance UID.")] = None,
    badge: Annotated[str | None, typer.Option(help="A badge's serial; with --date.")] = None,
    date: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The site's local date; with --badge.")
    ] = None,
    alert: Annotated[str | None, typer.Option(help="An alert_id, as letters and alerts.alert have it.")] = None,
) -> None:
    """Print a dose's way: file and line, versions, unit, times, where it went and by which rule. Writes nothing."""
    from ingest.site.config import load_site
    from orchestration.console.trace import Question, print_trace

    if [procedure, badge, alert].count(None) != 2 or (badge is None) != (date is None):
        raise typer.BadParameter("give one of --procedure ID, --badge SERIAL with --date DAY, or --alert ID")
    with _plain_errors():
        print_trace(load_site(site), Question(procedure, badge, date.date() if date else None, alert), out)


def _check_export(site: Path, file: Path) -> None:
    from orchestration.console.check_file import check_export

    with _plain_errors(), _progress() as report:
        is_readable = check_export(site, file, out, report)
    if not is_readable:
        raise typer.Exit(1)


@app.command(
    epilog="Exit code 0 only if something was published, or if nothing was new, and every server of dose reports "
    f"that site.yaml names gave all that it has. {EPILOG}"
)
def run(
    site: SiteOption,
    as_of: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"],
            help="Leave out records with a later local date; default: today at the site, or, where site.yaml "
            "fixes the date, the publication's. "
            "A date before the current publication's goes to published/as_of/ and replaces nothing.",
        ),
    ] = None,
) -> None:
    """Run the nightly job: read what is new, build the tables, check, publish, write letters."""
    from orchestration.nightly import run_nightly

    with _plain_errors(), _progress() as report:
        result = run_nightly(site, as_of.date() if as_of else None, report)
    _print_result(site, result)


@app.command(epilog=EPILOG)
def rebuild(site: SiteOption) -> None:
    """Rebuild every table from what was ingested (no file is read), check and publish."""
    from orchestration.nightly import rebuild as rebuild_site

    with _plain_errors(), _progress() as report:
        result = rebuild_site(site, report)
    _print_result(site, result)


@app.command(epilog=EPILOG)
def reread(
    source: Annotated[str, typer.Argument(help="A source_id, as its file in sources/ is called.")],
    site: SiteOption,
    accept: Annotated[
        bool,
        typer.Option(
            "--accept",
            help="Also if files would be refused (their doses count no longer), have fewer readable rows, or cannot be "
            "found (they keep their former doses; take them back by reference/withdrawn_files.csv).",
        ),
    ] = False,
) -> None:
    """Read the loaded files of a source again whose description has changed. The nightly run does this, too."""
    from ingest.pseudonymise import load_key
    from ingest.raw.build_db import open_build, run_lock
    from ingest.raw.file_ledger import due
    from ingest.raw.reread import reread as reread_source
    from ingest.site.config import load_site

    with _plain_errors(), _progress() as report:
        folder = load_site(site)
        key = load_key(folder.config.site_id, os.environ)
        if source not in folder.sources:
            raise UserError(f"There is no sources/{source}.yaml; there are: {', '.join(folder.sources) or 'none'}.")
        with run_lock(folder), open_build(folder, key) as con:
            readings = due(con, folder).get(source, [])
            done = reread_source(
                con,
                folder,
                key,
                source,
                readings,
                accept=accept,
                progress=lambda files, total: report("exports read again", files, total),
            )
    out.print(f"[green]✓[/] {escape(str(done))}" if readings else f"Nothing of {source} is to be read again.")
    if readings:
        out.print("The next run publishes it.")


@app.command(epilog=EPILOG)
def status(
    site: SiteOption,
    all_refused: Annotated[bool, typer.Option("--all", help="Name every refused file, not only the first 20.")] = False,
) -> None:
    """Print the last publication, the verdict on the last build, files by status, refused files with reason."""
    from orchestration.console.status import print_status

    with _plain_errors():
        print_status(site, out, all_refused=all_refused)


@app.command(epilog=EPILOG)
def publications(site: SiteOption) -> None:
    """List the publications on disk: when, as of when, size, checks passed, and which one readers see."""
    from ingest.site.config import load_site
    from orchestration.console.summary import publications_table
    from orchestration.publication.history import publications as on_disk

    with _plain_errors():
        folder = load_site(site)
        kept = on_disk(folder.published_dir)
    if not kept:
        out.print("Nothing was published yet: run `doseledger run` first.")
        return
    out.print(publications_table(kept, folder.config.timezone))


@app.command(epilog=EPILOG)
def rollback(
    site: SiteOption,
    run_id: Annotated[
        str | None,
        typer.Argument(
            help="As `doseledger publications` lists it; default: the one that the current took place of, or, where "
            "the current is of a time to come, the newest that is not."
        ),
    ] = None,
    take_back_all: Annotated[
        bool, typer.Option("--all", help="Where every publication is of a time to come: `current` names none.")
    ] = False,
) -> None:
    """Let `current` name an earlier publication, until the next run publishes. Sends nothing, removes nothing."""
    from ingest.raw.build_db import run_lock
    from ingest.site.config import load_site
    from orchestration.publication import history as publications
    from orchestration.publication.clock_guard import clock_at

    if run_id and take_back_all:
        raise typer.BadParameter("give a run id or --all")
    with _plain_errors():
        folder = load_site(site)
        with run_lock(folder):
            if take_back_all:
                publications.take_back_all(folder.published_dir, clock_at(folder))
                out.print("[green]✓[/] current names no publication; the next run publishes with the history of all.")
                return
            back = publications.roll_back(folder.published_dir, clock_at(folder), run_id)
    out.print(f"[green]✓[/] current is {back.run_id}, as of {back.entry.as_of if back.entry else '?'}.")
    out.print("The next run that passes its checks publishes again: fix the cause, or stop the schedule, before.")


@app.command(epilog=f"Exit code 1 if a line has ✗. {EPILOG}")
def doctor(site: SiteOption) -> None:
    """Look for what would hinder the next night: key, disk, clock, mail server, PACS, versions, last run.

    Creates, sends and changes nothing.
    """
    from orchestration.console.doctor import examine
    from orchestration.publication.clock_guard import now

    signs = {"ok": "[green]✓[/]", "warn": "[yellow]![/]", "fail": "[red]✗[/]"}
    failed = False
    for finding in examine(site, os.environ, now()):
        out.print(f"{signs[finding.state]} {finding.topic:<12} {escape(finding.sentence)}")
        failed = failed or finding.state == "fail"
    if failed:
        raise typer.Exit(1)


alert = typer.Typer(help="List and answer findings; reference/alert_log.csv keeps the answers.", no_args_is_help=True)
app.add_typer(alert, name="alert")

Procedure = Annotated[
    str | None, typer.Option(help="Findings of a procedure: procedure_id, accession number or study UID.")
]
Operator = Annotated[str | None, typer.Option(help="Findings about this operator_id.")]
RuleOption = Annotated[Rule | None, typer.Option(help="Findings of this rule.")]


@alert.command("list", epilog=EPILOG)
def list_(
    site: SiteOption,
    state: Annotated[
        Literal["open", "answered", "all"], typer.Option(help="An answer of alert_log.csv counts at once.")
    ] = "open",
    rule: RuleOption = None,
    severity: Annotated[Literal["urgent", "review", "notice"] | None, typer.Option(help="Of this severity.")] = None,
    operator: Operator = None,
    procedure: Procedure = None,
    since: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Of this local date or later, or without a date.")
    ] = None,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print the columns of worklist.csv, which `alert import` takes back.")
    ] = False,
) -> None:
    """List findings of the last publication with the short identifiers that answer them; restricted ones are not."""
    from dataclasses import replace

    from ingest.site.config import load_site
    from orchestration.console.alert_actions import Filters, find
    from orchestration.console.alert_table import finding_lines
    from orchestration.pages import worklist

    filters = Filters(rule, severity, operator, procedure, since.date() if since else None)
    with _plain_errors():
        found = find(load_site(site), filters)
    found = replace(found, rows=tuple(row for row in found.rows if state in ("all", row.state_of_answer)))
    if as_csv:
        typer.echo(worklist.as_csv(found.rows), nl=False)
        return
    for line in finding_lines(found):
        out.print(escape(line))
    out.print(f"{len(found.rows)} findings of {found.run_id}.")


By = Annotated[str, typer.Option("--by", help="Who answers.")]
Comment = Annotated[str, typer.Option("--comment", help="What was found or done.")]
AlertId = Annotated[
    str | None, typer.Argument(metavar="ID", help="8 characters or more of an alert_id, or procedure:PROCEDURE_ID.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what a selection would answer; write nothing.")]
# Command, action in alert_log.csv, help.
ANSWERS: tuple[tuple[str, Action, str], ...] = (
    ("acknowledge", "acknowledged", "Findings were seen and are worked on: they are open no longer."),
    ("explain", "explained", "The cause of findings is known: they are open no longer."),
    ("close", "closed", "Findings are done with."),
    ("false-alarm", "false_alarm", "Findings are wrong: closed, and counted as false alarms of their rule."),
)


def _answering(name: str, action: Action, text: str) -> None:
    """Add a command that answers one finding, or each of a selection."""

    @alert.command(name, help=f"{text} One by ID, or all by --procedure, or by --operator and --rule.", epilog=EPILOG)
    def command(
        site: SiteOption,
        by: By,
        comment: Comment,
        alert_id: AlertId = None,
        procedure: Procedure = None,
        operator: Operator = None,
        rule: RuleOption = None,
        is_dry_run: DryRun = False,
    ) -> None:
        from orchestration.console.alert_actions import Filters, answer_finding, answer_selected
        from orchestration.console.alert_table import finding_lines

        is_selection = procedure is not None or (operator is not None and rule is not None)
        if alert_id is not None:
            if procedure is not None or operator is not None or rule is not None or is_dry_run:
                raise typer.BadParameter("give an ID or a selection, not both")
            with _plain_errors():
                answer = answer_finding(site, alert_id, action, by, comment)
            out.print(f"[green]✓[/] {escape(alert_id)} {action} on {answer.on}; the next run publishes it.")
            return
        if not is_selection:
            raise typer.BadParameter("give an ID, or --procedure, or --operator and --rule together")
        filters = Filters(rule=rule, operator_id=operator, procedure=procedure)
        with _plain_errors():
            found, on = answer_selected(site, filters, action, by, comment, is_dry_run=is_dry_run)
        for line in finding_lines(found):
            out.print(escape(line))
        count = f"{len(found.rows)} findings"
        if is_dry_run:
            out.print(f"{count} would be {action}; nothing was written.")
        else:
            out.print(f"[green]✓[/] {count} {action} on {on}; the next run publishes it.")


for _name, _action, _text in ANSWERS:
    _answering(_name, _action, _text)


@alert.command("import", epilog=EPILOG)
def import_(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A filled-in worklist.csv.", exists=True, dir_okay=False)
    ],
    site: SiteOption,
) -> None:
    """Take the answers of a filled-in worklist: all of them, or none."""
    from orchestration.console.answer_import import import_answers

    with _plain_errors():
        done = import_answers(site, file)
    out.print(
        f"[green]✓[/] {done.added} answers added, {done.repeated} were there already, {done.unanswered} rows are not"
        " answered yet; the next run publishes them."
    )


@app.command(epilog=EPILOG)
def score(
    site: SiteOption,
    truth: Annotated[Path, typer.Option(help="Folder of truth_*.csv; 'doseledger demo' writes it beside the site.")],
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures to this file, too.")] = None,
) -> None:
    """Score the links of the last publication of a synthetic site, beside a plain time-window join on the same data.

    Shares of the dose in 1-s samples: on the right (operator, procedure), on a wrong one, unlinked; on the right event.
    """
    import json
    from dataclasses import asdict

    from orchestration.console.score import score_site, score_table

    with _plain_errors():
        found = score_site(site, truth)
    out.print(score_table(found))
    if json_file:
        json_file.write_text(json.dumps(asdict(found), default=float, indent=2) + "\n", encoding="utf-8")


@app.command(epilog=EPILOG)
def demo(
    folder: Annotated[Path, typer.Argument(help="A new folder; the truth goes beside it, with _truth at its name.")],
    preset: Annotated[
        str,
        typer.Option(
            help="small: 2 tidy rooms, 222 procedures; tiny: two weeks of it. paper: the published size (5 rooms, "
            "19 operators, 3373 procedures) with wrong clocks, forgotten badges and untidy files; tiny-paper: the "
            "same dirt in three weeks, 100 procedures."
        ),
    ] = "small",
    seed: Annotated[int, typer.Option(help="Equal seeds write equal bytes.")] = 1,
    no_hubs: Annotated[
        bool, typer.Option("--no-hubs", help="The exports do not state in which room a badge was.")
    ] = False,
    clock_fault_s: Annotated[
        float, typer.Option(help="The clocks of the first department's badges are fast by so many seconds.")
    ] = 0.0,
) -> None:
    """Write a synthetic demo hospital in the layout of a site, with a truth table beside it; see `score`."""
    from synthetic_hospital import write_hospital

    try:
        with _progress() as report:
            hospital = write_hospital(folder, preset, seed, report, names_hubs=not no_hubs, clock_fault_s=clock_fault_s)
    except (ValueError, FileExistsError) as error:
        err.print(f"[red]✗[/] {escape(str(error))}")
        raise typer.Exit(1) from None
    out.print(
        f"[green]✓[/] {escape(str(hospital.site))}: {hospital.procedures} procedures in {hospital.rooms} rooms, "
        f"{hospital.operators} operators, {hospital.inbox_files} files, {hospital.size_bytes / 1e6:.0f} MB; "
        f"what really happened is in {escape(str(hospital.truth))}"
    )
    out.print(f"  {_program()} run --site {typed(folder)} --as-of {hospital.last_day}")


@app.command(epilog=EPILOG)
def pull(
    site: SiteOption,
    retry: Annotated[
        bool, typer.Option("--retry", help="Request again also what failed on seven nights and was given up.")
    ] = False,
) -> None:
    """Fetch dose reports from the servers that site.yaml names, as each run does; the next run reads them."""
    from ingest.pseudonymise import load_key
    from ingest.raw.build_db import run_lock
    from ingest.raw.file_ledger import whats_new
    from ingest.site.config import load_site
    from ingest.sources.pull import pull_all
    from orchestration.publication.clock_guard import clock_at, run_date

    with _plain_errors():
        folder = load_site(site)
        with run_lock(folder):
            as_of = run_date(
                folder, None, lambda: whats_new(folder, load_key(folder.config.site_id, os.environ)).has_files
            )
            pulled = pull_all(folder, as_of, clock_at(folder).today, is_retry=retry)
    if not pulled:
        out.print("site.yaml names no server of dose reports.")
    for server in pulled:
        out.print(f"• {escape(str(server))}")
    failures = [failure for server in pulled for failure in server.failures]
    for sentence in failures:
        err.print(f"[red]✗[/] {escape(sentence)}")
    if failures:
        raise typer.Exit(1)


@app.command(epilog=EPILOG)
def receive(site: SiteOption) -> None:
    """Receive dose reports by C-STORE as set in site.yaml (dose_reports.receive), until SIGTERM or Ctrl-C."""
    from ingest.site.config import load_site
    from ingest.sources.receiver import serve

    with _plain_errors():
        serve(load_site(site), lambda line: out.print(escape(line)))


@app.command(epilog=EPILOG)
def chart(
    site: SiteOption,
    room: Annotated[str, typer.Option(help="room_id as in reference/rooms.csv.")],
    day: Annotated[datetime, typer.Option("--date", formats=["%Y-%m-%d"], help="Local date at the site.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The PNG file to write; default: ROOM_DATE.png here.")
    ] = None,
) -> None:
    """Draw a room's day: beam-on and every badge's dose rate, before and after clock correction, links in colour."""
    from orchestration.charts.room_day import write_chart

    file = output or Path(f"{room}_{day:%Y-%m-%d}.png")
    with _plain_errors():
        write_chart(site, room, day.date(), file)
    out.print(f"[green]✓[/] {escape(str(file))}")


@app.command(epilog=EPILOG)
def page(
    procedure: Annotated[
        str, typer.Argument(help="Its procedure_id, the first 8 characters of it, accession number or study UID.")
    ],
    site: SiteOption,
    output: Annotated[Path, typer.Option("--output", "-o", help="The HTML file to write, outside of published/.")],
) -> None:
    """Write the page of any procedure of the last publication as one file. It names people and the accession number."""
    from orchestration.console.procedure_page import write_procedure_page

    with _plain_errors():
        procedure_id = write_procedure_page(site, procedure, output)
    out.print(f"[green]✓[/] {escape(str(output))}: procedure {procedure_id}.")


@app.command(name="dose-record", epilog=EPILOG)
def dose_record(
    site: SiteOption,
    operator: Annotated[str, typer.Option(help="operator_id as in reference/operators.csv.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Name without ending, outside of published/; default: dose_record_OPERATOR here."
        ),
    ] = None,
) -> None:
    """Write one person's doses by year, wear period and month, with limits, as CSV and as a page to print."""
    from orchestration.console.dose_record import write_dose_record

    with _plain_errors():
        made = write_dose_record(site, operator, output or Path(f"dose_record_{operator}"))
    for file in made:
        out.print(f"[green]✓[/] {escape(str(file))}")


@app.command(epilog=EPILOG)
def pages(
    site: SiteOption,
    server: Annotated[Literal["nginx", "apache"], typer.Option(help="Which web server's language.")],
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on 127.0.0.1.")] = 8085,
    password_file: Annotated[
        Path, typer.Option(help="Where the web server has the passwords; `htpasswd -B` makes it.")
    ] = Path("/etc/doseledger/page_passwords"),
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write to this file, in place of it.")] = None,
) -> None:
    """Write a web server's configuration: each login of reference/page_logins.csv sees its own pages only.

    Run it again after each change of that file; docs/operations/web.md has the installation.
    """
    from ingest.site.config import load_site
    from orchestration.pages.web_server import configuration, sentences, write_configuration

    with _plain_errors():
        folder = load_site(site)
        text = configuration(folder, server, port, password_file)
        if output is not None:
            write_configuration(text, output)
    if output is None:
        typer.echo(text, nl=False)
    for sentence in sentences(folder):
        err.print(f"• {escape(sentence)}")


@app.command(epilog=EPILOG)
def ui(
    site: SiteOption,
    port: Annotated[int, typer.Option(help="Port on this machine.")] = 3000,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Show everything, start and change nothing from the UI.")
    ] = False,
) -> None:
    """Open the Dagster UI on a site: http://127.0.0.1:PORT, with its daemon, until Ctrl-C or SIGTERM."""
    from ingest.site.config import load_site
    from orchestration.dagster_home.instance import dagster_home
    from orchestration.dagster_home.stale_runs import end_stale_runs_of
    from orchestration.dagster_home.ticks_to_come import forget_ticks_to_come_of
    from orchestration.dagster_home.ui_processes import only_ui_of_site, serve
    from orchestration.dbt_build import ensure_manifest

    with _plain_errors():
        home = dagster_home(site)
        with only_ui_of_site(home, port):
            end_stale_runs_of(load_site(site))
            if waiting := forget_ticks_to_come_of(home):
                names = ", ".join(waiting)
                err.print(f"This computer's clock was ahead; these waited for that time and begin again: {names}.")
            ensure_manifest()
            environment = {**os.environ, "DOSELEDGER_SITE": str(site.absolute()), "DAGSTER_HOME": str(home)}
            err.print(f"The Dagster UI is at http://127.0.0.1:{port}; Ctrl-C ends it and its daemon.")
            raise typer.Exit(serve(port, environment, read_only=read_only))


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """A bar for each step on a terminal; a line for each finished step elsewhere."""
    columns = (TextColumn("{task.description:<18}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=False) as bars:
        tasks: dict[str, int] = {}

        def report(step: str, done: int, total: int) -> None:
            if step not in tasks:
                tasks[step] = bars.add_task(escape(printable(step)), total=total)
            bars.update(tasks[step], completed=done, total=total)  # type: ignore[arg-type]

        yield report


def _print_result(site: Path, result: NightlyResult) -> None:
    _print_outcome(site, result)
    for sentence in result.not_pulled:
        err.print(f"[red]✗[/] {escape(sentence)}")
    if result.not_pulled:  # the run used what there was, but the missing part must be reported
        err.print("Not every dose report could be pulled; the next run requests the rest again.")
    if result.outcome == "failed" or result.not_pulled:
        raise typer.Exit(1)


def _print_outcome(site: Path, result: NightlyResult) -> None:
    from orchestration.console.summary import figures, next_steps, not_current, places
    from orchestration.figures.digest import read_publication

    if result.outcome != "failed" and not result.is_current and result.folder:
        out.print(f"[yellow]![/] {escape(not_current(result.folder))}")  # first: what follows is not what readers see
    for note in result.notes:
        out.print(f"• {escape(note)}")
    if result.outcome == "failed":
        for reason in result.reasons:
            err.print(f"[red]✗[/] {escape(reason)}")
        err.print(
            f"It was published nevertheless ({result.folder.name}): only what is named above failed. Letters that have"
            " not left go out with the next run."
            if result.folder
            else "Nothing was published; the last publication stays as it was. 'doseledger status' says more."
        )
        return
    if result.folder is None:
        out.print("[green]✓[/] Nothing new.")
        return
    publication = read_publication(result.folder / "warehouse.duckdb")
    headline = "Published" if result.outcome == "published" else "Nothing new since"
    out.print(f"[green]✓[/] {headline} {publication.run_id}, as of {publication.as_of}\n")
    out.print(figures(publication))
    out.print(places(result.folder, result.letters, result.letters_waiting))
    out.print(next_steps(_program(), site, result.folder))


def _program() -> str:
    """How this program was called, so that what is printed can be typed."""
    called = Path(sys.argv[0]).absolute()
    return str(called.relative_to(Path.cwd())) if called.is_relative_to(Path.cwd()) else str(called)
