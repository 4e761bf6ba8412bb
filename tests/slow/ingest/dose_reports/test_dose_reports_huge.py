"""Huge things in an inbox end as one row each, in bounded memory and time, and the good report beside them loads."""

from __future__ import annotations

import os
import random
import struct
import subprocess
import sys
from pathlib import Path

from support import paths
from support import sr_builder as sr
from support.small_site import files, make_site, run, write

from ingest.dose_reports import MAX_BYTES

TESTS = paths.TESTS
# A million empty items are some 500 MB of objects, the loader itself needs 200; unbounded would be many GB.
PEAK_MB = 800
SECONDS = 120  # of CPU; ten times what it takes

LOADING = """
import re, sys, time
from pathlib import Path
from support.small_site import run
run(Path(sys.argv[1]))
# Not ru_maxrss: a process inherits that of the one that started it.
print(time.process_time(), int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024)
"""


def tiny_items(size: int) -> bytes:
    """A report whose content sequence is nothing but empty items."""
    good = sr.as_file(sr.ordinary_report())
    head = good[: good.index(b"\x40\x00\x30\xa7SQ")]
    count = (size - len(head) - 12) // 8
    return head + struct.pack("<HH2sHI", 0x0040, 0xA730, b"SQ", 0, 8 * count) + b"\xfe\xff\x00\xe0\0\0\0\0" * count


def test_huge_files_end_in_bounded_memory_and_time(tmp_path: Path) -> None:
    root, chance = make_site(tmp_path / "site"), random.Random(1)  # noqa: S311 - a seed, not a secret
    noise, good = chance.randbytes(100_000_000), sr.as_file(sr.ordinary_report())
    image = sr.as_file(sr.ordinary_report(SOPClassUID="1.2.840.10008.5.1.4.1.1.12.1"))
    huge = {
        "noise": (noise, "quarantined", "not recognised"),
        "noise behind the mark": (bytes(128) + b"DICM" + noise, "quarantined", "larger than 32 MB"),
        "report and noise": (good + noise, "quarantined", "larger than 32 MB"),
        "image": (image + noise, "not_dose", "X-Ray Angiographic Image Storage"),
        "tiny items": (tiny_items(MAX_BYTES // 4), "loaded", "None"),
        "good": (good, "loaded", "None"),
    }
    for name, (data, *_) in huge.items():
        write(root, f"inbox/dose_reports/{name}", data)
    with write(root, "inbox/dose_reports/sparse", b"").open("wb") as sparse:
        sparse.truncate(300_000_000)
    environ = os.environ | {"PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent)])}
    told = subprocess.run(
        [sys.executable, "-c", LOADING, str(root)], env=environ, check=True, capture_output=True, text=True
    )
    seconds, peak_mb = map(float, told.stdout.split())
    assert seconds < SECONDS
    assert peak_mb < PEAK_MB
    found = files(root)
    for name, (_, status, word) in huge.items():
        assert found[f"inbox/dose_reports/{name}"][0] == status, name
        assert word in str(found[f"inbox/dose_reports/{name}"][1]), name
    assert found["inbox/dose_reports/sparse"][0] == "quarantined"
    again, _ = run(root)
    assert not again.statuses
