"""What would prevent the next night at a site: one line per topic, each with what to do.

It only reads: it creates, sends, stores and changes nothing, and prints no secret.
"""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

from packaging.requirements import Requirement

from ingest.problems import SiteError, UserError
from ingest.pseudonymise import key_file, load_key
from ingest.raw.build_db import read_build
from ingest.site.config import Site, load_site
from ingest.sources.pull import sources
from ingest.sources.source import Days, ObjectFailed, Source, SourceFailed
from orchestration.disk_space import existing, room_needed
from orchestration.letters.delivery import SENT
from orchestration.letters.post import MailServerError, refused_recipients, relay_of
from orchestration.letters.sent_ledger import waiting_letters
from orchestration.product import product_version
from orchestration.publication.build_record import last_build
from orchestration.publication.clock_guard import of_a_time_to_come
from orchestration.publication.history import (
    KEEP_VARIABLE,
    Clock,
    current_publication,
    keep_wanted,
    publications,
    rolled_back_from,
)

State = Literal["ok", "warn", "fail"]
# A site that publishes nightly and is late by more than this has missed a night.
LATE = timedelta(days=2)
DAEMON_SILENT = timedelta(minutes=5)  # Dagster's daemon sends a heartbeat every 30 s
ANSWER_S = 5.0


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look found; ``sentence`` says what to do unless all is well."""

    topic: str
    state: State
    sentence: str


Look = Callable[[Site, Mapping[str, str], datetime], Iterator[Finding]]


def examine(root: Path, environ: Mapping[str, str], now: datetime) -> Iterator[Finding]:
    """Looks at a site, topic by topic; a topic that fails does not stop the next.

    Args:
        root: the site folder.
        environ: holds the key and what site.yaml names as environment variables.
        now: the instant (UTC).
    """
    yield from _versions()
    try:
        site = load_site(root)
    except SiteError as error:
        yield from (Finding("site", "fail", str(problem)) for problem in error.problems)
        return
    yield from _site(site)
    for topic, look in LOOKS.items():
        try:
            yield from look(site, environ, now)
        except UserError as error:
            yield Finding(topic, "fail", str(error))
        except OSError as error:
            yield Finding(topic, "fail", f"{error.filename or topic}: {error.strerror}; correct it or its rights.")


def _versions() -> Iterator[Finding]:
    """The product and the packages that it pins: another version computes, stores or shows differently."""
    odd = []
    for text in requires("doseledger") or ():
        wanted = Requirement(text)
        if wanted.marker and not wanted.marker.evaluate({"extra": ""}):
            continue
        try:
            found = version(wanted.name)
        except PackageNotFoundError:
            odd.append(f"{wanted.name} is missing (wanted {wanted.specifier})")
            continue
        if not wanted.specifier.contains(found, prereleases=True):
            odd.append(f"{wanted.name} is {found} (wanted {wanted.specifier})")
    if odd:
        yield Finding("versions", "fail", f"{'; '.join(odd)}. Install again from requirements.lock.")
        return
    shown = ", ".join(f"{name} {version(name)}" for name in ("dagster", "dbt-core", "dbt-duckdb", "duckdb"))
    yield Finding("versions", "ok", f"doseledger {product_version()}; {shown}")


def _site(site: Site) -> Iterator[Finding]:
    where = f"{site.root}, time zone {site.config.timezone}, {len(site.sources)} dosimeter sources"
    if site.problems:
        yield Finding("site", "warn", f"{where}; problems: {len(site.problems)}. `doseledger check` names them.")
    else:
        yield Finding("site", "ok", where)


def _key(site: Site, environ: Mapping[str, str], _now: datetime) -> Iterator[Finding]:
    path = key_file(site.config.site_id, environ)
    if path and not path.exists() and "DOSELEDGER_KEY_FILE" not in environ:
        state: State = "fail" if site.build_db.exists() else "warn"
        yield Finding("key", state, f"There is none at {path}: bring the former one back, or the first run makes it.")
        return
    key = load_key(site.config.site_id, environ)
    if path and path.stat().st_mode & 0o077:
        yield Finding("key", "fail", f"Others than its owner can use {path}: chmod 600 {path}")
        return
    yield Finding("key", "ok", f"{key.key_id}, from {path or 'DOSELEDGER_KEY'}; keep a copy in a safe place")


def _build(site: Site, environ: Mapping[str, str], _now: datetime) -> Iterator[Finding]:
    """The build database: ours, of this schema, made with this key; and how the last build went."""
    if not site.build_db.exists():
        yield Finding("build", "warn", "Nothing was built yet: `doseledger run`.")
        return
    with read_build(site, load_key(site.config.site_id, environ)) as con:
        build = last_build(con, site.build_db.stem)
    if build is None:
        yield Finding("build", "warn", "Nothing was built yet: `doseledger run`.")
    elif build.blocked_by:
        yield Finding("build", "fail", f"As of {build.as_of}, not to be published: {'; '.join(build.blocked_by)}")
    else:
        yield Finding("build", "ok", f"as of {build.as_of}, {build.checks_passed} checks passed")


def _publication(site: Site, environ: Mapping[str, str], now: datetime) -> Iterator[Finding]:
    keep_wanted(environ)
    current = current_publication(site.published_dir)
    if current is None:
        yield Finding("publication", "warn", "Nothing was published yet: `doseledger run`.")
        return
    clock = Clock(now, now.astimezone(ZoneInfo(site.config.timezone)).date())
    late = now - current.published_at
    if to_come := of_a_time_to_come(current, clock):
        yield Finding("publication", "fail", to_come)
    elif newest := rolled_back_from(site.published_dir, current):
        sentence = f"{current.run_id}, rolled back from {newest}; the next run publishes again: is the cause fixed?"
        yield Finding("publication", "warn", sentence)
    elif late > LATE:
        sentence = f"The last is {current.run_id}, {late.days} days old: does the nightly run still start?"
        yield Finding("publication", "warn", f"{sentence} Without new input there is none, and all is well.")
    else:
        yield Finding("publication", "ok", f"{current.run_id}, as of {current.as_of}")


def _clock(site: Site, _environ: Mapping[str, str], now: datetime) -> Iterator[Finding]:
    """The clock decides the date of a run; what was written by it cannot be younger than now."""
    newest = max(
        (path.stat().st_mtime for path in (site.build_db, *site.published_dir.glob("runs/*")) if path.exists()),
        default=0.0,
    )
    local = now.astimezone(ZoneInfo(site.config.timezone))
    if newest > now.timestamp() + 60:
        at = datetime.fromtimestamp(newest, UTC)
        yield Finding(
            "clock",
            "fail",
            f"It is {now:%Y-%m-%d %H:%M} UTC here, but files were written at {at:%Y-%m-%d %H:%M} UTC: set it.",
        )
    else:
        yield Finding("clock", "ok", f"{local:%Y-%m-%d %H:%M} at the site ({site.config.timezone})")


def _inbox(site: Site, _environ: Mapping[str, str], _now: datetime) -> Iterator[Finding]:
    folders = [
        site.root / site.config.dose_reports.folder,
        *(site.root / "inbox/dosimeters" / name for name in site.sources),
    ]
    absent = [str(folder.relative_to(site.root)) for folder in folders if not folder.is_dir()]
    files = [file for folder in folders for file in folder.rglob("*")]  # as the reader walks it
    closed = [file for file in (*folders, *files) if file.exists() and not os.access(file, os.R_OK)]
    if closed:
        yield Finding("inbox", "fail", f"Cannot be read: {len(closed)}, such as {closed[0]}; correct their rights.")
    elif absent:
        yield Finding("inbox", "warn", f"Not there: {', '.join(absent)}; make it, or nothing comes from that source.")
    else:
        yield Finding("inbox", "ok", f"{sum(file.is_file() for file in files)} files, all readable")


def _disk(site: Site, _environ: Mapping[str, str], _now: datetime) -> Iterator[Finding]:
    """A night writes a publication beside the old ones, and changes the build database."""
    place = existing(site.data_dir)
    if not os.access(place, os.W_OK | os.X_OK):
        yield Finding("disk", "fail", f"{place} cannot be written; correct its rights or data_dir in site.yaml.")
        return
    free = shutil.disk_usage(place).free
    last = max((one.size_bytes for one in publications(site.published_dir)), default=0)
    build = site.build_db.stat().st_size if site.build_db.exists() else 0
    sentence = (
        f"{free / 1e9:.1f} GB free at {place}; a publication takes {last / 1e9:.2f} GB, the build {build / 1e9:.2f} GB"
    )
    if free < room_needed(site):
        yield Finding(
            "disk",
            "fail",
            f"{sentence}, a night {room_needed(site) / 1e9:.2f} GB. Make room: {KEEP_VARIABLE} keeps fewer.",
        )
    elif free < 7 * last + build:
        yield Finding("disk", "warn", f"{sentence}. That lasts for less than a week of nights; make room.")
    else:
        yield Finding("disk", "ok", sentence)


def _mail(site: Site, environ: Mapping[str, str], _now: datetime) -> Iterator[Finding]:
    """What a night does with the mail server, to the last step before a letter's text: nothing is sent."""
    variable = site.config.mail.smtp_url_env
    if waiting := waiting_letters(site.data_dir / SENT):
        sentence = f"{waiting.letters} letters have not left, the oldest of {waiting.since}; each run sends them again."
        yield Finding("mail", "warn", sentence)
    if not site.config.mail.medical_physics:
        yield Finding("mail", "warn", "mail.medical_physics is empty in site.yaml: no recipient of the digest.")
    if not environ.get(variable):
        yield Finding("mail", "ok", f"{variable} is not set: letters are written to {site.data_dir / 'outbox'}")
        return
    try:
        relay = relay_of(environ[variable], variable)
        refused = refused_recipients(relay, site.config.mail.from_, _addresses(site))
    except MailServerError as error:
        yield Finding("mail", "fail", f"{error} Letters wait until it does.")
        return
    for address, answer in refused:
        yield Finding("mail", "fail", f"{relay} takes no letters to {address}: {answer}. Correct the address.")
    if not refused:
        yield Finding("mail", "ok", f"{relay} takes letters from {site.config.mail.from_} to all addresses of the site")


