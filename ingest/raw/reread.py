"""Reading the loaded exports of a source again, because its description now gives their rows another meaning.

All files of a source in one transaction, or none. Each new reading takes the place of the former one in the order of
files; the former stays on record. A file is read from the inbox, else from its copy in the archive.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import duckdb

from ingest.dosimeters.description import SourceDescription
from ingest.dosimeters.reader import read_export
from ingest.problems import UserError
from ingest.pseudonymise import Key
from ingest.raw.archive import Archive, NotKeptError, kept_content
from ingest.raw.file_ledger import FoundFile, Reading, due, find_dosimeter_exports, reader_of, readers_of
from ingest.raw.loader import last_load_seq
from ingest.raw.read_ahead import is_unchanged, open_file
from ingest.raw.stores import Outcome, store_export
from ingest.raw.writer import DirectRows, load_settings, transaction
from ingest.records import Refused
from ingest.site.config import Site

FILES_NAMED = 5
Connection = duckdb.DuckDBPyConnection
Progress = Callable[[int, int], None]


class RereadBlocked(UserError):
    """Files of a source cannot be read again as they are described now, so nothing of the source was changed."""


@dataclass(frozen=True, slots=True)
class Sums:
    """Rows and microsievert of some readings, by quantity."""

    rows: int
    usv: dict[str, Decimal]


@dataclass(frozen=True, slots=True)
class Reread:
    """What reading a source again changed.

    Attributes:
        files: that were read again.
        left: what could not be read again and was accepted, one clause each.
    """

    source_id: str
    files: int
    before: Sums
    after: Sums
    left: tuple[str, ...] = ()

    def __str__(self) -> str:
        before, after = _told(self.before), _told(self.after)
        accepted = f" Accepted: {_listed(self.left)}." if self.left else ""
        return (
            f"sources/{self.source_id}.yaml has changed: {self.files} loaded files were read again;"
            f" {before} before, {after} now.{accepted}"
        )


# --- reading again ---------------------------------------------------------------------------------------------------


def reread_changed(con: Connection, site: Site, key: Key, progress: Progress | None = None) -> list[Reread]:
    """Read the files of every source again whose description gives them another meaning.

    Raises:
        RereadBlocked: of some sources it cannot be done; the others were read again all the same.
    """
    done, blocked = [], []
    for source_id, readings in due(con, site).items():
        try:
            done.append(reread(con, site, key, source_id, readings, progress=progress))
        except RereadBlocked as error:
            blocked.append(str(error))
    if blocked:
        raise RereadBlocked(" ".join(blocked))
    return done


def reread(
    con: Connection,
    site: Site,
    key: Key,
    source_id: str,
    readings: Sequence[Reading],
    *,
    accept: bool = False,
    progress: Progress | None = None,
) -> Reread:
    """Read files of one source again.

    Args:
        con: the build database, from ``open_build``.
        site: the site.
        key: its pseudonymisation key.
        source_id: the source.
        readings: of ``due``.
        accept: a file that would be refused is refused, one that has fewer rows has fewer, and one that cannot be found
            keeps its former reading.
        progress: called after each file, with files done and files to do.

    Raises:
        RereadBlocked: a loaded file would be refused, has fewer readable rows or cannot be found.
    """
    source, places = site.sources[source_id], _Places(con, site, key, source_id)
    readers = readers_of("dosimeter", site)
    again = _Again(con, source, reader_of(source_id, readers), last_load_seq(con) + 1)
    is_counter = source.layout == "counter_log" or source.counter == "cumulative"
    before = _sums(con, [reading.load_seq for reading in readings], is_counter=is_counter)
    with load_settings(con), transaction(con):
        for done, reading in enumerate(readings, start=1):
            with places.of(reading, source) as place:
                again.read(reading, place)
            if progress:
                progress(done, len(readings))
        if again.problems and not accept:
            raise RereadBlocked(_blocked(source_id, len(readings), again.problems))
    after = _sums(con, again.in_force, is_counter=is_counter)
    return Reread(source_id, len(again.read_now), before, after, tuple(again.problems))


def _blocked(source_id: str, n_files: int, problems: Sequence[str]) -> str:
    return (
        f"sources/{source_id}.yaml has changed, and {len(problems)} of {n_files} loaded files cannot be read again by"
        f" it, so nothing of the source was changed: {_listed(problems)}. Correct the description; or accept this with"
        f" 'doseledger reread {source_id} --accept'."
    )


class _Again:
    """Reads files again, one after the other, in a transaction of the caller.

    Attributes:
        read_now: load sequences of the new readings.
        in_force: load sequences of the readings that count then.
        problems: what prevents it, one clause each.
    """

    def __init__(self, con: Connection, source: SourceDescription, reader: str | None, next_load_seq: int) -> None:
        self._con, self._source, self._reader, self._next = con, source, reader, next_load_seq
        self.read_now: list[int] = []
        self.in_force: list[int] = []
        self.problems: list[str] = []

    def read(self, reading: Reading, place: Path | NotKeptError) -> None:
        """Read one file again."""
        if isinstance(place, NotKeptError):
            self._leave(reading, str(place))
            return
        rows = DirectRows(self._con)
        try:
            outcome = store_export(read_export(place, self._source), self._source, self._next, reading.path, rows)
        except Refused as refused:
            if not reading.is_loaded:
                self._note(reading.load_seq, f"reason = {_text(refused.reason)}")
                return
            for table in (
                "dose_record",
                "rejected_row",
                "rejected_dose",
                "finding",
            ):  # of a file that is refused at its end
                self._con.execute(f"delete from raw.{table} where load_seq = {self._next}")
            outcome = Outcome(refused.status, refused.reason, statement=refused.statement)
            self.problems.append(f"{reading.path} would be refused ({refused.reason})")
        if outcome.status == "loaded" and outcome.rows_loaded < reading.rows_loaded:
            fewer = reading.rows_loaded - outcome.rows_loaded
            self.problems.append(f"{reading.path} has {fewer:,} of {reading.rows_loaded:,} readable rows fewer")
        self._replace(reading, outcome)

    def _leave(self, reading: Reading, reason: str) -> None:
        """Keep a reading whose content cannot be read again; it is due no more under this description."""
        self.in_force.append(reading.load_seq)
        if reading.is_loaded:
            self.problems.append(f"{reading.path} cannot be found ({reason}), and keeps its former doses if accepted")
        self._con.execute(
            f"update raw.file set accepted_meaning_sha256 = '{self._source.meaning_sha256}'"
            f" where load_seq = {reading.load_seq}"
        )

    def _note(self, load_seq: int, change: str) -> None:
        """Change the ledger row of a reading whose rows stay."""
        self._con.execute(
            f"update raw.file set {change}, description_sha256 = '{self._reader}',"
            f" meaning_sha256 = '{self._source.meaning_sha256}' where load_seq = {load_seq}"
        )

    def _replace(self, reading: Reading, outcome: Outcome) -> None:
        new, old = self._next, reading.load_seq
        self._con.execute(
            f"""
            insert into raw.file by name
            select * replace (
                {new} as load_seq, '{outcome.status}' as status, {_text(outcome.reason)} as reason,
                {outcome.rows_loaded} as rows_loaded, {outcome.rows_rejected} as rows_rejected,
                '{self._reader}' as description_sha256, '{self._source.meaning_sha256}' as meaning_sha256,
                null as accepted_meaning_sha256
            )
            from raw.file
            where load_seq = {old}
            """
        )
        DirectRows(self._con).append("file_statement", outcome.statement, load_seq=new)
        self._con.execute(f"update raw.file set superseded_by = {new} where load_seq = {old}")
        copies = f"where status = 'duplicate' and duplicate_of = {old}"
        if outcome.status == "loaded":
            self._con.execute(f"update raw.file set duplicate_of = {new} {copies}")
        else:  # a refused file is no original
            refusal = f"status = '{outcome.status}', reason = {_text(outcome.reason)}, duplicate_of = null"
            self._con.execute(f"update raw.file set {refusal} {copies}")
        self.read_now.append(new)
        self.in_force.append(new)
        self._next += 1


class _Places:
    """Where the contents of a source's files can be read: in the inbox, as it is now, or in the archive."""

    def __init__(self, con: Connection, site: Site, key: Key, source_id: str) -> None:
        self._con, self._archive = con, Archive(site.archive_dir)
        self._unpacked = site.build_db.with_name("reread.csv")
        self._files = {key.path_key(f.name): f for f in find_dosimeter_exports(site) if f.source_id == source_id}
        stats = dict(con.execute("select path_key, sha256 from raw.file_stat").fetchall())
        self._known: defaultdict[str, list[FoundFile]] = defaultdict(list)
        self._unknown: list[FoundFile] = []
        for path_key, file in self._files.items():
            if path_key in stats:
                self._known[stats[path_key]].append(file)
            else:
                self._unknown.append(file)

    @contextmanager
    def of(self, reading: Reading, source: SourceDescription) -> Iterator[Path | NotKeptError]:
        """A file with the content of a reading, or why there is none; it is unchanged when the caller is done."""
        found = self._in_inbox(reading.sha256)
        if found is not None:
            yield found.place
            if is_unchanged(found):
                return
            raise RereadBlocked(f"{reading.path} changed while it was read again; run again.")
        try:
            yield self._from_archive(reading.sha256, source)
        finally:
            self._unpacked.unlink(missing_ok=True)

    def _in_inbox(self, sha256: str) -> FoundFile | None:
        for file in self._known[sha256]:
            opened = open_file(file)
            if opened is not None and opened.sha256 == sha256:
                return opened.file
        return None

    def _from_archive(self, sha256: str, source: SourceDescription) -> Path | NotKeptError:
        kept = kept_content(self._con, source.source_id, sha256)
        if kept is None:
            return self._renamed(sha256) or NotKeptError("it is neither in the inbox nor in the archive")
        try:
            self._archive.unpack(kept, source, self._unpacked)
        except NotKeptError as error:
            return self._renamed(sha256) or error
        except Refused:  # its header line does not fit; reading it gives the reason
            pass
        return self._unpacked

    def _renamed(self, sha256: str) -> Path | None:
        """A file of the inbox that has this content under a name that was not read yet."""
        for file in self._unknown:
            opened = open_file(file)
            if opened is not None and opened.sha256 == sha256:
                return file.place
        return None


