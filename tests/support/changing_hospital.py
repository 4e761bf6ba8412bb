"""A small synthetic hospital whose files arrive and change night by night, and what a build makes of it then.

Real files through the real loader, and dbt on the real build database; gate and publication are left out.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import duckdb
import yaml

from ingest.pseudonymise import load_key
from ingest.raw.build_db import open_build
from ingest.raw.loader import load_dose_reports, load_dosimeters
from ingest.raw.reference_load import load_reference
from ingest.raw.reread import reread_changed
from ingest.site.config import Site, load_site
from orchestration.dbt_build import Finished, build_tables
from orchestration.publication.build_record import drop_built_tables, drop_tables_of_other_code
from support.small_site import KEY, write
from synthetic_hospital import write_hospital

LAST_DAY = date(2024, 4, 30)
PIECES = 6  # of every export: what one night brings
# A cumulative hourly counter with a missing reading, and totals that a vendor's system put to studies without a time.
# The counter's badge is in both, so that it is unclear until an assignment names the sources.
COUNTER = """\
source_id: counter
layout: hourly_totals
counter: cumulative
file_pattern: "*.csv"
encoding: utf-8
delimiter: ";"
decimal: "."
timezone: Europe/Madrid
dst: true
datetime_format: iso8601
columns: {dosimeter_serial: Badge, started_at: Hour, hp10: Reading}
units: {hp10: uSv}
"""
VENDOR = """\
source_id: vendor
layout: procedure_totals
file_pattern: "*.csv"
encoding: utf-8
delimiter: ";"
decimal: "."
timezone: Europe/Madrid
dst: true
datetime_format: iso8601
columns: {dosimeter_serial: Badge, study_instance_uid: Study, hp10: Dose}
units: {hp10: uSv}
"""
BADGES = "K1,over_apron_collar,CD02,,2023-01-01,\nV1,over_apron_collar,CN01,,2023-01-01,\n"

Edit = Callable[[str], str]


def _without(*words: str) -> Edit:
    return lambda text: "".join(line for line in text.splitlines(True) if not any(word in line for word in words))


def _with(rows: str) -> Edit:
    return lambda text: text + rows


def _instead(old: str, new: str) -> Edit:
    return lambda text: text.replace(old, new)


def _swapped(one: str, other: str) -> Edit:
    return lambda text: text.replace(one, "\0").replace(other, one).replace("\0", other)


def _with_sources(text: str, source_ids: dict[str, str]) -> str:
    """Assignments that name the sources which they are for."""
    header, *lines = text.splitlines()
    named = [f"{line},{source_ids.get(line.split(',')[0], '')}" for line in lines]
    return "\n".join([f"{header},source_id", *named, ""])


# What people change afterwards, each on or off: file, and what it does to its text.
CHANGES: dict[str, tuple[str, Edit]] = {
    "badge handed on": (
        "reference/dosimeters.csv",
        _instead("1001,over_apron_chest,CD01,,2023-01-01,\n", "1001,over_apron_chest,CD01,,2023-01-01,2024-03-27\n"),
    ),
    "badge given to another": ("reference/dosimeters.csv", _with("1001,over_apron_chest,CD03,,2024-03-29,\n")),
    "badge worn elsewhere": (
        "reference/dosimeters.csv",
        _instead("1001,over_apron_chest,CD01", "1001,under_apron_chest,CD01"),
    ),
    "C-arm badge unknown": ("reference/dosimeters.csv", _without("REFIR1")),
    "logbook shorter": ("reference/logbook.csv", lambda text: "".join(text.splitlines(True)[:40])),
    "logbook names another": ("reference/logbook.csv", _instead("CD03,first", "CD01,first")),
    "room's clock declared": (
        "reference/clock_offsets.csv",
        _with("IR1,,420,2024-03-27,2024-03-29,guessed\n"),
    ),
    "source's clock declared": ("reference/clock_offsets.csv", _with(",staff_sessions,-600,2024-03-26,,reader\n")),
    "dose was nobody's": (
        "reference/corrections.csv",
        _with("1002,2024-03-28T00:00:00,2024-03-29T12:00:00,not_occupational,,MPE,test\n"),
    ),
    "dose was another's": (
        "reference/corrections.csv",
        _with("2001,2024-04-01T00:00:00,2024-04-03T23:00:00,worn_by,CD01,MPE,swapped\n"),
    ),
    "class renamed": ("reference/procedure_types.csv", _instead("ep_ablation", "ep_study")),
    "KAP recalibrated": ("reference/kap_calibration.csv", _instead("0.92", "0.95")),
    "room's own time zone": ("reference/rooms.csv", _instead("Canon,Alphenix,,", "Canon,Alphenix,UTC,")),
    "device of no room": ("reference/rooms.csv", _instead("IR1,2CA0301,IR1_XA", "IR1B,2CA0302,IR1B_XA")),
    "devices swapped": ("reference/rooms.csv", _swapped("AXIS01366,146301,CATH1_XA", "IR1,2CA0301,IR1_XA")),
    "samples of ten seconds": ("sources/cath_rates.yaml", _instead("sample_seconds: 1\n", "sample_seconds: 10\n")),
    "unit corrected": ("sources/ir_rates.yaml", _instead("uSv/h", "mSv/h")),
    "hub of nowhere": ("sources/ir_rates.yaml", _instead("hubs: {hub/IR1: IR1}", "hubs: {hub/IR9: IR1}")),
    "idle zeros": ("sources/badge_hours.yaml", _with("records_when_idle: true\n")),
    "badge's sources named": ("reference/dosimeters.csv", lambda text: _with_sources(text, {"K1": "counter vendor"})),
    "dose linked by hand": (
        "reference/links.csv",
        _with(",D24000005,1001,2024-03-27T00:00:00,2024-03-28T20:00:00,MPE,test\n"),
    ),
    "another time zone": ("site.yaml", _instead("timezone: Europe/Madrid", "timezone: Asia/Tokyo")),
}


class ChangingHospital:
    """A site folder, what has not arrived yet, and the changes in force."""

    def __init__(self, root: Path) -> None:
        self.root = root
        write_hospital(root, "tiny", seed=3)
        self._add_sources()
        self.changes: set[str] = set()
        self.texts = {name: self._text(name) for name, _ in CHANGES.values()}
        assert all(edit(self.texts[name]) != self.texts[name] for name, edit in CHANGES.values())
        self.corrections = 0
        self.withdrawn: set[str] = set()
        self.waiting = self._withhold()

    # --- what happens between two nights ---

    def arrive(self, number: int) -> None:
        """The number-th of the waiting files arrives, in whatever order the sender likes."""
        if self.waiting:
            name, content = self.waiting.pop(number % len(self.waiting))
            write(self.root, name, content)

    def change(self, name: str) -> None:
        """Puts a change in force, or takes it back."""
        self.changes ^= {name}
        path = CHANGES[name][0]
        text = self.texts[path]
        for change, (changed, edit) in CHANGES.items():
            if changed == path and change in self.changes:
                text = edit(text)
        write(self.root, path, text)

    def correct(self, every: int) -> None:
        """An export comes again with other rates for some of its seconds."""
        arrived = sorted((self.root / "inbox/dosimeters/ir_rates").glob("export*.csv"))
        if not arrived:
            return
        self.corrections += 1
        header, *lines = arrived[every % len(arrived)].read_text("utf-8").splitlines(True)
        badge_time_hub = [line.rstrip("\n").split(",") for line in lines[:: every + 2]]
        rows = [f"{badge},{at},{self.corrections}{every}.5,{hub}\n" for badge, at, _, hub in badge_time_hub]
        write(self.root, f"inbox/dosimeters/ir_rates/again_{self.corrections}.csv", header + "".join(rows))

    def withdraw(self, number: int) -> None:
        """Takes one of the files that have arrived back, or lets it count again."""
        arrived = sorted(path for path in (self.root / "inbox").rglob("*") if path.is_file())
        if arrived:
            self.withdrawn ^= {hashlib.sha256(arrived[number % len(arrived)].read_bytes()).hexdigest()}
        rows = "".join(f"{sha256},MPE,2024-04-30,test\n" for sha256 in sorted(self.withdrawn))
        write(self.root, "reference/withdrawn_files.csv", "sha256,by,on,reason\n" + rows)

    # --- a night ---

    @property
    def site(self) -> Site:
        """The folder as it is now."""
        return load_site(self.root)

    def night(self, as_of: date = LAST_DAY) -> None:
        """Loads what is there and brings every table up to date."""
        night(self.root, as_of)

    def rebuilt(self, folder: Path, as_of: date = LAST_DAY) -> Path:
        """Another database with every table made anew from the same raw tables, all days in one block."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        copy = Path(shutil.copy(self.site.build_db, folder / self.site.build_db.name))
        with duckdb.connect(copy) as con:
            drop_built_tables(con)
        make_tables(copy, as_of, batch_rows=10**9)
        return copy

    # --- making it ---

    def _text(self, name: str) -> str:
        empty = {
            "reference/clock_offsets.csv": "room_id,source_id,offset_s,valid_from,valid_to,note\n",
            "reference/corrections.csv": "dosimeter_serial,from,to,kind,operator_id,by,reason\n",
            "reference/links.csv": "procedure_id,accession_number,dosimeter_serial,from,to,by,reason\n",
        }
        path = self.root / name
        return path.read_text("utf-8") if path.exists() else empty[name]

    def _add_sources(self) -> None:
        write(self.root, "sources/counter.yaml", COUNTER)
        write(self.root, "sources/vendor.yaml", VENDOR)
        with (self.root / "reference/dosimeters.csv").open("a", encoding="utf-8") as file:
            file.write(BADGES)
        readings = [
            f"K1;2024-{month:02}-{day:02}T{hour:02}:00:00;{1000 * month + 30 * day + hour}"
            for month, days in ((3, range(25, 32)), (4, range(1, 5)))
            for day in days
            for hour in range(7, 18)
            if (day * hour) % 5
        ]
        write(self.root, "inbox/dosimeters/counter/log.csv", "\n".join(["Badge;Hour;Reading", *readings, ""]))
        logbook = (self.root / "reference/logbook.csv").read_text("utf-8").splitlines()[1:]
        studies = sorted({line.split(",")[0] for line in logbook} - {""})[:8]
        totals = [f"{'V1' if number % 4 else 'K1'};{study};{number + 1}.25" for number, study in enumerate(studies)]
        write(self.root, "inbox/dosimeters/vendor/totals.csv", "\n".join(["Badge;Study;Dose", *totals, ""]))

    def _withhold(self) -> list[tuple[str, bytes]]:
        """Takes the inbox away: reports by day, every export in pieces; the first of each has arrived."""
        waiting: list[tuple[str, bytes]] = []
        for path in sorted((self.root / "inbox/dosimeters").rglob("*.csv")):
            source = yaml.safe_load((self.root / f"sources/{path.parent.name}.yaml").read_text("utf-8"))
            lines = path.read_bytes().splitlines(True)
            head = source.get("skip_rows", 0) + 1
            rows = [line for line in lines[head:] if not line.startswith(b"Total")]
            size = -(-len(rows) // PIECES)
            path.unlink()
            for piece in range(0, len(rows), size):
                name = path.with_stem(f"{path.stem}_{piece:06}").relative_to(self.root).as_posix()
                waiting.append((name, b"".join(lines[:head] + rows[piece : piece + size])))
        for path in sorted((self.root / "inbox/dose_reports").rglob("*")):
            if path.is_file():
                waiting.append((path.relative_to(self.root).as_posix(), path.read_bytes()))
                path.unlink()
        return waiting


def night(root: Path, as_of: date = LAST_DAY, finished: Finished = lambda _name, _done, _total: None) -> None:
    """Loads what is there and brings every table up to date."""
    site, key = load_site(root), load_key("tiny", KEY)
    with open_build(site, key) as con:
        load_reference(con, site)
        load_dose_reports(con, site, key)
        reread_changed(con, site, key)
        load_dosimeters(con, site, key)
        drop_tables_of_other_code(con)
    make_tables(site.build_db, as_of, finished=finished)


def make_tables(
    build_db: Path,
    as_of: date,
    batch_rows: int = 100,
    finished: Finished = lambda _name, _done, _total: None,
) -> None:
    """Seeds and models, without tests: these compare the tables."""
    build = build_tables(
        build_db,
        as_of,
        selection=("--exclude-resource-type", "test"),
        variables={"batch_rows": batch_rows},
        finished=finished,
    )
    assert build.failures == []


def differences(one: Path, other: Path, schemas: tuple[str, ...]) -> dict[str, tuple[int, int]]:
    """Tables whose rows are not the same, value for value, with the number of rows that only one of them has."""
    found = {}
    with duckdb.connect(":memory:") as con:
        con.execute("set timezone = 'UTC'")
        con.execute(f"attach '{one}' as one (read_only); attach '{other}' as other (read_only)")
        names = con.execute(
            "select schema_name || '.' || table_name from duckdb_tables()"
            " where database_name = 'other' and list_contains($schemas, schema_name)",
            {"schemas": list(schemas)},
        ).fetchall()
        assert names
        for (name,) in names:
            only = [
                con.execute(f"select count(*) from (from {a}.{name} except all from {b}.{name})").fetchall()[0][0]
                for a, b in (("one", "other"), ("other", "one"))
            ]
            if any(only):
                found[name] = (only[0], only[1])
    return found
