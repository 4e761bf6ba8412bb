"""What of the input is in no figure of a publication, or only in part: one count and one sentence each.

Reads the published file only. Letters show the sentences; the run's summary and ``status`` name the tables, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb

from orchestration.figures.wording import Wording

# Each gives one row: how many, and a text that belongs into the sentence. What is zero is not shown.
QUERIES: Mapping[str, str] = {
    "replaced_rows": "select sum(rows_replaced), null from ledger.file_balance",
    "conflicting_rows": "select sum(rows_conflicting), null from ledger.file_balance",
    "rows_after_as_of": "select sum(rows_after_as_of), null from ledger.file_balance",
    # Rows of quarantined files are told with their file.
    "rejected_rows": """
        select sum(balances.rows_rejected), null
        from ledger.file_balance as balances
        inner join ledger.file as files on balances.load_seq = files.load_seq
        where files.status = 'loaded'
    """,
    "left_out_rows": "select count(*), null from ledger.oddity where code = 'left_out_rows'",
    "same_bytes": "select count(*), null from ledger.oddity where code = 'same_bytes'",
    # Reports of which no event and no total is in a figure, be it through another report.
    "reports_not_counted": """
        select count(*), null
        from ledger.report_balance
        where
            coalesce(events_counted + events_counted_elsewhere + events_superseded, 0) = 0
            and not is_total_used
            and status <> 'duplicate'
    """,
    "missing_reports": """
        select count(*), null from ledger.expected_study where reason not in ('awaited')
    """,
    "unclassified": "select count(*), null from marts.fct_procedure where procedure_type = 'unclassified'",
    "unknown_room": """
        select
            sum(procedures),
            string_agg(
                concat_ws(' / ', device_serial, station_name, ae_title, physical_location), '; '
                order by procedures desc, device_serial, station_name
            )
        from ledger.unmatched_device
        where procedures > 0
    """,
}
# Where the published rows behind a count are.
TABLES: Mapping[str, str] = {
    "conflicting_rows": "ledger.oddity",
    "rejected_rows": "ledger.rejected_row",
    "left_out_rows": "ledger.oddity",
    "same_bytes": "ledger.oddity",
    "reports_not_counted": "ledger.report_balance",
    "missing_reports": "ledger.expected_study",
}


@dataclass(frozen=True, slots=True)
class InputCount:
    """How much of one kind there is; ``detail`` belongs into its sentence where it has a place for it."""

    name: str
    count: int
    detail: str | None = None


def read_input_counts(connection: duckdb.DuckDBPyConnection) -> tuple[InputCount, ...]:
    """Read the counts of a published file that are not zero, in the order in which they are shown."""
    counts = []
    for name, query in QUERIES.items():
        count, detail = connection.execute(query).fetchone() or (0, None)
        if count:
            counts.append(InputCount(name, int(count), detail))
    return tuple(counts)


def input_sentences(counts: Sequence[InputCount], words: Wording) -> list[str]:
    """Put each count into one sentence."""
    return [words.say(f"input.{count.name}", count=count.count, detail=count.detail) for count in counts]


def input_sentences_with_tables(counts: Sequence[InputCount], words: Wording) -> list[str]:
    """Put each count into one sentence, with the table that has its rows: for the console."""
    return [
        f"{sentence.removesuffix('.')} ({TABLES[count.name]})." if count.name in TABLES else sentence
        for count, sentence in zip(counts, input_sentences(counts, words), strict=True)
    ]
