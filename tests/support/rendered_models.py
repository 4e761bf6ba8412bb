"""The models' own SQL over tables of the same name in place of refs: rules are tested without a dbt build."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import duckdb
from jinja2 import Environment, StrictUndefined

from support import paths

MODELS = paths.DBT_PROJECT / "models"
SEEDS = paths.DBT_PROJECT / "seeds"
AS_OF = date(2024, 12, 31)


def rendered(model: str) -> str:
    """The query of a model over tables that have the names of its refs."""
    (path,) = MODELS.rglob(f"{model}.sql")
    template = Environment(undefined=StrictUndefined, autoescape=False).from_string(path.read_text("utf-8"))  # noqa: S701 - SQL
    return template.render(
        ref=lambda name: name,
        as_of=lambda: f"date '{AS_OF}'",
        dose_sum=lambda dose: f"cast(coalesce(sum({dose}), 0) as decimal(18, 9))",
        config=lambda **_: "",
        incremental_by_date=lambda *_: {},
        is_in_batch=lambda _: "true",
        in_force=lambda row: (
            f"coalesce({row}.valid_from <= date '{AS_OF}', true) and coalesce({row}.valid_to >= date '{AS_OF}', true)"
        ),
    )


def table(con: duckdb.DuckDBPyConnection, name: str, columns: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """A table with these columns (name and type) of these rows; what a row lacks is NULL."""
    con.execute(f"create table {name} ({columns})")
    names = [column.split()[0] for column in columns.split(", ")]
    for row in rows:
        marks = ", ".join("?" for _ in names)
        con.execute(f"insert into {name} values ({marks})", [row.get(column) for column in names])


def seed(name: str) -> list[dict[str, str | None]]:
    """The rows of a seed; an empty cell is None."""
    with (SEEDS / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return [{key: value or None for key, value in row.items()} for row in csv.DictReader(file)]
