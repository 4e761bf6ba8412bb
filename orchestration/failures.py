"""Failures of a run as sentences, and their report to mail.operations.

Shared by the command line and by Dagster's daemon; letters/operations.py renders the letter.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from ingest.problems import SiteError, UserError
from ingest.pseudonymise import load_key
from ingest.raw.build_db import AlreadyRunning, read_build
from ingest.site.config import load_config, load_site
from orchestration.disk_space import is_full, is_nearly_full, no_room, sentence_of
from orchestration.letters.delivery import deliver_troubles
from orchestration.letters.operations import RUN, SITE, Trouble
from orchestration.publication.build_record import Build, last_build
from orchestration.publication.data_docs import data_docs_file
from orchestration.steps import EXPECTATIONS, GATE, RAW
from orchestration.webhooks import post_troubles

if TYPE_CHECKING:
    import dagster as dg

DETAILS = "details: `doseledger ui`"
# Checks and tests name rows as examples; what names a patient, even by a key, is not sent.
OF_A_PATIENT = re.compile(r"\b(patient_key|study_instance_uid|study_key|accession_number)=[^,;\s]*[^,;\s.]")


def troubles_of(failed_steps: Iterable[dg.DagsterEvent], root: Path) -> list[Trouble]:
    """The message of each failed step, equal ones once; of the gate, its own sentences.

    A sentence of the product is reported unchanged. The message of any other error is not: it may quote the input.
    """
    steps = [(event.step_key or "", event.step_failure_data) for event in failed_steps]
    troubles = [
        Trouble(_room_of(step), tuple(_sentences(data, step, root)), _page_of(step, root)) for step, data in steps
    ]
    return list(dict.fromkeys(troubles))


def unexpected_errors(failed_steps: Iterable[dg.DagsterEvent]) -> list[str]:
    """The messages that `troubles_of` leaves out, for the person who sits at the terminal."""
    errors = [(event.step_key, event.step_failure_data) for event in failed_steps]
    return [
        f"{step}: {(data.error.cause or data.error).message.strip()}"
        for step, data in errors
        if step != GATE and data.error and not _own_words(data)
    ]


def notify_operations(root: Path, troubles: Sequence[Trouble]) -> tuple[str, ...]:
    """Writes to mail.operations and posts to webhooks, the same trouble once a day; returns notes for the user."""
    try:
        config = load_config(root)
    except SiteError:
        return ("mail.operations cannot be read from site.yaml: no letter about the failure was sent.",)
    today = datetime.now(ZoneInfo(config.timezone)).date()
    reported = [replace(trouble, sentences=tuple(map(_without_patients, trouble.sentences))) for trouble in troubles]
    try:
        notes = deliver_troubles(reported, config, root / config.data_dir, os.environ, today).notes
        return (*notes, *post_troubles(reported, config, root / config.data_dir, os.environ, today))
    except (OSError, sqlite3.Error) as error:
        return (f"No letter about the failed run could be prepared: {error}.",)


@contextmanager
def operations_notified(root: Path) -> Iterator[None]:
    """A run that cannot start, or is interrupted, is reported to operations before its error is raised again."""
    try:
        yield
    except AlreadyRunning:
        raise  # the other run does the work
    except UserError as error:
        notify_operations(root, [Trouble(SITE, tuple(str(error).splitlines()))])
        raise
    except Exception as error:
        if sentence := sentence_of(error):
            site = load_site(root)
            sentence = no_room(site) if is_full(sentence) or is_nearly_full(site) else sentence
            notify_operations(root, [Trouble(SITE, (sentence,))])
            raise UserError(sentence) from error
        notify_operations(root, [Trouble(RUN, (f"The run broke off unexpectedly: {type(error).__name__}.",))])
        raise


def _without_patients(sentence: str) -> str:
    return OF_A_PATIENT.sub(r"\1=***", sentence)


def _room_of(step: str) -> str:
    return RAW if step.startswith(f"{RAW}__") else {EXPECTATIONS: GATE}.get(step, step)


def _sentences(data: dg.StepFailureData, step: str, root: Path) -> list[str]:
    if step == GATE and (blocked := _blocked_by(root)):
        return blocked
    if words := _own_words(data):
        return words.splitlines()
    error = data.error and (data.error.cause or data.error)
    return [f"{step} failed unexpectedly: {error.cls_name if error else 'no error was recorded'} ({DETAILS})"]


def _own_words(data: dg.StepFailureData) -> str | None:
    return data.user_failure_data.description if data.user_failure_data else None


def _blocked_by(root: Path) -> list[str]:
    """The gate's own sentences; none where the build database is in use again already."""
    build = _last_build(root)
    return build.blocked_by if build else []


def _page_of(step: str, root: Path) -> Path | None:
    """The page of a build that the gate blocked, as long as it is there."""
    build = _last_build(root) if step == GATE else None
    page = data_docs_file(root / load_config(root).data_dir, build.build_id) if build else None
    return page if page and page.exists() else None


def _last_build(root: Path) -> Build | None:
    try:
        site = load_site(root)
        with read_build(site, load_key(site.config.site_id, os.environ)) as con:
            return last_build(con, site.build_db.stem)
    except UserError:
        return None
