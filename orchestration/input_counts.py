"""What of the input is in no figure of a publication, or only in part: one count and one sentence each.

Reads the published file only. Letters, the run's summary and ``status`` show the same sentences.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb

from orchestration.wording import Wording

# Each gives one row: how many, and a text that belongs into the sentence. What is zero is not shown.
QUERIES: Mapping[str, str] = {
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
