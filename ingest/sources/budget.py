"""How much time and how many bytes one server may take in one night, over everything that it sends.

Only the reckoning is here. The protocols spend it; what they do when it is used up is in ``dicomweb.py`` and
``association.py``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Timer

NIGHT_S = 1800.0
NIGHT_BYTES = 1 << 30
MOST_ANSWERS = 20_000  # studies of a day, series of a study, objects of a series


class BudgetSpent(OSError):
    """The server took more than it may. The text names the limit."""


@dataclass(slots=True)
class Budget:
    """What is left for one server in one night.

    Attributes:
        ends_at: on the clock of ``time.monotonic``.
        bytes_left: of what it may send.
    """

    ends_at: float = field(default_factory=lambda: time.monotonic() + NIGHT_S)
    bytes_left: int = field(default_factory=lambda: NIGHT_BYTES)

    def spent(self) -> BudgetSpent | None:
        """What is used up, if anything is."""
        if self.bytes_left < 0:
            return BudgetSpent(f"more than the {NIGHT_BYTES >> 20} MB that one server may send in a night")
        if self.ends_at <= time.monotonic():
            return BudgetSpent(f"more than the {NIGHT_S:.0f} s that one server may take in a night")
        return None

    def spend(self, size_bytes: int = 0) -> float:
        """Take bytes; gives the seconds that are left.

        Raises:
            BudgetSpent: bytes or time are used up.
        """
        self.bytes_left -= size_bytes
        if (spent := self.spent()) is not None:
            raise spent
        return self.ends_at - time.monotonic()


@contextmanager
def cut_after(seconds: float, cut: Callable[[], None]) -> Iterator[None]:
    """Call ``cut`` from another thread if what is done here is not done in time."""
    watchdog = Timer(seconds, cut)
    watchdog.daemon = True
    watchdog.start()
    try:
        yield
    finally:
        watchdog.cancel()
