"""An export of any size is loaded in bounded memory: four times the rows need no more of it."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from support import paths
from support.small_site import RATES, make_site, write
from support.small_site import rows as loaded

TESTS = paths.TESTS
ROWS, TIMES = 600_000, 4
# One that kept the rows of a file until its end would need 300 MB more.
MORE_MB = 120

LOADING = """
import re, sys
from pathlib import Path
from support.small_site import run
run(Path(sys.argv[1]))
# Not ru_maxrss: a process inherits that of the one that started it.
print(int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024)
"""


def export(rows: int) -> str:
    first = datetime(2024, 3, 5, tzinfo=UTC)
    lines = (f"{first + timedelta(seconds=n):%Y-%m-%dT%H:%M:%SZ};B1;{n % 9973}.5;BASE\n" for n in range(rows))
    return "Time;Badge;Rate;Hub\n" + "".join(lines)


def peak_mb(root: Path, rows: int) -> float:
    write(make_site(root), f"{RATES}/huge.csv", export(rows))
    environ = os.environ | {"PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent)])}
    told = subprocess.run(
        [sys.executable, "-c", LOADING, str(root)], env=environ, check=True, capture_output=True, text=True
    )
    assert loaded(root, "select count(*) from raw.dose_record") == [(rows,)]
    return float(told.stdout)


def test_memory_does_not_grow_with_an_export(tmp_path: Path) -> None:
    small, large = (peak_mb(tmp_path / str(rows), rows) for rows in (ROWS, TIMES * ROWS))
    assert large < small + MORE_MB
