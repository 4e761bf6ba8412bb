"""Thousands of damaged real reports: none crashes the reader, none hangs it, and each ends as a record or a refusal."""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path

import pytest

from ingest.dose_reports import read_dose_report
from ingest.records import DoseReport, Refused

FOLDER = Path(__file__).resolve().parents[2] / "../shared/real_rdsr"
LARGEST = 70_000  # bytes: the big files would cost minutes and hold the same structures
MUTANTS_PER_FILE = 60
SECONDS = 10  # for one mutant; the largest takes a tenth of a second

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not FOLDER.exists(), reason="../shared/real_rdsr is not beside this checkout"),
]
FILES = sorted(p.name for p in FOLDER.glob("*.dcm") if p.stat().st_size <= LARGEST) if FOLDER.exists() else []


def mutant(data: bytes, chance: random.Random) -> bytes:
    """Some bytes changed, a stretch lost, doubled or zeroed, or the end cut off."""
    at, length = chance.randrange(132, len(data)), chance.randrange(1, 64)
    changed = bytearray(data)
    for _ in range(chance.choice([1, 1, 4, 32])):
        changed[chance.randrange(132, len(data))] = chance.choice([0, 0x20, 0x5C, 0xFF, chance.randrange(256)])
    return chance.choice(
        [
            bytes(changed),
            data[:at],
            data[:at] + data[at + length :],
            data[: at + length] + data[at:],
            data[:at] + b"\x00" * length + data[at + length :],
            data[:at] + b"\xff\xff\xff\xff" + data[at + 4 :],
        ]
    )


@pytest.mark.parametrize("file", FILES)
def test_no_mutant_crashes_or_hangs(file: str) -> None:
    data = (FOLDER / file).read_bytes()
    chance = random.Random(file)  # noqa: S311 (a seed, not a secret)
    for _ in range(MUTANTS_PER_FILE):
        damaged = mutant(data, chance)
        began = time.process_time()
        try:
            found = read_dose_report(damaged)
        except Refused as refused:
            assert refused.reason
        else:
            assert isinstance(found, DoseReport)
        assert time.process_time() - began < SECONDS


def test_a_cut_off_real_report_is_never_read() -> None:
    chance = random.Random("cut")  # noqa: S311
    for file in FILES:
        data = (FOLDER / file).read_bytes()
        for length in (chance.randrange(400, len(data)) for _ in range(20)):
            with pytest.raises(Refused):
                read_dose_report(data[:length])


def test_recursion_stays_far_from_the_limit() -> None:
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(400)
    try:
        for file in FILES[:5]:
            read_dose_report((FOLDER / file).read_bytes())
    finally:
        sys.setrecursionlimit(limit)
