"""What an export states is counted while it is read: rows and microsievert of each quantity, readable or not."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from support.exports import source
from support.small_site import RATES, SOURCE, export, files, make_site, rows, run, write

from ingest.dosimeters.reader import read_export
from ingest.raw.loader import TOGETHER
from ingest.records import RejectedDose, Stated

STATED = "select quantity, rows_stated, stated_usv from raw.file_statement order by all"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_site(tmp_path / "site")


def statement(folder: Path, *lines: str, **changes: Any) -> tuple[list[Stated], list[RejectedDose]]:
    """What a file of these lines below ``badge;at;dose;skin`` states, and what its rejected rows state."""
    columns = {"dosimeter_serial": "badge", "started_at": "at", "hp10": "dose", "hp007": "skin"}
    units = {"hp10": "uSv", "hp007": "mSv"}
    path = folder / "export.csv"
    path.write_bytes("\n".join(["badge;at;dose;skin", *lines, ""]).encode())
    batches = list(read_export(path, source(**{"columns": columns, "units": units} | changes)))
    return list(batches[-1].statement), [dose for batch in batches for dose in batch.rejected_doses]


def test_every_cell_that_is_no_null_or_unused_token_is_stated(tmp_path: Path) -> None:
    lines = ["B1;2024-03-05T09:00;1.5;0.002", "B1;2024-03-05T10:00;-;M", "B1;2024-03-05T11:00;Unused;", "", "B1;;;"]
    assert statement(tmp_path, *lines) == ([Stated("hp10", 1, Decimal("1.5")), Stated("hp007", 2, Decimal(2))], [])


@pytest.mark.parametrize(
    ("line", "states"),
    [
        ("B1;2024-03-05T25:00;1.5;0.002", {"hp10": "1.5", "hp007": "2"}),  # no such hour
        (";2024-03-05T09:00;1.5;", {"hp10": "1.5"}),  # no badge, and no skin dose
        ("B1;2024-03-31T02:30;M;0.002", {"hp10": None, "hp007": "2"}),  # a local time that does not exist
        ("B1;2024-03-05T09:00;1,5;0.002", {"hp10": None, "hp007": "2"}),  # one dose cannot be read
        ("B1;2024-03-05T09:00;-3;-", {"hp10": None}),
        ("B1;2024-03-05T09:00;10000001;NaN", {"hp10": None, "hp007": None}),
        ("=B1;2024-03-05T09:00;Unused;-", {}),  # refused, and states no dose
        ("B1;2024-03-05T09:00;1.5", {"hp10": None, "hp007": None}),  # its cells cannot be told apart
        ('B1;"2024-03-05T09:00;1.5;2', {"hp10": None, "hp007": None}),
        ("B1;2024-03-05T09:00;1.5;2;3", {"hp10": None, "hp007": None}),
    ],
)
def test_a_rejected_row_states_what_can_be_read_of_it(tmp_path: Path, line: str, states: dict[str, str | None]) -> None:
    stated, rejected = statement(tmp_path, line, "B1;2024-03-06T09:00;7;0.001")
    assert {dose.quantity: dose.value_usv and f"{dose.value_usv:f}".rstrip("0").rstrip(".") for dose in rejected} == (
        states
    )
    others = {"hp10": Decimal(7), "hp007": Decimal(1)}
    assert {row.quantity: row.rows_stated - 1 for row in stated} == {name: int(name in states) for name in others}
    for row in stated:
        assert row.stated_usv - others[row.quantity] == Decimal(states.get(row.quantity) or 0)


def test_a_rate_states_its_seconds(tmp_path: Path) -> None:
    rates = {"columns": {"dosimeter_serial": "badge", "started_at": "at", "hp10": "dose"}, "sample_seconds": 30}
    [stated], _ = statement(
        tmp_path,
        *(f"B1;2024-03-05T09:00:{second};36;x" for second in ("00", "30")),
        **{"layout": "rate_samples", "units": {"hp10": "uSv/h"}, "ignored_columns": ["skin"]} | rates,
    )
    assert stated == Stated("hp10", 2, Decimal("0.6"))


@pytest.mark.parametrize("at_once", [1, TOGETHER["dosimeter"]])
def test_the_statement_of_a_file_is_kept_with_it(root: Path, monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    monkeypatch.setitem(TOGETHER, "dosimeter", at_once)
    write(root, f"{RATES}/a.csv", export(3600, 7200, "x") + "B1;no time;36;BASE\nB1;cut")
    write(root, f"{RATES}/b.csv", export(3600, 7200, "x") + "B1;no time;36;BASE\nB1;cut")  # states nothing of its own
    write(root, f"{RATES}/c.csv", "Badge;Colour\n")
    run(root)
    assert [status for status, _ in files(root).values()] == ["loaded", "duplicate", "quarantined"]
    assert rows(root, STATED) == [("hp10", 5, Decimal("3.01"))]
    assert rows(root, "from raw.rejected_dose order by line") == [
        (1, 4, "hp10", None),
        (1, 5, "hp10", Decimal("0.01")),
        (1, 6, "hp10", None),
    ]


def test_a_second_try_of_a_file_states_it_once(root: Path) -> None:
    write(root, f"{RATES}/a.csv", export(3600).replace("Rate", "Dose rate"))
    run(root)
    assert rows(root, STATED) == []
    write(root, "sources/rates.yaml", SOURCE.replace("hp10: Rate", "hp10: Dose rate"))
    run(root)
    run(root)
    assert rows(root, STATED) == [("hp10", 1, Decimal(1))]
