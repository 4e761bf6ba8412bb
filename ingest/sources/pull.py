"""Pulling dose reports from the PACS that site.yaml names: what is there, what is new, what failed; in any protocol.

Only the search is here, and what may be kept. How a server is queried is in ``dicomweb.py`` and ``dimse.py``, what is
remembered between nights in ``pull_record.py``.
"""

from __future__ import annotations

import os
import sqlite3
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TypeVar

from ingest.dose_reports.dicom_file import Identity, identity_of, open_dicom
from ingest.problems import UserError
from ingest.records import Refused
from ingest.site.config import Site
from ingest.sources.pull_record import NO_UID, Counts, Item, PullRecord, ServerRecord, new_run_id
from ingest.sources.source import (
    WANTED_CLASSES,
    Days,
    Instance,
    ObjectFailed,
    Period,
    Series,
    Source,
    SourceFailed,
    Study,
    is_uid,
)
from ingest.sources.store import ReceivedStore

REPORT = "SR"
_Answer = TypeVar("_Answer")


@dataclass(slots=True)
class Pulled:
    """What pulling from one server did.

    Attributes:
        source: the key of site.yaml and the server's address.
        studies: studies that the server named in the period.
        series: of these, series of structured reports or of unknown modality.
        found: objects in them of classes that may be dose reports.
        stored: of these, kept now.
        known: of these, kept before, or known to be something else.
        failed: of these, not had: found = stored + known + failed.
        unanswered: days, studies and series for which there is no usable answer to what is in them.
        failures: what went wrong now, one sentence each; empty if all that was found is kept.
        given_up: of what failed and is unanswered, so much failed on seven nights and was not requested now.
    """

    source: str
    studies: int = 0
    series: int = 0
    found: int = 0
    stored: int = 0
    known: int = 0
    failed: int = 0
    unanswered: int = 0
    failures: list[str] = field(default_factory=list)
    given_up: int = 0

    def __str__(self) -> str:
        counts = [f"{self.found} dose reports found", f"{self.stored} stored", f"{self.known} already there"]
        counts += [f"{self.failed} not had"] if self.failed else []
        counts += [f"{self.unanswered} days, studies or series not answered"] if self.unanswered else []
        counts += [f"{self.given_up} given up (doseledger pull --retry)"] if self.given_up else []
        return f"{self.source}: {', '.join(counts)}."


def pull_all(
    site: Site, as_of: date, today: date, environ: Mapping[str, str] = os.environ, *, is_retry: bool = False
) -> list[Pulled]:
    """Fetch what the site's servers have and the site has not. A server that fails does not stop the others.

    The period begins ``lookback_days`` before `as_of`, or before the last day up to which everything was answered if
    that is earlier, so that an outage of any length is made up for. It is gone through day by day, the oldest first.

    Args:
        site: the site.
        as_of: local date that the run is for.
        today: local date now.
        environ: holds what ``username_env`` and ``password_env`` name.
        is_retry: whether what failed on seven nights is requested again, too.

    Raises:
        UserError: what was fetched cannot be kept.
    """
    reports, store, run_id = site.config.dose_reports, ReceivedStore.of(site), new_run_id()
    if reports.dicomweb is None and reports.dimse is None:
        return []
    until, results = min(as_of, today), []
    store.clear_unfinished()
    with PullRecord.of(site) as record:
        for source in sources(site, environ):  # one after the other: a server's time begins when it is its turn
            memory = record.server(source.address, until)
            period = Period(memory.since(source.lookback_days), until, is_open=as_of >= today)
            search = _Search(source, store, memory, frozenset(site.config.expected_modalities))
            result = search.run(period, record, is_retry=is_retry)
            record.add(run_id, source.address, _counts(period, result))
            results.append(result)
    return results


def sources(site: Site, environ: Mapping[str, str]) -> Iterator[Source]:
    """The servers of site.yaml; their libraries are loaded only where one is named."""
    reports = site.config.dose_reports
    if reports.dicomweb is not None:
        from ingest.sources.dicomweb import DicomWebSource

        yield DicomWebSource(reports.dicomweb, environ)
    if reports.dimse is not None:
        from ingest.sources.dimse import DimseSource

        yield DimseSource(reports.dimse)


