"""Words that have a plain or a technical one in their place do not come back (CONTRIBUTING.md, Words)."""

from __future__ import annotations

import re
from pathlib import Path

from support import paths

FOLDERS = ("ingest", "expectations", "orchestration", "dbt_project", "synthetic_hospital", "docs")
SUFFIXES = {".py", ".sql", ".md", ".yml", ".yaml", ".csv"}
# A word or phrase -> what to write.
PLAIN = {
    r"anew": "again",
    r"mend(s|ed|ing)?": "fix",
    r"freed of": "de-identified, without",
    r"whoever": "the actor as the subject",
    r"barred": "excluded",
    r"broken off": "interrupted",
    r"dearest": "slowest",
    r"badge that speaks": "badge of record",
    r"kept by day": "incremental by date",
}
AVOIDED = re.compile("|".join(rf"(?P<w{n}>\b(?:{words})\b)" for n, words in enumerate(PLAIN)), re.IGNORECASE)


def avoided(text: str) -> list[str]:
    """The avoided words of a text, each with what to write instead."""
    instead = list(PLAIN.values())
    return [f"{found[0]!r}: write {instead[int(str(found.lastgroup)[1:])]}" for found in AVOIDED.finditer(text)]


def files() -> list[Path]:
    found = [path for folder in FOLDERS for path in (paths.ROOT / folder).rglob("*") if path.suffix in SUFFIXES]
    return [path for path in found if not {"target", "logs"} & set(path.parts)]


def test_no_file_has_an_avoided_word() -> None:
    assert len(files()) > 300
    found = {str(path.relative_to(paths.ROOT)): avoided(path.read_text("utf-8")) for path in files()}
    assert {path: words for path, words in found.items() if words} == {}


def test_an_avoided_word_is_found() -> None:
    assert avoided("Tables are made anew; whoever asks") == [
        "'anew': write again",
        "'whoever': write the actor as the subject",
    ]