def _addresses(site: Site) -> list[str]:
    """All that a night may write to."""
    mail = site.config.mail
    operators = [str(row["email"]) for row in site.reference["operators"].rows if row["email"]]
    return list(dict.fromkeys([*mail.medical_physics, *mail.operations, *mail.restricted, *operators]))


def _servers(site: Site, environ: Mapping[str, str], now: datetime) -> Iterator[Finding]:
    """Each server of dose reports is queried for today's studies, as in the night; nothing is fetched."""
    today = now.astimezone(ZoneInfo(site.config.timezone)).date()
    for server in sources(site, environ):
        yield _asked(server, Days(today, today))
    receive = site.config.dose_reports.receive
    if receive is None:
        return
    with closing(socket.socket()) as probe:
        probe.settimeout(ANSWER_S)
        is_listening = probe.connect_ex(("127.0.0.1", receive.port)) == 0
    if is_listening:
        yield Finding("receiver", "ok", f"something listens on port {receive.port}")
    else:
        yield Finding("receiver", "fail", f"No receiver listens on port {receive.port}: start `doseledger receive`.")


def _asked(server: Source, days: Days) -> Finding:
    try:
        named = len(server.studies(days))
    except (SourceFailed, ObjectFailed) as failed:
        return Finding("pacs", "fail", str(failed))
    finally:
        server.close()
    return Finding("pacs", "ok", f"{server.address} answers; studies of today: {named}")


