"""A small site folder for tests: as few files as a run needs, the loading of it, and what is then in its raw tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from ingest.pseudonymise import Key, load_key
from ingest.raw.build_db import open_build
from ingest.raw.loader import Summary, load_dose_reports, load_dosimeters
from ingest.raw.reference_load import load_reference
from ingest.raw.reread import reread_changed
from ingest.site.config import load_site
from support import paths

RATES = "inbox/dosimeters/rates"
KEY = {"DOSELEDGER_KEY": "0123456789abcdef0123456789abcdef"}
SHARED = paths.SHARED

ROOMS = "room_id,name,specialty,station_name,device_serial,c_arm_dosimeter\nCATH1,Lab 1,cardiology,ST1,4711,\n"
OPERATORS = "operator_id,name,grade\nOP1,Ana,consultant\nOP2,Zoë,nurse\n"
DOSIMETERS = (
    "dosimeter_serial,worn_at,operator_id,room_id,valid_from,valid_to\n"
    "B1,over_apron_collar,OP1,,2024-01-01,\nB2,over_apron_collar,OP2,,2024-01-01,\nREF1,c_arm,,CATH1,2024-01-01,\n"
)
SOURCE = """\
source_id: rates
layout: rate_samples
file_pattern: "*.csv"
encoding: utf-8
delimiter: ";"
decimal: "."
timezone: Europe/Madrid
dst: true
datetime_format: iso8601
sample_seconds: 1
columns: {dosimeter_serial: Badge, started_at: Time, hp10: Rate, hub: Hub}
units: {hp10: uSv/h}
hubs: {BASE: CATH1}
"""


def deserved(path: str, of_truth: str) -> set[str]:
    """The statuses that a truth of the first contract allows a file; files of file managers are ignored since."""
    return {"ignored"} if Path(path).name in (".DS_Store", "Thumbs.db", "desktop.ini") else set(of_truth.split("|"))


def write(root: Path, name: str, text: str | bytes) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def make_site(root: Path, **files: str | bytes) -> Path:
    """A legal site; ``files`` (rooms, operators, dosimeters, site, logbook ...) replace or add files."""
    reference = {"rooms": ROOMS, "operators": OPERATORS, "dosimeters": DOSIMETERS} | files
    write(root, "site.yaml", reference.pop("site", "site_id: small\nname: Small\n"))
    write(root, "sources/rates.yaml", reference.pop("source", SOURCE))
    for name, text in reference.items():
        write(root, f"reference/{name}.csv", text)
    return root


def export(*rates: float | str, badge: str = "B1", day: int = 5) -> str:
    """An export of ``rates``, one sample a second from 10:00 local time."""
    rows = [f"{badge};2024-03-{day:02}T10:00:{second:02};{rate};BASE" for second, rate in enumerate(rates)]
    return "\n".join(["Badge;Time;Rate;Hub", *rows, ""])


def mixed_inbox(root: Path) -> Path:
    make_site(root)
    for number in range(4):
        write(root, f"{RATES}/{number}.csv", export(number + 1, 2, badge=f"B{number % 2 + 1}"))
        write(root, f"inbox/dose_reports/{number}.txt", f"no dose report {number % 3}")
    return root


# --- loading it, and looking at what is then there -----------------------------------------------------------------


def the_key() -> Key:
    return load_key("small", KEY)


def run(root: Path, progress: Callable[[int, int, str], None] | None = None) -> tuple[Summary, Summary]:
    site = load_site(root)
    with open_build(site, the_key()) as con:
        load_reference(con, site)
        reread_changed(con, site, the_key())
        return load_dose_reports(con, site, the_key(), progress), load_dosimeters(con, site, the_key(), progress)


@contextmanager
def looking(root: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with open_build(load_site(root), the_key()) as con:
        yield con


def rows(root: Path, query: str) -> list[tuple[Any, ...]]:
    with looking(root) as con:
        return con.execute(query).fetchall()


def files(root: Path) -> dict[str, list[str | None]]:
    return {
        path: [status, reason]
        for path, status, reason in rows(root, "select path, status, reason from raw.file order by load_seq")
    }


def content(root: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Everything that the raw tables hold, without the times of loading."""
    with looking(root) as con:
        names = con.execute("select table_name from duckdb_tables() where schema_name = 'raw'").fetchall()
        query = "select columns(c -> c not in ('first_seen_at', 'created_at', 'mtime_ns', 'archived_at')) from raw."
        return {name: sorted(con.execute(query + name).fetchall(), key=repr) for (name,) in names}