def _counts(period: Period, result: Pulled) -> Counts:
    return Counts(
        period.since,
        period.until,
        result.studies,
        result.series,
        result.found,
        result.stored,
        result.known,
        result.failed,
        result.unanswered,
    )


class _Search:
    """The search of one server in one run.

    An empty or missing key in an answer means unknown, and then the next level is queried. Everything counts as
    unanswered before it is requested, until it was answered: a server that fails in the middle leaves right counts.
    """

    def __init__(self, source: Source, store: ReceivedStore, memory: ServerRecord, expected: frozenset[str]) -> None:
        self._source, self._store, self._memory, self._expected = source, store, memory, expected
        self._result = Pulled(source.address)
        self._seen: set[str] = set()  # a server may name a study for several days, or for all
        self._is_complete = True

    def run(self, period: Period, record: PullRecord, *, is_retry: bool) -> Pulled:
        """Go through the period, and move the server's mark over the days that were answered completely."""
        days = list(period.days())
        self._result.unanswered = len(days)
        try:
            if is_retry:
                with record.together():
                    self._retry()
            for day in days:
                with record.together():
                    self._day(day)
                    if self._is_complete:
                        self._memory.complete(day.since)
        except SourceFailed as failed:
            self._result.failures.append(str(failed))
        except (UserError, sqlite3.Error):
            raise
        except Exception as error:  # noqa: BLE001
            # What a server sends may meet a fault of ours: that must not end the night. Not the error's text, which may
            # hold a patient's data.
            frame = traceback.extract_tb(error.__traceback__)[-1]
            self._result.failures.append(
                f"{self._source.address}: its answer led to an unexpected {type(error).__name__} ({frame.name}, line "
                f"{frame.lineno}); please report that."
            )
        finally:
            self._source.close()
        return self._result

    def _retry(self) -> None:
        """Request again everything that was given up."""
        for item in self._memory.given_up():
            if item.instance_uid:
                self._count_found(1)
                self._object(item, "", is_retry=True)
                continue
            self._result.unanswered += 1
            if item.series_uid:
                self._one_series(item, "", is_retry=True)
            else:
                self._study(Study(item.study_uid, "", "", ()), item.study_date, is_retry=True)
        self._is_complete = True

    def _day(self, day: Days) -> None:
        studies = self._source_studies(day)
        if studies is None:
            return
        new = [study for study in studies if not study.study_uid or study.study_uid not in self._seen]
        self._seen.update(study.study_uid for study in studies)
        wanted = [study for study in new if self._is_wanted(study)]
        self._result.studies += len(new)
        self._result.unanswered += len(wanted) - 1
        for study in wanted:
            self._study(study, _date(study.study_date) or day.since)

    def _source_studies(self, day: Days) -> list[Study] | None:
        try:
            return self._source.studies(day)
        except ObjectFailed as failed:
            self._result.failures.append(str(failed))
            self._is_complete = False
            return None

    def _is_wanted(self, study: Study) -> bool:
        """Whether it may hold a dose report: some servers leave out the SR, or all modalities."""
        return not study.modalities or REPORT in study.modalities or not self._expected.isdisjoint(study.modalities)

    def _study(self, study: Study, study_date: date, *, is_retry: bool = False) -> None:
        item = Item(study_date, _usable(study.study_uid))
        series = self._asked(item, study.accession_number, lambda: self._series_of(study), is_retry=is_retry)
        modalities = {*study.modalities, *(one.modality for one in series or () if one.modality)}
        if is_uid(item.study_uid) and not self._expected.isdisjoint(modalities):
            self._memory.name(study, study_date, modalities)
        if series is None:
            return
        wanted = [one for one in series if one.modality in ("", REPORT)]
        self._result.series += len(wanted)
        self._result.unanswered += len(wanted) - 1
        for one in wanted:
            self._one_series(Item(study_date, study.study_uid, _usable(one.series_uid)), study.accession_number)

    def _one_series(self, item: Item, accession_number: str, *, is_retry: bool = False) -> None:
        instances = self._asked(item, accession_number, lambda: self._instances_of(item), is_retry=is_retry)
        if instances is None:
            return
        wanted = [one for one in instances if one.sop_class_uid in WANTED_CLASSES or not one.sop_class_uid]
        self._result.unanswered -= 1
        items = [Item(item.study_date, item.study_uid, item.series_uid, _usable(one.instance_uid)) for one in wanted]
        items = [one for one in items if not self._memory.is_no_report(_name(one))]
        self._count_found(len(items))
        for one in items:
            self._object(one, accession_number)

    def _object(self, item: Item, accession_number: str, *, is_retry: bool = False) -> None:
        identity = Identity(item.study_uid, item.series_uid, item.instance_uid)
        is_new = self._asked(item, accession_number, lambda: self._fetch(identity), is_retry=is_retry)
        if is_new is None:
            return
        self._result.failed -= 1
        self._result.stored += is_new
        self._result.known += not is_new

    def _count_found(self, number: int) -> None:
        self._result.found += number
        self._result.failed += number

    def _asked(
        self, item: Item, accession_number: str, question: Callable[[], _Answer], *, is_retry: bool
    ) -> _Answer | None:
        """The answer to a question; None if there is none, which is then noted, or it is no longer requested."""
        if self._memory.is_given_up(item) and not is_retry:
            self._result.given_up += 1
            return None
        try:
            answer = question()
        except ObjectFailed as failed:
            self._result.failures.append(str(failed))
            self._memory.failed(item, accession_number, str(failed))
            self._is_complete &= self._memory.is_given_up(item)
            return None
        except SourceFailed as failed:
            self._memory.failed(item, accession_number, str(failed))
            raise
        self._memory.answered(item)
        return answer

    def _series_of(self, study: Study) -> list[Series]:
        """The series of a study that may hold reports are among these.

        Raises:
            ObjectFailed: also where the answer cannot be whole.
        """
        address = self._source.address
        if not is_uid(study.study_uid):
            raise ObjectFailed(f"{address} names a study of {study.study_date or 'the period'} without a usable UID.")
        series = self._source.series(study.study_uid)
        if not series:
            raise ObjectFailed(f"{address} names no series of the study {study.study_uid}.")
        if REPORT in study.modalities and not any(one.modality in ("", REPORT) for one in series):
            raise ObjectFailed(f"{address} states {REPORT} for the study {study.study_uid}, and names no such series.")
        return series

    def _instances_of(self, item: Item) -> list[Instance]:
        address = self._source.address
        if not is_uid(item.series_uid):
            raise ObjectFailed(f"{address} names a series of the study {item.study_uid} without a usable UID.")
        instances = self._source.instances(item.study_uid, item.series_uid)
        if not instances:
            raise ObjectFailed(f"{address} names no object of the series {item.series_uid} in {item.study_uid}.")
        return instances

    def _fetch(self, identity: Identity) -> bool:
        """Have the object; whether it is new. A stranger that comes in its place is kept if it may be a dose report."""
        address = self._source.address
        if not is_uid(identity.instance_uid):
            raise ObjectFailed(f"{address} names an object of the series {identity.series_uid} without a usable UID.")
        if self._store.holds(identity):
            return False
        is_there, is_new = False, False
        for content in self._source.fetch(identity):
            is_wanted, may_be_report = identity_of(content) == identity, _may_be_report(content)
            is_there |= is_wanted
            if may_be_report:
                is_new |= self._keep(content) and is_wanted
            elif is_wanted:
                self._memory.add_no_report("/".join(identity))
        if not is_there:
            raise ObjectFailed(f"{address} gives something else than the object {'/'.join(identity)}: it is missing.")
        return is_new

    def _keep(self, content: bytes) -> bool:
        try:
            return self._store.keep(content)
        except OSError as error:
            raise UserError(
                f"What {self._source.address} sent cannot be kept below {self._store.folder} ({error.strerror}); make "
                "room or correct the rights there."
            ) from error


def _may_be_report(content: bytes) -> bool:
    """Whether the reader has something to judge: a dose report, or a file too damaged to be anything else for sure."""
    try:
        open_dicom(content)
    except Refused as refused:
        return refused.status != "not_dose"
    return True


def _usable(uid: str) -> str:
    return uid if is_uid(uid) else NO_UID


def _name(item: Item) -> str:
    return "/".join((item.study_uid, item.series_uid, item.instance_uid))


def _date(text: str) -> date | None:
    try:
        return datetime.strptime(text, "%Y%m%d").date()  # noqa: DTZ007 - a date has no zone
    except ValueError:
        return None
