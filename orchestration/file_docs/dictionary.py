"""The page docs/engineer/dictionary.md: every published table, column and unit, and how the tables fit together.

Made from the manifest of the dbt project, as are the comments in the published files: neither can drift from the other.
`python -m orchestration.file_docs.dictionary` writes it; a test fails when that was forgotten.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from orchestration.dbt_build import ensure_manifest
from orchestration.product import DBT_PROJECT
from orchestration.publication.own_tables import ALERT_HISTORY, CHECK_RESULT, PUBLICATION, OwnTable

PAGE = DBT_PROJECT.parent / "docs" / "engineer" / "dictionary.md"
MADE = "<!-- Made by python -m orchestration.file_docs.dictionary from dbt_project: change it there. -->"
QUERIES = DBT_PROJECT.parent / "docs" / "engineer" / "queries"
OWN_TABLES = {
    "ledger.alert_history": ALERT_HISTORY,
    "ledger.check_result": CHECK_RESULT,
    "ledger.publication": PUBLICATION,
    "department.publication": PUBLICATION,
}
SCHEMAS = ("marts", "ledger", "alerts", "department")

# A column of a published table that is the whole key of another: what the diagram joins, where both have it.
KEYS = {
    "procedure_id": "marts.fct_procedure",
    "operator_id": "marts.dim_operator",
    "room_id": "marts.dim_room",
    "study_key": "marts.fct_study_dose",
    "irradiation_event_uid": "marts.fct_irradiation_event",
    "load_seq": "ledger.file",
}
INTRODUCTION = (
    "Every table and view that a publication holds, in `warehouse.duckdb`, as Parquet and, for heads of department, in",
    "their own file. The same texts are in the files: `select comment from duckdb_columns()`, `comment` in the",
    "metadata of a Parquet field. Doses are µSv, instants are TIMESTAMPTZ, dates are the site's, NULL means not known",
    "and never 0. What is promised: [outputs](../contract/outputs.md).",
)


def page() -> str:
    """The page as Markdown."""
    tables = published(json.loads(ensure_manifest().read_bytes()))
    lines = ["# Dictionary", MADE, "", *INTRODUCTION, "", "## Questions", *_questions()]
    lines += ["", "## How the tables fit together", *_diagram(tables)]
    for schema in SCHEMAS:
        lines += ["", f"## {schema}"]
        for name, model in tables.items():
            if name.startswith(f"{schema}."):
                lines += _table(name, model)
        for name, own_table in OWN_TABLES.items():
            if name.startswith(f"{schema}."):
                lines += _own_table(name, own_table)
    return "\n".join(lines) + "\n"


def published(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Nodes of the published models by schema and name, sorted."""
    nodes = manifest["nodes"].values()
    models = {f"{node['schema']}.{node['name']}": node for node in nodes if node["resource_type"] == "model"}
    return {name: models[name] for name in sorted(models) if models[name]["schema"] in SCHEMAS}


def _table(name: str, model: Mapping[str, Any]) -> Iterator[str]:
    yield from ("", f"### {name}", _line(model["description"]))
    if key := model["config"]["meta"].get("key"):
        yield f"Key: {', '.join(f'`{column}`' for column in key)}."
    yield from ("", "| column | type | meaning |", "|---|---|---|")
    for column in model["columns"].values():
        meaning = _line(column["description"]).replace("|", r"\|")
        yield f"| `{column['name']}` | {column['data_type'] or ''} | {meaning} |"


def _own_table(name: str, table: OwnTable) -> Iterator[str]:
    yield from ("", f"### {name}", table.meaning, "", "| column | type | meaning |", "|---|---|---|")
    for column, (data_type, meaning) in table.columns.items():
        yield f"| `{column}` | {data_type} | {meaning} |"


def _questions() -> Iterator[str]:
    yield "Each of these runs in the tests on a publication of the demo."
    yield ""
    for query in sorted(QUERIES.glob("*.sql")):
        question = query.read_text("utf-8").partition("\n")[0].removeprefix("-- ")
        yield f"* [{question}](queries/{query.name})"


def _diagram(tables: Mapping[str, Any]) -> Iterator[str]:
    yield from ("```mermaid", "erDiagram")
    for name, model in tables.items():
        for column, parent in KEYS.items():
            if column in model["columns"] and name != parent and name.startswith(("marts.", "ledger.")):
                yield f"    {_box(parent)} |o--o{{ {_box(name)} : {column}"
    yield "```"


def _box(table: str) -> str:
    return table.partition(".")[2]


def _line(text: str) -> str:
    return " ".join(text.split())


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
