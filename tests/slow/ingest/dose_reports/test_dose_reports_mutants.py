"""Thousands of damaged reports, real and built: no crash, no hang, nothing of a cut file, no dose silently changed.

Damage that leaves a legal report is legal: what must show is a dose that moved (contract, *Totals* 7), by a finding of
the reader, by the gap between total and events that the warehouse reports, or by a refusal.
"""

from __future__ import annotations

import os
import random
import re
import struct
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from decimal import Decimal
from multiprocessing import get_context
from typing import NamedTuple

import pytest
from pydicom import Dataset
from support import paths
from support import sr_builder as sr
from support.real_reports import WHY_MISSING

from ingest.dose_reports import read_dose_report
from ingest.records import DoseReport, Refused

FOLDER = paths.REAL_REPORTS
SECONDS = 10  # for one mutant; the largest report takes a tenth of a second
LARGE = 70_000  # bytes: the few reports above hold the same structures many times over
OF_A_SMALL_REAL, OF_A_LARGE_REAL, OF_A_BUILT = 150, 20, 650  # mutants: more than 5,000 also without the real files


# What stands in a report, in any encoding, and what damage makes of it.
VR = re.compile(rb"(?<=[\x08\x10\x18\x20\x32\x40]\x00..)(?:CS|LO|UI|SH|DS|TM|DT|DA|SQ|UT|PN|IS)", re.DOTALL)
CHARSET = re.compile(rb"ISO_IR \d{3}")
UID = re.compile(rb"1\.[23]\.[0-9.]{3,60}")
TIME = re.compile(rb"20\d{12}")
TEXT = re.compile(rb"[A-Za-z0-9 ._^-]{4,16}")
PLACES = {"VR": VR, "length": VR, "charset": CHARSET, "uid": UID, "time": TIME, "empty": TEXT}
KINDS = ("bytes", "digit", "lost", "doubled", "zeroed", "4 GB", "cut", *PLACES)


def damaged(kind: str, found: bytes, chance: random.Random) -> bytes:
    """What stands at a place of that kind, damaged."""
    if kind == "VR":
        return chance.choice([b"UN", b"OB", b"UT", b"LO", b"SQ", b"ZZ", b"AT"])
    if kind == "length":
        return found + struct.pack("<H", chance.choice([0, 1, 2, 0xFFFF, chance.randrange(0x10000)]))
    if kind == "charset":
        return chance.choice([b"ISO_IR 100", b"ISO_IR 192", b"ISO_IR 13 ", b"GB18030   ", b"ISO 2022 I", b"          "])
    if kind == "uid":
        at = chance.randrange(len(found))
        return found[:at] + chance.choice([b"0", b"9", b".", b"x", b" "]) + found[at + 1 :]
    if kind == "time":
        return found[:8] + chance.choice([b"235960", b"240000", b"000060", b"126100", b"      "])
    return b" " * len(found)


class Mutant(NamedTuple):
    """Damaged bytes, and whether they are only the beginning of the report."""

    data: bytes
    is_cut: bool


def mutants(data: bytes, seed: str, count: int) -> Iterator[Mutant]:
    """Bytes changed, an interval lost, doubled or zeroed, a length of 4 GB, the end cut off, or one element damaged."""
    chance = random.Random(seed)  # noqa: S311 - a seed, not a secret
    for _ in range(count):
        at, length = chance.randrange(132, len(data)), chance.randrange(1, 64)
        kind = chance.choice(KINDS)
        if kind == "cut":
            yield Mutant(data[:at], is_cut=True)
            continue
        changed = bytearray(data)
        places = list(PLACES[kind].finditer(data, 132)) if kind in PLACES else []
        if places:
            place = chance.choice(places)
            made = damaged(kind, place[0], chance)
            changed[place.start() : place.start() + len(made)] = made
        elif kind == "bytes" or kind in PLACES:
            for _ in range(chance.choice([1, 1, 4, 32])):
                changed[chance.randrange(132, len(data))] = chance.choice([0, 0x20, 0x5C, 0xFF, chance.randrange(256)])
        elif kind == "digit":  # the damage that structure cannot show
            digits = [p for p, byte in enumerate(data) if 0x30 <= byte <= 0x39 and p >= 132]
            changed[chance.choice(digits)] = chance.randrange(0x30, 0x3A)
        else:
            changed[at : at + {"zeroed": length, "lost": length, "doubled": 0, "4 GB": 4}[kind]] = {
                "zeroed": bytes(length),
                "lost": b"",
                "doubled": data[at : at + length],
                "4 GB": b"\xff\xff\xff\xff",
            }[kind]
        yield Mutant(bytes(changed), is_cut=False)


class Kap(NamedTuple):
    """What a report says of its KAP (Gy.cm2): stated totals over planes and sum over events; None: not stated."""

    total: Decimal | None
    events: Decimal | None

    @classmethod
    def of(cls, report: DoseReport) -> Kap:
        """What one report says."""
        totals = [total.value for total in report.totals if total.quantity == "kap"]
        events = [event.kap_gy_cm2 for event in report.events if event.kap_gy_cm2 is not None]
        return cls(sum(totals, Decimal(0)) if totals else None, sum(events, Decimal(0)) if events else None)

    @property
    def published(self) -> Decimal | None:
        """What will be the KAP of its study."""
        return self.events if self.total is None else self.total


def is_gap(one: Decimal | None, other: Decimal | None) -> bool:
    """More than the tolerance of *Totals*: 2 % and 0.05 Gy.cm2; a value that went missing is one."""
    if one is None or other is None:
        return (one is None) != (other is None)
    return abs(one - other) > max(Decimal("0.05"), Decimal("0.02") * max(one, other))


