"""The structural suite: is everything there that the output contract promises?"""

from __future__ import annotations

from expectations.contract import LEGAL_WORDS, RULES, TABLES
from expectations.suites.check import CONTRACT, LOST, OUR_FAULT, Check, rows_where

MISSING = "a report or BI query that relies on the contract breaks or reads something else"


def structural() -> list[Check]:
    """Tables with their columns, alert rules with their views, keys, types and legal words."""
    return [
        *_tables_have_their_columns(),
        *_rules_have_their_view(),
        *_keys_name_one_row(),
        *_columns_have_their_type(),
        *_words_are_legal(),
    ]


def _tables_have_their_columns() -> list[Check]:
    """One check per contract table: a table that does not exist lacks all its columns."""
    return [
        Check(
            suite="structural",
            severity="block",
            table=name,
            column=", ".join(table.columns),
            rule="the table has every column of the output contract",
            risk=MISSING,
            advice=OUR_FAULT,
            source=CONTRACT,
            unexpected_rows=(
                f"select unnest({list(table.columns)}) as missing_column except"
                f" select column_name from duckdb_columns() where schema_name || '.' || table_name = '{name}'"
            ),
        )
        for name, table in TABLES.items()
    ]


def _rules_have_their_view() -> list[Check]:
    return [
        Check(
            suite="structural",
            severity="block",
            table="alerts",
            column="",
            rule="every alert rule of the contract has its view",
            risk=MISSING,
            advice=OUR_FAULT,
            source=CONTRACT,
            unexpected_rows=(
                f"select unnest({list(RULES)}) as missing_view except"
                " select view_name from duckdb_views() where schema_name = 'alerts'"
            ),
        )
    ]


def _keys_name_one_row() -> list[Check]:
    """Keys are counted by DuckDB: a duplicate may be anywhere in a table that is too long for memory."""
    return [
        Check(
            suite="structural",
            severity="block",
            table=name,
            column=", ".join(table.key + table.optional_key),
            rule="the key names exactly one row and is never empty",
            risk=LOST,
            advice=OUR_FAULT,
            source=CONTRACT,
            unexpected_rows=_broken_keys(name),
        )
        for name, table in TABLES.items()
        if table.key
    ]


def _broken_keys(name: str) -> str:
    table = TABLES[name]
    columns = ", ".join(f'"{column}"' for column in table.key + table.optional_key)
    empty = " or ".join(f'"{column}" is null' for column in table.key)
    return (
        f"select {columns}, count(*) as rows_with_it, bool_or({table.restricted}) as is_restricted"
        f" from {name} group by {columns} having count(*) > 1 or {empty}"
    )


# What the end of a column name promises, per schema. Exact doses live in the ledger only; facts are cast last.
TYPES_BY_ENDING: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (("marts", "alerts", "ledger"), "_at", "TIMESTAMP WITH TIME ZONE"),
    (("marts", "alerts", "ledger"), "_date", "DATE"),
    (("marts",), "_usv", "DOUBLE"),
    (("marts",), "_msv", "DOUBLE"),
    (("marts",), "_mgy", "DOUBLE"),
    (("marts",), "_gy_cm2", "DOUBLE"),
    (("ledger",), "_usv", "DECIMAL(18,9)"),
)


def _columns_have_their_type() -> list[Check]:
    return [
        Check(
            suite="structural",
            severity="block",
            table=", ".join(schemas),
            column=f"*{ending}",
            rule=f"every column *{ending} is {data_type}",
            family="every column has the type that its ending promises",
            risk=MISSING,
            advice=OUR_FAULT,
            source=CONTRACT,
            unexpected_rows=(
                "select schema_name || '.' || table_name || '.' || column_name as wrong_column, data_type"
                f" from duckdb_columns() where list_contains({list(schemas)}, schema_name)"
                f" and ends_with(column_name, '{ending}') and data_type <> '{data_type}'"
                " and column_name <> 'worn_at'"  # a place on the body
            ),
        )
        for schemas, ending, data_type in TYPES_BY_ENDING
    ]


def _words_are_legal() -> list[Check]:
    return [
        Check(
            suite="structural",
            severity="block",
            table=table,
            column=column,
            rule=f"is one of {', '.join(words)}",
            family="every word is one of the contract's",
            risk="a filter on the contract's words silently leaves rows out",
            advice=OUR_FAULT,
            source=CONTRACT,
            unexpected_rows=rows_where(f'"{column}" not in {words}', table, column),
        )
        for table, columns in LEGAL_WORDS.items()
        for column, words in columns.items()
    ]
