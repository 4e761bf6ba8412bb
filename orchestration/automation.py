"""When the line runs: the nightly job, its schedule in the site's zone, the sensors on the inbox and on failures.

Only timing lives here; what runs is in assets.py.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg

from ingest.problems import UserError
from ingest.raw.build_db import AlreadyRunning, is_running
from ingest.raw.file_ledger import whats_new
from ingest.site.config import load_config
from orchestration.failures import DETAILS, notify_operations, troubles_of
from orchestration.letters.operations import RUN, Trouble
from orchestration.publication.clock_guard import ClockRefused, run_date
from orchestration.resources import SiteResource
from orchestration.steps import DBT_MODELS, PUBLICATION, RAW

NIGHTLY = dg.define_asset_job(
    "nightly", selection=dg.AssetSelection.all(), description="Everything: files, tables, checks, publication, letters."
)
REBUILD = dg.define_asset_job(
    "rebuild",
    selection=dg.AssetSelection.all() - dg.AssetSelection.groups("raw"),
    description="Rebuild every table from what was read; no file is opened.",
)
A_DATE = "YYYY-MM-DD"  # to be replaced in the launchpad: no date, so that a run that keeps it is refused
NO_PARTITIONS = (
    "There are no partitions: a late file changes dates of any month, and each run rebuilds the dates whose fingerprint"
    " changed, whichever they are."
)
REBUILD_DATES = dg.define_asset_job(
    "rebuild_dates",
    selection=dg.AssetSelection.all() - dg.AssetSelection.groups("raw"),
    config=dg.RunConfig(
        ops={
            DBT_MODELS: {"config": {"as_of": "", "rebuild_from": A_DATE, "rebuild_to": A_DATE}},
            PUBLICATION: {"config": {"even_if_same": True}},
        }
    ),
    description=(
        f"Builds the dates from `rebuild_from` to `rebuild_to` again in every incremental table, checks and publishes."
        f" Write both dates in the launchpad. {NO_PARTITIONS}"
    ),
)
AS_OF = dg.define_asset_job(
    "as_of",
    selection=dg.AssetSelection.all() - dg.AssetSelection.groups("raw"),
    config=dg.RunConfig(ops={DBT_MODELS: {"config": {"as_of": A_DATE}}}),
    description=(
        "The warehouse as of the date `as_of`, from what was read: write the date in the launchpad. A date before the"
        f" current publication's goes to published/as_of/ and replaces nothing. {NO_PARTITIONS}"
    ),
)
AT_NIGHT = "30 3 * * *"  # after the day's reports have arrived, before the morning round
READ_BY = "0 6 * * *"
INBOX_INTERVAL_S = 300


def site_zone(root: Path | None) -> str:
    """The site's time zone from site.yaml only; UTC without a site.

    Raises:
        SiteError: site.yaml cannot be read.
    """
    if root is None:
        return "UTC"
    return load_config(root).timezone


def nightly_schedule(zone: str, *, has_site: bool) -> dg.ScheduleDefinition:
    """Every night at 03:30 of the site's clock; stopped until there is a site to run."""
    return dg.ScheduleDefinition(
        name="nightly_at_0330",
        job=NIGHTLY,
        cron_schedule=AT_NIGHT,
        execution_timezone=zone,
        description="Each night at 03:30 of the site's clock; a night without anything new publishes nothing.",
        default_status=dg.DefaultScheduleStatus.RUNNING if has_site else dg.DefaultScheduleStatus.STOPPED,
    )


@dg.sensor(
    name="inbox",
    job=NIGHTLY,
    minimum_interval_seconds=INBOX_INTERVAL_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Runs the nightly job when the inbox, the reference files or the received objects hold something new.",
)
def inbox_sensor(site: SiteResource) -> dg.RunRequest | dg.SkipReason:
    """A run for what is new; what a run could not load is tried again once an hour, as long as it lies there."""
    try:
        folder = site.load()
        if is_running(folder):
            return dg.SkipReason("A run is going on; the inbox is compared with what was read after its end.")
        news = whats_new(folder, site.key(folder))
        if not news:
            return dg.SkipReason("Nothing new in the inbox.")
        run_date(folder, None, lambda: news.has_files)
    except ClockRefused as error:
        return dg.SkipReason(str(error))
    except UserError as error:
        return dg.SkipReason(f"The inbox cannot be compared with what was read: {error}")
    return dg.RunRequest(run_key=f"{datetime.now(UTC):%Y-%m-%dT%H}h {news} ({news.arrival})")


@dg.run_failure_sensor(
    name="operations_letter",
    monitored_jobs=[NIGHTLY, REBUILD, REBUILD_DATES, AS_OF],
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Writes to mail.operations that a run failed: which step, why, what to do; one trouble once a day.",
)
def operations_letter_sensor(context: dg.RunFailureSensorContext, site: SiteResource) -> None:
    """A run whose process died has no failed step; it is reported, too."""
    refused_by, sentence = _refusal_at_the_start(context.failure_event)
    if refused_by == AlreadyRunning.__name__:
        return  # the other run does the work
    root = Path(site.root)
    troubles = troubles_of(context.get_step_failure_events(), root)
    if refused_by == ClockRefused.__name__:
        troubles = [Trouble(RUN, (sentence,))]
    for note in notify_operations(root, troubles or [Trouble(RUN, (f"The run ended without an answer ({DETAILS})",))]):
        context.log.warning(note)


def _refusal_at_the_start(failure: dg.DagsterEvent) -> tuple[str, str]:
    """Why the site was not handed to the steps: name and sentence of the error; empty if it was."""
    error = failure.job_failure_data.error
    if error is None or error.cause is None:
        return "", ""
    return error.cause.cls_name or "", error.cause.message.partition(": ")[2].strip()


def freshness_of(key: dg.AssetKey, zone: str) -> dg.FreshnessPolicy | None:
    """Publication: done between the night and the morning round. Raw tables: updated within a day and a half."""
    if key.path[0] == RAW:
        return dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=36), warn_window=timedelta(hours=26))
    if key.path == [PUBLICATION]:
        return dg.FreshnessPolicy.cron(deadline_cron=READ_BY, lower_bound_delta=timedelta(hours=4), timezone=zone)
    return None
