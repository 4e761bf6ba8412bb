"""The six layouts of badge exports as one table: which columns each has and what its rows mean.

Data only (docs/contract/inputs.md#I15, table of layouts). How a source spells its columns is in its description
(``description.py``), how cells become records in ``rows.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

LayoutName = Literal["rate_samples", "hourly_totals", "sessions", "counter_log", "procedure_totals", "badge_periods"]
SpanKind = Literal["sample", "hour", "reading", "session", "study", "period"]

QUANTITIES = ("hp10", "hp007", "hp3")
PEAK_RATE = "peak_rate"


@dataclass(frozen=True, slots=True)
class Layout:
    """One layout.

    Attributes:
        required: canonical columns that must be mapped.
        any_of: of these at least one must be mapped, and a row must fill at least one.
        optional: canonical columns that may be mapped.
        span: how a row says the time that its dose belongs to.
        is_rate: whether the doses are stated as mean rates.
    """

    required: tuple[str, ...]
    span: SpanKind
    any_of: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    is_rate: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """Every canonical column that this layout knows."""
        return self.required + self.any_of + self.optional


LAYOUTS: dict[LayoutName, Layout] = {
    "rate_samples": Layout(
        required=("dosimeter_serial", "started_at", "hp10"), optional=("hp007", "hub"), span="sample", is_rate=True
    ),
    "hourly_totals": Layout(
        required=("dosimeter_serial", "started_at", "hp10"), optional=("hp007", "hub"), span="hour"
    ),
    "sessions": Layout(
        required=("dosimeter_serial", "started_at", "ended_at", "hp10"),
        optional=("hp007", "hp3", PEAK_RATE, "hub"),
        span="session",
    ),
    "counter_log": Layout(
        required=("dosimeter_serial", "started_at", "hp10"), optional=("hp007", "hub"), span="reading"
    ),
    "procedure_totals": Layout(
        required=("dosimeter_serial", "hp10"),
        any_of=("study_instance_uid", "accession_number"),
        optional=("started_at", "ended_at", "hub"),
        span="study",
    ),
    "badge_periods": Layout(
        required=("dosimeter_serial", "period_begin", "period_end"), any_of=QUANTITIES, span="period"
    ),
}
