"""The attack itself sees what it looks for: torn files, lost and doubled rows; and the committed counts are whole."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

from attack.harness import Counts, Facts, Target, attack, totals
from support import paths

COUNTS = paths.TESTS / "attack/counts.csv"
NIGHTS = ("night", "rebuild")
ROWS = 20


def nothing(folder: Path) -> None:
    folder.mkdir()


def append_slowly(folder: Path) -> None:
    """Half a row at a time, and all of them again after a kill."""
    for number in range(ROWS):
        for text in (f"{number} half", " whole\n"):
            with (folder / "rows.txt").open("a") as file:
                file.write(text)
            time.sleep(0.01)


def write_once(folder: Path) -> None:
    """What a killed run began is never ended."""
    if not (folder / "rows.txt").exists():
        (folder / "rows.txt").touch()
        append_slowly(folder)


def rows(folder: Path) -> Facts:
    file = folder / "rows.txt"
    return Counter(file.read_text().splitlines() if file.exists() else [])


def test_half_rows_and_doubled_ones_are_seen(tmp_path: Path) -> None:
    counts = attack(Target(nothing, append_slowly, rows), kills=4, seed=1, work=tmp_path)
    assert counts.kills == 4
    assert counts.torn > 0
    assert counts.told_twice > 0
    assert list(tmp_path.glob("trial*/attack.txt"))


def test_lost_rows_are_seen(tmp_path: Path) -> None:
    counts = attack(Target(nothing, write_once, rows), kills=4, seed=1, work=tmp_path)
    assert counts.kills == 4
    assert counts.lost > 0


def test_at_least_200_kills_are_on_record_and_each_ended_as_the_control() -> None:
    by_target = totals(COUNTS)
    everything = sum(by_target.values(), Counts())
    assert everything.kills >= 200
    assert everything.is_clean
    assert sum(by_target.get(name, Counts()).kills for name in NIGHTS) <= 60
