"""Kill a process at a random moment, run the same command again, and compare with a run that was not killed.

What is attacked is in targets.py. A process is killed with SIGKILL, as the system does when memory is short.
"""

from __future__ import annotations

import csv
import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, astuple, dataclass, fields
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path

Facts = Counter[str]
Command = Callable[[Path], None]
AGAIN = "sent again: "  # begins a fact that is counted by itself
NEVER_S = 600.0
PROCESSES = get_context("forkserver")  # a killed process is a new one each time, but its imports are already done


def in_process(command: Command, folder: Path, seconds: float) -> bool:
    """Run the command in a process of its own; whether it was killed because it took longer than ``seconds``."""
    process = PROCESSES.Process(target=command, args=(folder,))
    process.start()
    process.join(seconds)
    process.kill()
    process.join()
    if process.exitcode not in (0, -signal.SIGKILL):
        raise AssertionError(f"{command.__name__} ended with {process.exitcode} in {folder}")
    return process.exitcode != 0


@dataclass(frozen=True)
class Target:
    """What is attacked.

    Attributes:
        prepare: makes the folder as it is before the command.
        command: what is killed, in a process of its own; it may be run again after each end.
        facts: what a user of the product finds in the folder, without clock times and random names.
        server: a server that the command talks to and that stays alive; it writes its address into the folder.
        run: runs the command and kills it after some seconds, see `in_process`.
    """

    prepare: Command
    command: Command
    facts: Callable[[Path], Facts]
    server: Callable[[Path], AbstractContextManager[object]] = nullcontext
    run: Callable[[Command, Path, float], bool] = in_process


@dataclass(frozen=True)
class Counts:
    """What one attack on one target found.

    Attributes:
        kills: processes that were killed before they ended.
        torn: after the kill there was something that is neither of the time before nor of the control, or something
            that both have was missing.
        lost: the control has it, and the run after the kill did not bring it.
        told_twice: more of it than in the control.
        sent_again: letters and objects that were sent again under the same identity, for the outcome was not known.
    """

    kills: int = 0
    torn: int = 0
    lost: int = 0
    told_twice: int = 0
    sent_again: int = 0

    def __add__(self, other: Counts) -> Counts:
        """The sums."""
        return Counts(*map(sum, zip(astuple(self), astuple(other), strict=True)))

    @property
    def is_clean(self) -> bool:
        """Whether every kill ended as the control."""
        return (self.torn, self.lost, self.told_twice) == (0, 0, 0)


def attack(target: Target, kills: int, seed: int, work: Path, until: float = float("inf")) -> Counts:
    """Attack a target until it was killed so often, or until that monotonic time.

    Args:
        target: what is attacked.
        kills: how often.
        seed: of the random moments.
        work: an empty folder; a trial that did not end as the control is left there, with what differs.
        until: no trial begins after it.
    """
    moments, counts = random.Random(seed), Counts()  # noqa: S311 - moments of a test
    prepared, control = work / "prepared", work / "control"
    target.prepare(prepared)
    before = looked_at(target, prepared)
    shutil.copytree(prepared, control, symlinks=True)
    in_process(start, control, NEVER_S)
    begun = time.monotonic()
    with target.server(control):
        target.run(target.command, control, NEVER_S)
    duration = time.monotonic() - begun
    wanted = looked_at(target, control)
    for number in range(3 * kills):  # a process may end before it is killed
        if counts.kills == kills or time.monotonic() > until:
            break
        trial = work / f"trial{number}"
        shutil.copytree(prepared, trial, symlinks=True)
        with target.server(trial):
            if not target.run(target.command, trial, moments.uniform(0, duration)):
                shutil.rmtree(trial)
                continue
            seen = looked_at(target, trial)
            target.run(target.command, trial, NEVER_S)
        found = {
            "torn": (seen - (before | wanted)) + ((before & wanted) - seen),
            "lost": wanted - (end := looked_at(target, trial)),
            "told_twice": end - wanted,
            "sent_again": Counter({fact: n for fact, n in end.items() if fact.startswith(AGAIN)}),
        }
        found = {name: facts if name == "sent_again" else without_again(facts) for name, facts in found.items()}
        one = Counts(1, **{name: facts.total() for name, facts in found.items()})
        counts += one
        if one.is_clean:
            shutil.rmtree(trial)
        else:
            (trial / "attack.txt").write_text("\n".join(f"{name}: {facts}" for name, facts in found.items()))
    return counts


def start(_: Path) -> None:
    """Nothing: the first process waits for the imports."""


def without_again(facts: Facts) -> Facts:
    """The facts that must be the control's."""
    return Counter({fact: count for fact, count in facts.items() if not fact.startswith(AGAIN)})


def looked_at(target: Target, folder: Path) -> Facts:
    """The facts of a copy of the folder: opening a database already repairs it."""
    copy = folder.with_name(f"{folder.name}.copy")
    shutil.copytree(folder, copy, symlinks=True, ignore=shutil.ignore_patterns("dagster", "data_docs"))
    try:
        return target.facts(copy)
    finally:
        shutil.rmtree(copy)


@dataclass(frozen=True)
class Row:
    """One row of the committed file of counts."""

    date: str
    tree: str
    target: str
    kills: int
    torn: int
    lost: int
    told_twice: int
    sent_again: int
    seed: int


def append(file: Path, target: str, counts: Counts, seed: int) -> None:
    """Add what was found to the file of counts; the tree has a `+` if it has changes that are not committed."""
    tree = subprocess.check_output(["git", "describe", "--always", "--exclude=*", "--dirty=+"], cwd=file.parent)
    row = Row(f"{datetime.now(UTC):%Y-%m-%d}", tree.decode().strip(), target, **asdict(counts), seed=seed)
    is_new = not file.exists()
    with file.open("a", newline="") as lines:
        writer = csv.DictWriter(lines, [field.name for field in fields(Row)], lineterminator="\n")
        if is_new:
            writer.writeheader()
        writer.writerow(asdict(row))


def totals(file: Path) -> dict[str, Counts]:
    """The counts of all rows of the file, by target."""
    found: dict[str, Counts] = {}
    with file.open(newline="") as lines:
        for row in csv.DictReader(lines):
            counted = Counts(**{field.name: int(row[field.name]) for field in fields(Counts)})
            found[row["target"]] = found.get(row["target"], Counts()) + counted
    return found
