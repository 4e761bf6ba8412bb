"""The risk tables of README.md, generated from the checks so that they are never stale.

`python -m expectations.readme` writes them; a test compares them with the checks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from expectations.suites import QUESTIONS, SUITES, Check, Settings, checks

README = Path(__file__).with_name("README.md")
BEGIN, END = "<!-- risks: made by python -m expectations.readme -->", "<!-- end of risks -->"
EFFECT = {"block": "**blocks**", "warn": "warns"}
NAMED_PLACES = 4  # more are counted; the tables further down name each


def with_risks(readme: str) -> str:
    """The README's text with the tables of today between its marks."""
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    made = "\n".join([*_risks(checks(Settings())), *_places(checks(Settings()))])
    return f"{before}{BEGIN}\n{made}\n{END}{after}"


def _risks(all_checks: Sequence[Check]) -> Iterator[str]:
    """A table for each suite: risk, check, effect, what to do; checks that share the rest share a row."""
    for suite in SUITES:
        rows: dict[tuple[str, ...], dict[str, list[Check]]] = defaultdict(lambda: defaultdict(list))
        for check in all_checks:
            if check.suite == suite:
                row = (check.risk, EFFECT[check.severity], check.advice)
                rows[row][check.family or check.rule].append(check)
        yield from (f"## {suite.capitalize()}", "", QUESTIONS[suite], "")
        yield from ("| risk | check | effect | what to do |", "|---|---|---|---|")
        for (risk, effect, advice), questions in rows.items():
            places = [line for question, found in questions.items() for line in _question(question, found)]
            yield f"| {risk} | {'<br>'.join(places)} | {effect} | {advice} |"
        yield ""


def _places(all_checks: Sequence[Check]) -> Iterator[str]:
    """Each check at its table, folded."""
    by_table: dict[str, list[Check]] = defaultdict(list)
    for check in all_checks:
        by_table[check.table].append(check)
    yield from ("## Table by table", "")
    for table, found in sorted(by_table.items()):
        title = f"<details><summary>{table} ({len(found)})</summary>"
        yield from (title, "", "| column | holds | suite | effect | bound from |", "|---|---|---|---|---|")
        for check in found:
            column = f"`{check.column}`" if check.column and "," not in check.column else "the row"
            yield f"| {column} | {check.rule} | {check.suite} | {EFFECT[check.severity]} | {check.source} |"
        yield from ("", "</details>")


def _question(question: str, found: Sequence[Check]) -> Iterator[str]:
    """A question with its places; one with many places is stated once, with their number."""
    if len(found) > NAMED_PLACES:
        yield f"{question} ({len(found)} places)"
        return
    places: dict[str, list[str]] = defaultdict(list)
    for check in found:
        places[check.rule].append(_place(check))
    yield from (f"{rule} ({', '.join(dict.fromkeys(where))})" for rule, where in places.items())


def _place(check: Check) -> str:
    return f"`{check.table}.{check.column}`" if check.column and "," not in check.column else f"`{check.table}`"


if __name__ == "__main__":
    README.write_text(with_risks(README.read_text("utf-8")), "utf-8")
