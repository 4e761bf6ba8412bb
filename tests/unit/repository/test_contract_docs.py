"""The contract in docs/contract/ names every published table, and every anchor that the repository cites is there."""

from __future__ import annotations

import re

from support import paths

from expectations.contract import TABLES
from ingest.site.reference import TABLES as REFERENCE_TABLES

ROOT = paths.ROOT
CONTRACT = ROOT / "docs" / "contract"
SUFFIXES = {".py", ".sql", ".md", ".yml", ".yaml", ".csv"}
FOLDERS = ("ingest", "dbt_project", "expectations", "orchestration", "tests", "docs", "benchmarks")
CITED = re.compile(r"(inputs|outputs)\.md#([A-Za-z0-9_-]+)")
OWN_WORDS = {"advice"}  # a reference file of the product's own, described in docs/physicist/letters.md


def _anchors(name: str) -> set[str]:
    text = (CONTRACT / f"{name}.md").read_text("utf-8")
    headings = re.findall(r"^#+ (?:<a [^>]*></a>)?(.+)$", text, flags=re.MULTILINE)
    return set(re.findall(r'<a id="([^"]+)"></a>', text)) | {_slug(heading) for heading in headings}


def _slug(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def test_an_anchor_stands_for_one_rule() -> None:
    for name in ("inputs", "outputs"):
        found = re.findall(r'<a id="([^"]+)"></a>', (CONTRACT / f"{name}.md").read_text("utf-8"))
        assert len(found) == len(set(found)) >= 20


def test_every_cited_anchor_exists() -> None:
    anchors = {name: _anchors(name) for name in ("inputs", "outputs")}
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.suffix in SUFFIXES]
    cited = {
        (path.relative_to(ROOT).as_posix(), name, anchor)
        for path in [*files, ROOT / "README.md", ROOT / "CHANGELOG.md"]
        if "target" not in path.parts
        for name, anchor in CITED.findall(path.read_text("utf-8", "replace"))
    }
    assert len(cited) >= 5
    assert sorted(place for place in cited if place[2] not in anchors[place[1]]) == []


def test_every_published_table_and_reference_file_is_in_the_contract() -> None:
    outputs, inputs = ((CONTRACT / f"{name}.md").read_text("utf-8") for name in ("outputs", "inputs"))
    assert [table for table in TABLES if table not in outputs and table.partition(".")[2] not in outputs] == []
    assert [
        table.name for table in REFERENCE_TABLES if f"{table.name}.csv" not in inputs and table.name not in OWN_WORDS
    ] == []
