"""What is attacked, from files and servers to letters: how it is prepared, started and looked at."""

from __future__ import annotations

import hashlib
import os
import signal
import sqlite3
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from pathlib import Path

import yaml
from aiosmtpd.smtp import SMTP, Envelope, Session
from attack.harness import AGAIN, NEVER_S, PROCESSES, Command, Facts, Target, in_process
from pydicom.filereader import dcmread
from pynetdicom import AE
from slow.ingest.sources import test_killed_pull as killed_pull
from slow.orchestration.letters import test_delivery as mail
from support.odd_servers import XRAY_DOSE_SR, http_server
from support.orthanc import free_port
from support.small_build import add_build, change, make_build, pass_gate
from support.small_site import KEY, RATES, SOURCE, content, export, looking, make_site, run, write
from support.sr_builder import as_file, ordinary_report

from ingest.dose_reports.dicom_file import identity_of
from ingest.raw import loader as raw_load
from ingest.site.config import load_site
from ingest.sources.pull import pull_all
from ingest.sources.receiver import serve
from orchestration.publication.history import Clock, current_publication, publications, roll_back
from orchestration.publication.publish import publish
from orchestration.publication.published_files import open_published
from orchestration.publication.snapshot import RESTRICTED, WAREHOUSE

CLOCK_COLUMNS = ("published_at", "build_id", "git_commit", "first_seen_at", "began_at", "ended_at", "pulled_at")

# --- raw tables ------------------------------------------------------------------------------------------------------


def mixed_site(folder: Path) -> None:
    """Exports that are good, doubled and refused, dose reports and other files."""
    make_site(folder)
    for number in range(24):
        text = "Badge;Colour\n" if number % 8 == 7 else export(*range(number % 6 + 40), badge=f"B{number % 2 + 1}")
        write(folder, f"{RATES}/{number}.csv", text)
        uids = {"StudyInstanceUID": f"1.2.{number}", "SOPInstanceUID": f"1.3.{number}"}
        write(folder, f"inbox/dose_reports/{number}.dcm", as_file(ordinary_report(**uids)))
    write(folder, "inbox/dose_reports/letter.txt", "no dose report")


def load(folder: Path) -> None:
    """What a night reads, in many small transactions."""
    raw_load.LOOK_AGAIN_S = 0.0
    raw_load.TOGETHER |= {"dose_report": 4, "dosimeter": 100}
    run(folder)


def loaded_and_changed(folder: Path) -> None:
    """A loaded site whose description of a source is then corrected."""
    mixed_site(folder)
    load(folder)
    write(folder, "sources/rates.yaml", SOURCE.replace("uSv/h", "mSv/h"))


def raw_tables(folder: Path) -> Facts:
    """Every row of the raw tables, and how many of them each file has in all tables together: it is whole or absent.

    Which files are recent is noted once for all files, at the end.
    """
    facts = Counter(f"{name} {row}" for name, rows in content(folder).items() for row in rows)
    of_files: dict[int, list[str]] = {}
    with looking(folder) as con:
        names = "select table_name from duckdb_columns() where schema_name = 'raw' and column_name = 'load_seq'"
        names += " and table_name <> 'recent_file'"
        for (name,) in con.execute(f"{names} order by 1").fetchall():
            for load_seq, rows in con.execute(f"select load_seq, count(*) from raw.{name} group by 1").fetchall():
                of_files.setdefault(load_seq, []).append(f"{rows} in {name}")
    facts.update(f"file {load_seq} has {counts}" for load_seq, counts in of_files.items())
    return facts


# --- publications ----------------------------------------------------------------------------------------------------

NIGHT = datetime(2024, 4, 1, 3, tzinfo=UTC)
LATER = Clock(datetime(2024, 12, 1, tzinfo=UTC), date(2024, 12, 1))


def build_of(folder: Path) -> Path:
    return folder / "data/build/doseledger.duckdb"


def published_of(folder: Path) -> Path:
    return folder / "data/published"


def next_build(folder: Path, number: int) -> None:
    """A build of new input, with one finding more, that the gate let pass."""
    if number == 1:
        make_build(build_of(folder), fingerprint="1", build_id="1")
    else:
        finding = f"select 'N{number}' as alert_id, * exclude alert_id from alerts.alert where alert_id = 'A0'"
        change(build_of(folder), f"insert into alerts.alert by name {finding}")
        add_build(build_of(folder), str(number), fingerprint=str(number))
    pass_gate(build_of(folder), str(number))


def published_nights(folder: Path, nights: int) -> None:
    """Publications of so many nights."""
    for number in range(1, nights + 1):
        next_build(folder, number)
        publish(build_of(folder), published_of(folder), now=NIGHT + timedelta(days=number))


def one_and_a_build(folder: Path) -> None:
    published_nights(folder, 1)
    next_build(folder, 2)


def publish_last(folder: Path) -> None:
    publish(build_of(folder), published_of(folder), now=NIGHT + timedelta(days=20))


def many_and_a_build(folder: Path) -> None:
    published_nights(folder, 6)
    next_build(folder, 7)


