"""What the two clocks of a room show: the X-ray system's and, by its hub, the badges'.

Belongs here: drawing offsets, drift, settings and steps. Does not belong here: which zone a file is written in, and the
product's estimate of these offsets (ingest/clock_offsets.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from synthetic_hospital.catalogue import Preset

MOST_SDS = 2.5


@dataclass(frozen=True, slots=True)
class RoomClock:
    """Both clocks of one room against true time.

    Attributes:
        since: when the modality's clock was first set; from then it is set again every ``set_every``.
        modality_s: what is wrong right after each setting, s; positive = fast.
        drift_s_per_day: what it gains between two settings.
        badge_s: what is wrong with the hub's clock, s; while ``slow`` (begin, end), ``slow_s`` more.
    """

    since: datetime
    set_every: timedelta
    modality_s: tuple[float, ...]
    drift_s_per_day: float
    badge_s: float
    slow: tuple[datetime, datetime] | None
    slow_s: float

    def modality_shift(self, at: datetime) -> timedelta:
        """Modality clock minus true time, to the millisecond."""
        setting = min(len(self.modality_s) - 1, max(0, (at - self.since) // self.set_every))
        running = (at - self.since - setting * self.set_every) / timedelta(days=1)
        return timedelta(milliseconds=round(1000 * (self.modality_s[setting] + self.drift_s_per_day * running)))

    def badge_shift(self, at: datetime) -> timedelta:
        """Badges' clock minus true time."""
        is_slow = self.slow is not None and self.slow[0] <= at < self.slow[1]
        return timedelta(seconds=self.badge_s + (self.slow_s if is_slow else 0))


def draw_clocks(rng: np.random.Generator, preset: Preset) -> dict[str, RoomClock]:
    """The clocks of every room; the last room's hub is the slow one, the first department's badges have the fault."""
    dirt = preset.dirt
    since = preset.midnight(preset.first_day).astimezone(UTC)
    every = timedelta(days=dirt.modality_set_every_days)
    settings = 1 + (preset.midnight(preset.last_day) - since) // every
    slow_from = since + timedelta(days=dirt.slow_hub_from_day)
    clocks = {}
    for room in preset.rooms:
        wrong = np.clip(rng.standard_normal(settings), -MOST_SDS, MOST_SDS) * dirt.modality_clock_sd_s
        is_slow = dirt.slow_hub_days > 0 and room is preset.rooms[-1]
        clocks[room.room_id] = RoomClock(
            since=since,
            set_every=every,
            modality_s=tuple(wrong.tolist()),
            drift_s_per_day=float(rng.choice([-1, 1]) * rng.uniform(*dirt.modality_drift_s_per_day)),
            badge_s=dirt.clock_fault_s if room.rate_source == preset.rooms[0].rate_source else 0.0,
            slow=(slow_from, slow_from + timedelta(days=dirt.slow_hub_days)) if is_slow else None,
            slow_s=dirt.slow_hub_s,
        )
    return clocks
