"""Random damage to the bytes of an export, and what the product makes of the damaged file."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from pathlib import Path

from hypothesis import strategies as st

from ingest.dosimeters.description import SourceDescription
from ingest.dosimeters.reader import read_export
from ingest.records import Refused
from support.byte_reader import Statement

PIECES = [
    "",
    ";",
    "\t",
    '"',
    "\n",
    "\r",
    "\r\n",
    " ",
    "-",
    "M",
    "Unused",
    "0",
    ".",
    ",",
    "'",
    "1e3",
    "nan",
    "mSv",
    "\x00",
]
PIECES += ["é", "\ufeff", "Total", "999999999999", "-1", "1.000", "1,5", "\u00a0", "\x1c", "\u0661", "Infinity", "1_0"]


Damage = tuple[float, int, str | bytes]  # at that share of the file, so many bytes are replaced
damages = st.lists(
    st.tuples(
        st.floats(0, 1),
        st.integers(0, 6),
        st.one_of(st.sampled_from(PIECES), st.text(max_size=3), st.binary(max_size=3)),
    ),
    max_size=4,
)


def damaged(whole: bytes, encoding: str, damage: list[Damage], kept: float) -> bytes:
    for share, removed, put in damage:
        at = round(share * len(whole))
        put_bytes = put if isinstance(put, bytes) else put.encode(encoding.replace("utf-16", "utf-16-le"), "ignore")
        whole = whole[:at] + put_bytes + whole[at + removed :]
    return whole[: round(kept * len(whole))]


def stated_and_kept(path: Path, source: SourceDescription) -> tuple[Statement, Statement] | None:
    """What the product counts while it reads, and what is in its records and rejected rows together."""
    rows: defaultdict[str, int] = defaultdict(int)
    usv: defaultdict[str, Decimal] = defaultdict(Decimal)
    statement: Statement = {}
    try:
        for batch in read_export(path, source):
            kept = [(row["quantity"], row["value_usv"]) for row in batch.rows.to_pylist()]
            kept += [(dose.quantity, dose.value_usv) for dose in batch.rejected_doses]
            for quantity, value in kept:
                rows[quantity] += 1
                usv[quantity] += value or 0
            statement = {said.quantity: (said.rows_stated, said.stated_usv) for said in batch.statement}
            assert {dose.line for dose in batch.rejected_doses} <= {row.line for row in batch.rejected}
    except Refused:
        return None
    return (
        {name: sums for name, sums in statement.items() if sums[0]},
        {name: (count, usv[name]) for name, count in rows.items()},
    )
