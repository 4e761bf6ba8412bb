"""Damage dose reports and exports at random, and count how each ends (part of `make attack`).

A report is read, or refused by name, and changes no dose silently; an export states what its bytes do, or is refused.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import yaml
from slow.ingest.dose_reports import test_dose_reports_mutants as dose_reports
from support.byte_reader import statements
from support.damaged_exports import PIECES, Damage, damaged, stated_and_kept

from ingest.dosimeters.description import load_description
from synthetic_hospital import write_hospital

BEGINNING = 6000  # bytes of an export that are damaged: its lines repeat themselves


def main() -> None:
    """Print how many ended how; the exit code is 1 if one ended wrong."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--exports", type=int, default=3000)
    words.add_argument("--seed", type=int, default=1)
    wanted = words.parse_args()
    ends: Counter[str] = Counter()
    wrong: list[str] = []
    with ProcessPoolExecutor() as pool:
        for of_one, wrong_of_one in pool.map(dose_reports.judged, *zip(*dose_reports.reports(), strict=True)):
            ends.update({f"dose report {end}": count for end, count in of_one.items()})
            wrong += wrong_of_one
    with tempfile.TemporaryDirectory() as folder:
        for end, what in exports(Path(folder), wanted.exports, random.Random(wanted.seed)):  # noqa: S311
            ends[f"export {end}"] += 1
            wrong += [what] if end == "wrong" else []
    print(*wrong, *(f"{end}: {count}" for end, count in sorted(ends.items())), sep="\n")  # noqa: T201 - a command
    print(f"mutants in all: {ends.total()}, wrong: {len(wrong)}")  # noqa: T201
    raise SystemExit(bool(wrong))


def exports(folder: Path, count: int, chance: random.Random) -> Iterator[tuple[str, str]]:
    """How each damaged export of the demo hospital ended, and its description if it ended wrong."""
    root = folder / "site"
    write_hospital(root, "tiny")
    wholes = sorted(path for path in (root / "inbox/dosimeters").glob("*/*") if path.is_file())
    for number in range(count):
        whole = chance.choice(wholes)
        description = root / "sources" / f"{whole.parent.name}.yaml"
        described = yaml.safe_load(description.read_text("utf-8"))
        damage, kept = damages(chance), chance.choice([1.0, 1.0, chance.random()])
        content = damaged(whole.read_bytes()[:BEGINNING], described["encoding"], damage, kept)
        mutant = folder / whole.name
        mutant.write_bytes(content)
        counted, found = statements(content, described), stated_and_kept(mutant, load_description(description))
        if found is None and counted is None:
            yield "refused", ""
        elif found is not None and counted is not None and found[0] == found[1] and found[0] in counted:
            yield "read as its bytes state", ""
        else:
            yield "wrong", f"export {number} of {whole.name}, {damage}, {kept}: {counted}, {found}"


def damages(chance: random.Random) -> list[Damage]:
    """Up to four places, the bytes removed there and what is put in."""
    pieces: list[bytes | str] = [*PIECES]
    return [
        (chance.random(), chance.randrange(7), chance.choice([*pieces, chance.randbytes(chance.randrange(1, 4))]))
        for _ in range(chance.randrange(1, 5))
    ]


if __name__ == "__main__":
    main()