def publish_and_remove(folder: Path) -> None:
    """Publishes and removes what is more than two publications and older than a day."""
    publish(build_of(folder), published_of(folder), keep=2, now=NIGHT + timedelta(days=20))


def three_nights(folder: Path) -> None:
    published_nights(folder, 3)


def back_to_the_first(folder: Path) -> None:
    first = min(one.run_id for one in publications(published_of(folder)))
    roll_back(published_of(folder), LATER, first)


def published_tables(folder: Path, without: tuple[str, ...] = ()) -> Facts:
    """All rows that readers of `current` see, as one digest and one by one; runs by their number.

    The digest is torn where two publications are mixed whose rows are right one by one.
    """
    current = current_publication(published_of(folder))
    if current is None:
        return Counter()
    facts: Facts = Counter()
    for file in (WAREHOUSE, RESTRICTED):
        with open_published(current.folder / file) as con:
            runs = con.execute("select run_id from ledger.publication order by published_at").fetchall()
            for (name,) in con.execute("select schema_name || '.' || table_name from duckdb_tables()").fetchall():
                rows = con.execute(f"select columns(c -> c not in {CLOCK_COLUMNS}) from {name}").fetchall()
                facts.update(f"{file} {name} {row}" for row in rows if name not in without)
    for number, (run_id,) in enumerate(runs, 1):
        facts = Counter({fact.replace(run_id, f"run {number}"): count for fact, count in facts.items()})
    digest = hashlib.sha256("\n".join(sorted(facts.elements())).encode()).hexdigest()
    return facts + Counter([f"whole publication {digest}"])


def published_runs(folder: Path) -> Facts:
    """What readers see, and the night of each publication on disk, which can be read."""
    listed = publications(published_of(folder))
    kept = [f"night {one.run_id[:8]}, can be read: {one.entry is not None}" for one in listed]
    return published_tables(folder) + Counter(kept)


# --- letters ---------------------------------------------------------------------------------------------------------

ADDRESS, TAKEN = "address.txt", "taken.txt"


def people_with_findings(folder: Path) -> None:
    mail.publish(folder / "published", mail.OPERATORS + mail.CLASSES, hers={}, **mail.OF_OTHERS)


def send_letters(folder: Path) -> None:
    site = mail.site_with(mail.MPE, restricted=["restricted@hospital.example"])
    mail.run(folder / "published", folder / "data", (folder / ADDRESS).read_text(), site)


@contextmanager
def mail_server(folder: Path) -> Iterator[None]:
    """A mail server that writes down what it takes before it answers."""

    class Server(mail.Server):
        async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
            answer = await super().handle_DATA(server, session, envelope)
            (folder / TAKEN).write_text("".join(f"{to} {letter['Message-ID']}\n" for to, letter in self.taken))
            return answer

    controller = mail.FreePortController(Server(), hostname="127.0.0.1", port=0)
    controller.start()
    (folder / ADDRESS).write_text(f"smtp://127.0.0.1:{controller.port}")
    try:
        yield
    finally:
        controller.stop()


def letters(folder: Path) -> Facts:
    """What the mail server took, and the memory of what each reader was told."""
    facts = taken(folder)
    memory = folder / "data/delivery/sent.sqlite"
    if memory.exists():
        with closing(sqlite3.connect(memory)) as con, suppress(sqlite3.OperationalError):  # no table yet
            facts.update(f"told {row}" for row in con.execute("select role, subject, recipient, item from told"))
    return facts


def taken(folder: Path) -> Facts:
    """The lines of what a server took or acknowledged, each once."""
    lines = Counter((folder / TAKEN).read_text().splitlines() if (folder / TAKEN).exists() else [])
    again = {AGAIN + line: count - 1 for line, count in lines.items() if count > 1}
    return Counter(lines.keys()) + Counter(again)


# --- dose reports from a PACS ----------------------------------------------------------------------------------------


@contextmanager
def report_server(folder: Path) -> Iterator[None]:
    with http_server(killed_pull.answer) as url:
        sources = {"dicomweb": {"url": url, "lookback_days": killed_pull.N_DAYS - 1}}
        make_site(folder, site=yaml.safe_dump({"site_id": "small", "dose_reports": sources}))
        yield


def pull(folder: Path) -> None:
    (pulled,) = pull_all(load_site(folder), killed_pull.LAST, date(2030, 1, 1), {})
    assert not pulled.failures, pulled.failures


def pulled_objects(folder: Path) -> Facts:
    """The identities of the objects that are kept, and each day that was pulled."""
    if not (folder / "data").exists():
        return Counter()
    site = load_site(folder)
    marks = killed_pull.marks(site) if (folder / "data/pulled.sqlite").exists() else []
    days = [killed_pull.FIRST + timedelta(days=number) for number in range(killed_pull.N_DAYS)]
    pulled = [f"pulled {day}" for _, until in marks for day in days if until and str(day) <= until]
    return Counter(killed_pull.kept(site)) + Counter(pulled)