def _daemon(site: Site, _environ: Mapping[str, str], now: datetime) -> Iterator[Finding]:
    """Only where Dagster's daemon was ever used here: a site may as well run from cron."""
    home = site.data_dir / "dagster"
    if not (home / "dagster.yaml").exists():
        return
    import dagster as dg

    from orchestration.dagster_home.ticks_to_come import latest_to_come

    with dg.DagsterInstance.from_config(str(home)) as instance:
        beats = [beat.timestamp for beat in instance.get_daemon_heartbeats().values()]
        to_come = latest_to_come(instance, now)
    if to_come:
        sentence = (
            f"Dagster's schedule or sensors wait for {to_come:%Y-%m-%d %H:%M} UTC (this computer's clock was ahead):"
            " end `doseledger ui` and start it again; until then no night begins by itself."
        )
        yield Finding("daemon", "fail", sentence)
    elif not beats:
        return
    elif now - (last := datetime.fromtimestamp(max(beats), UTC)) > DAEMON_SILENT:
        sentence = (
            f"Dagster's daemon was last alive at {last:%Y-%m-%d %H:%M} UTC: start `doseledger ui`, or run from cron."
        )
        yield Finding("daemon", "warn", sentence)
    else:
        yield Finding("daemon", "ok", "Dagster's daemon is alive")


LOOKS: Mapping[str, Look] = {
    "key": _key,
    "build": _build,
    "publication": _publication,
    "clock": _clock,
    "inbox": _inbox,
    "disk": _disk,
    "mail": _mail,
    "pacs": _servers,
    "daemon": _daemon,
}
