"""Attack every target, or those that are named, and add what was found to counts.csv (`make attack`)."""

from __future__ import annotations

import argparse
import logging
import secrets
import tempfile
import time
from pathlib import Path

from attack.harness import PROCESSES, Counts, append, attack, totals
from attack.targets import TARGETS

COUNTS = Path(__file__).with_name("counts.csv")


def main() -> None:
    """Attack, append, print; the exit code is 1 if a kill did not end as the control."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("targets", nargs="*", help=f"of {', '.join(TARGETS)}; default: all")
    words.add_argument("--kills", type=int, default=5, help="of each target")
    words.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    words.add_argument("--seconds", type=float, default=float("inf"), help="of each target, at most")
    words.add_argument("--keep", type=Path, help="a new folder: trials that did not end as the control stay there")
    wanted = words.parse_args()
    logging.disable(logging.WARNING)
    PROCESSES.set_forkserver_preload(["attack.targets"])
    is_clean = True
    with tempfile.TemporaryDirectory() as temporary:
        for name in wanted.targets or TARGETS:
            work = (wanted.keep or Path(temporary)) / name
            work.mkdir(parents=True)
            counts = attack(TARGETS[name], wanted.kills, wanted.seed, work, time.monotonic() + wanted.seconds)
            append(COUNTS, name, counts, wanted.seed)
            is_clean &= counts.is_clean
            print(f"{name}: {counts}", flush=True)  # noqa: T201 - a command
    print("All runs so far, as committed and now:")  # noqa: T201
    for name, counts in totals(COUNTS).items():
        print(f"{name}: {counts}")  # noqa: T201
    print(f"all: {sum(totals(COUNTS).values(), Counts())}")  # noqa: T201
    raise SystemExit(not is_clean)


if __name__ == "__main__":
    main()