def _sums(con: Connection, load_seqs: Sequence[int], *, is_counter: bool) -> Sums:
    """Rows and doses of some readings; of a counter only rows, for its readings do not add."""
    if not load_seqs:
        return Sums(0, {})
    these = f"load_seq in ({', '.join(map(str, load_seqs))})"
    ((rows,),) = con.execute(f"select coalesce(sum(rows_loaded), 0)::bigint from raw.file where {these}").fetchall()
    if is_counter:
        return Sums(rows, {})
    usv = con.execute(
        f"select quantity, sum(value_usv) from raw.dose_record where {these} group by quantity order by quantity"
    ).fetchall()
    return Sums(rows, {quantity: total for quantity, total in usv if total is not None})


def _told(sums: Sums) -> str:
    return ", ".join([f"{sums.rows:,} rows", *(f"{quantity} {usv:,.3f} µSv" for quantity, usv in sums.usv.items())])


def _listed(clauses: Sequence[str]) -> str:
    more = len(clauses) - FILES_NAMED
    return "; ".join(clauses[:FILES_NAMED]) + (f"; and {more} more" if more > 0 else "")


def _text(text: str | None) -> str:
    """A text as SQL has it: bound values would load pandas."""
    return "null" if text is None else "'" + text.replace("'", "''") + "'"