def is_silent_change(before: DoseReport, after: DoseReport) -> bool:
    """Whether the KAP that will be published moved and nobody will hear of it."""
    was, now = Kap.of(before), Kap.of(after)
    if was.total is None or was.events is None or not is_gap(was.published, now.published):
        return False
    is_same_study = (before.study_instance_uid, before.modality) == (after.study_instance_uid, after.modality)
    return is_same_study and not (set(after.findings) - set(before.findings)) and not is_gap(now.total, now.events)


def silent(whole: DoseReport | None, found: DoseReport) -> Iterator[str]:
    """What of a mutant that is read would get lost without a name."""
    if found.events_stated != len(found.events) and "unread_event" not in {one.code for one in found.findings}:
        yield f"{found.events_stated} events stated, {len(found.events)} read"
    if whole is not None and is_silent_change(whole, found):
        yield f"KAP {Kap.of(whole)} became {Kap.of(found)} silently"


def judged(name: str, data: bytes, count: int) -> tuple[Counter[str], list[str]]:
    """What became of the mutants of one report, and what must not have become of one."""
    try:
        whole: DoseReport | None = read_dose_report(data)
    except Refused:
        whole = None
    ends: Counter[str] = Counter()
    wrong = []
    for number, mutant in enumerate(mutants(data, name, count)):
        began = time.process_time()
        try:
            found = read_dose_report(mutant.data)
        except Refused as refused:
            ends[refused.status] += 1
            wrong += [] if refused.reason else [f"{name} {number}: refused without a reason"]
            if whole is not None and refused.status == "not_dose":
                wrong.append(f"{name} {number}: a dose report is not_dose: {refused.reason}")
        except Exception as error:  # noqa: BLE001 - a crash is what is looked for
            wrong.append(f"{name} {number}: {type(error).__name__} {error}")
        else:
            ends["read"] += 1
            if mutant.is_cut:
                wrong.append(f"{name} {number}: read although cut off at byte {len(mutant.data)}")
            wrong += [f"{name} {number}: {what}" for what in silent(whole, found)]
        if time.process_time() - began > SECONDS:
            wrong.append(f"{name} {number}: took more than {SECONDS} s")
    return ends, wrong


def reports() -> Iterator[tuple[str, bytes, int]]:
    """Name, bytes and number of mutants: a built biplane report in every encoding, and the real ones where they are."""
    biplane = sr.report(
        sr.coded("121058", "113704"),
        *(
            sr.accumulated(sr.num("113722", kap, "Gy.m2"), plane=p)
            for p, kap in (("113620", "2e-3"), ("113621", "1e-3"))
        ),
        sr.event(sr.num("122130", "12.5", "Gy.cm2"), sr.num("113733", "70.5", "kV"), event_uid="1.2.3.1"),
        sr.event(sr.num("122130", "75", "dGy.cm2"), event_uid="1.2.3.2", started="20240304081010.25+0100"),
        sr.event(sr.num("122130", "1000", "cGy.cm2"), sr.text("125203", "Coro 15 B/s"), event_uid="1.2.3.3"),
    )
    for syntax in (sr.IMPLICIT, sr.EXPLICIT, sr.DEFLATED, sr.BIG_ENDIAN):
        for undefined in (False, True):
            whole = sr.as_file(biplane, syntax, undefined_lengths=undefined)
            yield f"built {syntax} {undefined}", whole, OF_A_BUILT
            if syntax in (sr.IMPLICIT, sr.EXPLICIT):
                yield f"bare {syntax} {undefined}", whole[144 + int.from_bytes(whole[140:144], "little") :], OF_A_BUILT
    for path in sorted(FOLDER.glob("*.dcm")):
        data = path.read_bytes()
        yield path.name, data, OF_A_SMALL_REAL if len(data) <= LARGE else OF_A_LARGE_REAL


def test_no_mutant_crashes_hangs_or_changes_a_dose_silently() -> None:
    ends: Counter[str] = Counter()
    wrong: list[str] = []
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)), mp_context=get_context("spawn")) as pool:
        for of_one, wrong_of_one in pool.map(judged, *zip(*reports(), strict=True), timeout=600):
            ends += of_one
            wrong += wrong_of_one
    assert wrong == []
    assert ends.total() >= 5000
    assert min(ends["read"], ends["quarantined"]) > 0, ends


def test_the_judge_sees_a_silent_change() -> None:
    kap = [sr.event(sr.num("122130", kap, "Gy.cm2"), event_uid=f"1.2.{kap}") for kap in ("20", "10")]

    def report(total: str, *events: Dataset) -> DoseReport:
        return read_dose_report(sr.as_file(sr.report(sr.accumulated(sr.num("113722", total, "Gy.cm2")), *events)))

    assert is_silent_change(report("30", *kap), report("20", kap[0]))
    assert not is_silent_change(report("30", *kap), report("20", *kap)), "the gap is a finding of the warehouse"
    assert not is_silent_change(report("30", *kap), report("30.04", *kap)), "within the tolerance"


@pytest.mark.skipif(not FOLDER.exists(), reason=WHY_MISSING)
def test_recursion_stays_far_from_the_limit() -> None:
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(400)
    try:
        for path in sorted(FOLDER.glob("*.dcm"))[:5]:
            read_dose_report(path.read_bytes())
    finally:
        sys.setrecursionlimit(limit)
