"""A pull that is killed at any moment, run again, ends as one that was not killed: nothing lost, doubled or half."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

import yaml
from support.odd_servers import http_server, ok
from support.small_site import make_site
from support.sr_builder import as_file, ordinary_report

from ingest.dose_reports.dicom_file import identity_of
from ingest.site.config import Site, load_site
from ingest.sources.pull import pull_all

FIRST, N_DAYS, PER_DAY = date(2024, 3, 1), 10, 6
LAST = FIRST + timedelta(days=N_DAYS - 1)
KILLS = 25
CODE = (
    "import sys; from datetime import date; from pathlib import Path; from ingest.site.config import load_site\n"
    "from ingest.sources.pull import pull_all\n"
    "print('begun', flush=True)\n"
    f"pull_all(load_site(Path(sys.argv[1])), date({LAST.year}, {LAST.month}, {LAST.day}), date(2030, 1, 1), {{}})"
)


def answer(request: str) -> bytes:
    """A server with some reports for each day; each study has one."""
    path = request.split()[1]
    if "StudyDate=" in path:
        day = path.split("StudyDate=")[1][:8]
        return listed("0020000D", *(f"1.{day}.{number}" for number in range(1, PER_DAY + 1)))
    study = path.split("/studies/")[1].split("/")[0].split("?")[0]
    if "/instances/" in path:
        data = ordinary_report(StudyInstanceUID=study, SeriesInstanceUID="2.1", SOPInstanceUID="3.1")
        return ok(as_file(data), "application/dicom")
    return listed("00080018", "3.1") if "/instances" in path else listed("0020000E", "2.1")


def listed(tag: str, *uids: str) -> bytes:
    return ok(json.dumps([{tag: {"vr": "UI", "Value": [uid]}} for uid in uids]).encode())


def kept(site: Site) -> list[str]:
    return sorted(str(identity_of(path.read_bytes())) for path in site.received_dir.rglob("*.dcm"))


def marks(site: Site) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(site.data_dir / "pulled.sqlite")) as record:
        return record.execute("select begins, complete_until from server").fetchall()


def test_a_pull_that_is_killed_again_and_again_ends_as_one_that_was_not(tmp_path: Path) -> None:
    with http_server(answer) as url:
        sources = {"dicomweb": {"url": url, "lookback_days": N_DAYS - 1}}
        sites = [
            load_site(make_site(tmp_path / name, site=yaml.safe_dump({"site_id": "small", "dose_reports": sources})))
            for name in ("whole", "killed")
        ]
        whole, killed = sites
        pull_all(whole, LAST, date(2030, 1, 1), {})
        dice, ended = random.Random(21), 0  # noqa: S311 - chance, not a secret
        for _ in range(KILLS):
            with subprocess.Popen(
                [sys.executable, "-c", CODE, str(killed.root)], stdout=subprocess.PIPE, env=os.environ
            ) as process:
                assert process.stdout is not None
                process.stdout.readline()
                time.sleep(dice.uniform(0, 0.4))
                process.kill()
                ended += process.wait() == 0
            assert len(kept(killed)) == len(set(kept(killed)))
            assert set(kept(killed)) <= set(kept(whole))
        (result,) = pull_all(killed, LAST, date(2030, 1, 1), {})
    assert ended < KILLS
    assert result.failures == []
    assert kept(killed) == kept(whole)
    assert len(kept(whole)) == N_DAYS * PER_DAY
    assert marks(killed) == marks(whole)
    assert len(marks(whole)) == 1
