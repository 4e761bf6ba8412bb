"""Every export of the test hospitals read a second time, by a small reader that shares no line with the product's.

It knows only what a source's YAML says and Python's own csv, decimal and zoneinfo. Rows and sums must be the same, and
what a file states is what ``byte_reader`` counts in its bytes.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Context, Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.byte_reader import statements
from support.damaged_exports import Damage, damaged, damages, stated_and_kept
from support.small_site import SHARED, the_key

from ingest.dosimeters.description import load_description
from ingest.raw.build_db import open_build
from ingest.raw.loader import load_dosimeters
from ingest.raw.reference_load import load_reference
from ingest.site.config import load_site
from orchestration.dbt_build import build_tables
from synthetic_hospital import write_hospital

MICRO = {
    "nSv": "0.001",
    "uSv": "1",
    "µSv": "1",
    "μSv": "1",
    "mSv": "1000",
    "Sv": "1000000",
    "mrem": "10",
    "rem": "10000",
}
SECONDS = {"h": 3600, "min": 60, "s": 1}
LEFT_OUT = {"skip_rows": 0, "null_tokens": [""], "below_lod_tokens": [], "unused_tokens": []}
EXACT = Context(prec=200)
Key = tuple[int, str, str, str | None]  # line, badge, quantity, first instant


@pytest.fixture(scope="module", params=["demo", "hospital_tiny", "hospital_clean"])
def root(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    site = tmp_path_factory.mktemp("second") / "site"
    if request.param == "demo":
        write_hospital(site, "tiny")
        return site
    original = SHARED / request.param
    if not original.is_dir():
        pytest.skip(f"{request.param} is not beside the checkout")
    site.mkdir()
    for name in ("reference", "sources", "inbox", "site.yaml"):
        (site / name).symlink_to(original / name)
    return site


def second_reading(path: Path, described: dict[str, Any]) -> dict[Key, Decimal | None]:
    """What a file says: value in microsievert (None: below detection) by line, badge, quantity and first instant."""
    with path.open(encoding=described["encoding"], newline="") as file:
        lines = file.read().split("\n")
    lines = lines[: -1 if lines[-1] == "" else len(lines)]
    header, *body = list(csv.reader(lines[described["skip_rows"] :], delimiter=described["delimiter"]))
    found: dict[Key, Decimal | None] = {}
    for number, cells in enumerate(body, described["skip_rows"] + 2):
        if len(cells) == len(header) and cells[0] not in ("Total", "Summe"):
            row = dict(zip(header, (cell.strip() for cell in cells), strict=True))
            for quantity, value in values(row, described):
                found[number, row[described["columns"]["dosimeter_serial"]], quantity, begin(row, described)] = value
    return found


def values(row: dict[str, str], described: dict[str, Any]) -> Iterator[tuple[str, Decimal | None]]:
    for quantity in ("hp10", "hp007", "hp3"):
        text = row.get(described["columns"].get(quantity))
        if text is None or text in [*described["null_tokens"], *described["unused_tokens"]]:
            continue
        if text in described["below_lod_tokens"]:
            yield quantity, None
            continue
        unit, _, period = described["units"][quantity].partition("/")
        number = Decimal(text.replace(described["decimal"], "."))
        product = EXACT.multiply(number, Decimal(MICRO[unit]))
        if period:
            product = EXACT.divide(EXACT.multiply(product, Decimal(described["sample_seconds"])), SECONDS[period])
        yield quantity, product.quantize(Decimal("1e-9"), context=EXACT)


def begin(row: dict[str, str], described: dict[str, Any]) -> str:
    columns = described["columns"].get("started_at", described["columns"].get("period_begin"))
    text = " ".join(row[name] for name in ([columns] if isinstance(columns, str) else columns))
    form = described["datetime_format"]
    moment = datetime.fromisoformat(text) if form == "iso8601" else datetime.strptime(text, form)  # noqa: DTZ007
    if moment.tzinfo is None:
        zone = ZoneInfo(described["timezone"])
        local = moment.replace(tzinfo=zone)
        offset = local.utcoffset() or timedelta(0)
        moment = (moment - (offset if described["dst"] else offset - (local.dst() or timedelta(0)))).replace(tzinfo=UTC)
    return moment.astimezone(UTC).isoformat()


def test_a_second_reader_finds_the_same_rows_and_sums_in_every_file(root: Path) -> None:
    site = load_site(root)
    with open_build(site, the_key()) as con:
        load_reference(con, site)
        load_dosimeters(con, site, the_key())
        files = con.execute("select load_seq, path, source_id from raw.file where status = 'loaded'").fetchall()
        assert len(files) >= 8
        for load_seq, path, source_id in files:
            described = LEFT_OUT | yaml.safe_load((root / "sources" / f"{source_id}.yaml").read_text("utf-8"))
            second = second_reading(root / path, described)
            first = {
                (line, badge, quantity, at.isoformat()): value
                for line, badge, quantity, at, value in con.execute(
                    "select line, dosimeter_serial, quantity, started_at, value_usv from raw.dose_record "
                    "where load_seq = ?",
                    [load_seq],
                ).fetchall()
            }
            assert first == second, path
            sums: dict[str, Decimal] = defaultdict(Decimal)
            for (_, _, quantity, _), value in second.items():
                sums[quantity] += value or 0
            summed = con.execute(
                "select quantity, coalesce(sum(value_usv), 0) from raw.dose_record where load_seq = ? group by all",
                [load_seq],
            )
            assert dict(summed.fetchall()) == sums, path
            assert second, path


def test_every_file_states_what_its_bytes_do(root: Path) -> None:
    site = load_site(root)
    with open_build(site, the_key()) as con:
        load_reference(con, site)
        load_dosimeters(con, site, the_key())
        files = con.execute(
            "select load_seq, path, source_id, status from raw.file where kind = 'dosimeter' and duplicate_of is null"
        ).fetchall()
        for load_seq, path, source_id, status in files:
            described = yaml.safe_load((root / "sources" / f"{source_id}.yaml").read_text("utf-8"))
            counted = statements((root / path).read_bytes(), described)
            assert (counted is None) == (status == "quarantined"), path
            stated = con.execute(
                "select quantity, rows_stated, stated_usv from raw.file_statement "
                f"where load_seq = {load_seq} and rows_stated > 0"
            ).fetchall()
            assert {name: (rows, usv) for name, rows, usv in stated} in (counted or [{}]), path
        lost = con.execute(
            """
            with kept as (
                select load_seq, quantity, value_usv from raw.dose_record
                union all
                select load_seq, quantity, value_usv from raw.rejected_dose
            ),

            summed as (
                select load_seq, quantity, count(*) as rows_stated, coalesce(sum(value_usv), 0) as stated_usv
                from kept group by all
            )

            (from raw.file_statement where rows_stated > 0 except from summed)
            union all
            (from summed except from raw.file_statement)
            """
        ).fetchall()
        assert lost == []


def test_the_balance_of_every_file_begins_at_its_bytes(root: Path) -> None:
    site = load_site(root)
    with open_build(site, the_key()) as con:
        load_reference(con, site)
        load_dosimeters(con, site, the_key())
    assert build_tables(site.build_db, date(2024, 12, 31)).failures == []
    with duckdb.connect(str(site.build_db), read_only=True) as con:
        balance: defaultdict[str, dict[str, tuple[int, Decimal | None]]] = defaultdict(dict)
        for path, quantity, n_rows, usv, imbalance_rows, imbalance_usv in con.execute(
            "select path, quantity, rows_stated, stated_usv, imbalance_rows, imbalance_usv from ledger.file_balance"
        ).fetchall():
            assert (imbalance_rows, imbalance_usv or 0) == (0, 0), path
            balance[path][quantity] = n_rows, usv
        files = con.execute("select path, source_id from ledger.file where kind = 'dosimeter'").fetchall()
    for path, source_id in files:
        described = yaml.safe_load((root / "sources" / f"{source_id}.yaml").read_text("utf-8"))
        # Readings of a counter are no doses.
        has_sums = described["layout"] != "counter_log" and described.get("counter") != "cumulative"
        counted = [
            {quantity: (n_rows, usv if has_sums else None) for quantity, (n_rows, usv) in one.items()}
            for one in statements((root / path).read_bytes(), described) or [{}]
        ]
        assert {name: sums for name, sums in balance[path].items() if sums[0]} in counted, path


BEGINNING = 6000  # bytes of an export that are damaged: its lines repeat themselves


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(nth=st.integers(0, 1000), damage=damages, kept=st.one_of(st.just(1.0), st.floats(0, 1)))
def test_a_damaged_export_states_what_its_bytes_do(
    root: Path, tmp_path: Path, nth: int, damage: list[Damage], kept: float
) -> None:
    exports = sorted(path for path in (root / "inbox/dosimeters").glob("*/*") if path.is_file())
    export = exports[nth % len(exports)]
    description = root / "sources" / f"{export.parent.name}.yaml"
    described = yaml.safe_load(description.read_text("utf-8"))
    with export.open("rb") as file:
        content = damaged(file.read(BEGINNING), described["encoding"], damage, kept)
    path = tmp_path / export.name
    path.write_bytes(content)
    counted, found = statements(content, described), stated_and_kept(path, load_description(description))
    assert (counted is None) == (found is None)
    if found is not None:
        stated, in_rows = found
        assert stated == in_rows
        assert stated in (counted or [])