# --- the receiver ----------------------------------------------------------------------------------------------------

SENT = 20


def receiving_site(folder: Path) -> None:
    receive = {"port": free_port(), "allowed_ae": ["PACS1"]}
    make_site(folder, site=yaml.safe_dump({"site_id": "small", "dose_reports": {"receive": receive}}))


def receive(folder: Path) -> None:
    serve(load_site(folder), lambda _: None)


def with_sender(command: Command, folder: Path, seconds: float) -> bool:
    """Runs the receiver and sends it what it has not acknowledged; whether it was killed before the end."""
    process = PROCESSES.Process(target=command, args=(folder,))
    process.start()
    killer = threading.Timer(seconds, process.kill)
    killer.start()
    send(folder, process.is_alive)
    killer.cancel()
    process.terminate()
    process.join()
    return process.exitcode == -signal.SIGKILL


def send(folder: Path, goes_on: Callable[[], bool]) -> None:
    """Writes down what was acknowledged."""
    acknowledged = taken(folder)
    settings = load_site(folder).config.dose_reports.receive
    assert settings is not None
    sender = AE("PACS1")
    sender.add_requested_context(XRAY_DOSE_SR)
    link = sender.associate("127.0.0.1", settings.port, ae_title=settings.ae_title)
    while goes_on() and not link.is_established:
        time.sleep(0.02)
        link = sender.associate("127.0.0.1", settings.port, ae_title=settings.ae_title)
    for number in range(SENT):
        data = dcmread(BytesIO(sent_object(number)))
        if f"object {number}" not in acknowledged and link.is_established:
            with suppress(RuntimeError):  # the link ended
                if link.send_c_store(data).get("Status") == 0:
                    with (folder / TAKEN).open("a") as lines:
                        lines.write(f"object {number}\n")
    if link.is_established:
        link.release()


def sent_object(number: int) -> bytes:
    return as_file(ordinary_report(StudyInstanceUID=f"1.2.{number}", SOPInstanceUID=f"1.3.{number}"))


def received_objects(folder: Path) -> Facts:
    """What was acknowledged, which must be kept, and the identities that are kept."""
    acknowledged = taken(folder)
    kept = Counter(killed_pull.kept(load_site(folder)))
    missing = [
        f"{number} is acknowledged and not kept"
        for number in range(SENT)
        if f"object {number}" in acknowledged and str(identity_of(sent_object(number))) not in kept
    ]
    return acknowledged + kept + Counter(missing)


# --- whole nights ----------------------------------------------------------------------------------------------------

OUTBOX = "site_id: small\nname: Small\nmail: {from: d@hospital.example, medical_physics: [mpe@hospital.example]}\n"
RUNS = ("ledger.publication", "ledger.alert_history", "ledger.check_result")


def command_line(*words: str) -> None:
    """Becomes the command line of the product, without a word on the terminal."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    code = "from orchestration.cli import app; app()"
    path = {"PYTHONPATH": os.pathsep.join(sys.path)}
    os.execve(sys.executable, [sys.executable, "-c", code, *words], os.environ | path)  # noqa: S606 - ours


def night(folder: Path) -> None:
    command_line("run", "--site", str(folder), "--as-of", "2024-03-31")


def rebuild(folder: Path) -> None:
    command_line("rebuild", "--site", str(folder))


def published_site(folder: Path) -> None:
    """A site after its first night."""
    make_site(folder, site=OUTBOX)
    write(folder, f"{RATES}/a.csv", export(*[36_000] * 60))
    in_process(night, folder, NEVER_S)
    assert current_publication(published_of(folder)) is not None


def with_new_files(folder: Path) -> None:
    published_site(folder)
    write(folder, f"{RATES}/b.csv", export(*[72_000] * 60, day=6))
    write(folder, "inbox/dose_reports/a.dcm", as_file(ordinary_report()))


def published_and_told(folder: Path) -> Facts:
    outbox = (f"letter {path.name}" for path in (folder / "data/outbox").glob("*"))
    return published_tables(folder) + Counter(outbox)


def rebuilt(folder: Path) -> Facts:
    """Rebuilding again publishes again: the list of runs may be longer."""
    outbox = (f"letter {path.name}" for path in (folder / "data/outbox").glob("*"))
    return published_tables(folder, RUNS) + Counter(outbox)


TARGETS: dict[str, Target] = {
    "raw_load": Target(mixed_site, load, raw_tables),
    "reread": Target(loaded_and_changed, load, raw_tables),
    "publish": Target(one_and_a_build, publish_last, published_runs),
    "retention": Target(many_and_a_build, publish_and_remove, published_runs),
    "rollback": Target(three_nights, back_to_the_first, published_tables),
    "letters": Target(people_with_findings, send_letters, letters, mail_server),
    "pull": Target(receiving_site, pull, pulled_objects, report_server),
    "receive": Target(receiving_site, receive, received_objects, run=with_sender),
    "rebuild": Target(published_site, rebuild, rebuilt),
    "night": Target(with_new_files, night, published_and_told),
}
os.environ.update(KEY)
