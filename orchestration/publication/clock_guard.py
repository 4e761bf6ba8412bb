"""Whether a run may trust its date: the requested as-of date and this computer's clock, against the last publication.

The only place where it is decided: for the command line, Dagster's runs and its sensor. The combinations are a
table in docs/operations/clock.md. publish.py checks again, when it switches, what `current` may name.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from ingest.problems import UserError
from ingest.site.config import Site
from orchestration.publication.history import Clock, Current, current_publication

SILENCE = timedelta(days=400)  # a year of closed doors and the holidays around it


class ClockRefused(UserError):
    """Nothing was read or built, because the run's date is implausible."""


def now() -> datetime:
    """The instant by this computer's clock (UTC)."""
    return datetime.now(UTC)


def clock_at(site: Site) -> Clock:
    """This computer's clock as the site reads it."""
    instant = now()
    return Clock(instant, instant.astimezone(ZoneInfo(site.config.timezone)).date())


def date_without_request(site: Site) -> date:
    """The as-of date of a run that requests none: today at the site, or, of `as_of: fixed`, the publication's.

    Raises:
        ClockRefused: the date is fixed, and nothing was published yet.
        PublishRefused: `current` cannot be read.
    """
    if site.config.as_of == "today":
        return clock_at(site).today
    current = current_publication(site.published_dir)
    if current is None:
        raise ClockRefused(
            "site.yaml, field as_of: the date is fixed, and nothing was published yet: run once with"
            " `doseledger run --as-of DATE`; later runs keep that date."
        )
    return current.as_of


def run_date(site: Site, as_of: date | None, has_new_files: Callable[[], bool]) -> date:
    """The as-of date of a run, if it can be trusted; nothing was read for it yet.

    Args:
        site: the site.
        as_of: the requested date; None = as `date_without_request`.
        has_new_files: whether the site holds a file that was not read; called only if it matters.

    Raises:
        ClockRefused: the date is later than today or not known yet, the clock is before the current publication, or,
            where no date was requested, far after it without a new file.
        PublishRefused: `current` cannot be read.
    """
    clock = clock_at(site)
    today = clock.today
    if as_of is not None and as_of > today:
        raise ClockRefused(f"{as_of} is later than today at the site ({today}): no run is made for a date to come.")
    current = current_publication(site.published_dir)
    if current is None:
        return as_of or date_without_request(site)
    if sentence := of_a_time_to_come(current, clock):
        raise ClockRefused(sentence)
    silent = clock.now - current.published_at
    if as_of is None and site.config.as_of == "today" and silent > SILENCE and not has_new_files():
        raise ClockRefused(
            f"This computer's clock shows {today}, {silent.days} days after the last publication"
            f" ({current.run_id}), and no file has come since: set the clock, or, if it is right, run once with"
            f" `--as-of {today}`."
        )
    return as_of or date_without_request(site)


def leap_of(site: Site) -> str | None:
    """What a reader of the run's summary should check first if the clock is far behind the last publication."""
    current, clock = current_publication(site.published_dir), clock_at(site)
    if current is None or clock.now - current.published_at <= SILENCE:
        return None
    days = (clock.now - current.published_at).days
    return f"This computer's clock shows {clock.today}, {days} days after the last publication: is it right?"


def of_a_time_to_come(current: Current, clock: Clock) -> str | None:
    """What to do about a `current` that is later than this computer's clock; None if it is not."""
    if not clock.is_before(current):
        return None
    return (
        f"It is {clock.now:%Y-%m-%d %H:%M} UTC here, and the last publication ({current.run_id}, as of {current.as_of},"
        f" published {current.published_at:%Y-%m-%d %H:%M} UTC) is of a time to come: set this computer's clock; if the"
        " clock is right, `doseledger rollback` lets `current` name the newest publication that is not, and the next"
        " run publishes again."
    )
