"""The dictionary is that of today's descriptions and queries, with every published table and column."""

from __future__ import annotations

import json

from expectations.contract import TABLES
from orchestration.dbt_build import ensure_manifest
from orchestration.file_docs.dictionary import KEYS, OWN_TABLES, PAGE, QUERIES, page, published


def test_the_page_is_that_of_today() -> None:
    assert PAGE.read_text("utf-8") == page(), "run python -m orchestration.file_docs.dictionary"


def test_every_column_of_the_contract_is_in_the_page() -> None:
    sections = {part.partition("\n")[0]: part for part in page().split("\n### ")[1:]}
    missing = [
        f"{name}.{column}"
        for name, table in TABLES.items()
        for column in table.columns
        if f"| `{column}` |" not in sections.get(name, "")
    ]
    assert missing == []
    assert OWN_TABLES.keys() <= sections.keys()


def test_what_the_diagram_joins_on_is_the_whole_key() -> None:
    tables = published(json.loads(ensure_manifest().read_bytes()))
    assert {parent: tables[parent]["config"]["meta"]["key"] for parent in KEYS.values()} == {
        parent: [column] for column, parent in KEYS.items()
    }


def test_there_are_twenty_questions() -> None:
    assert len(list(QUERIES.glob("*.sql"))) >= 20
