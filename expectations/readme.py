"""The risk table of README.md, made from the checks themselves so that it cannot go stale.

`python -m expectations.readme` writes it; a test fails when it was forgotten.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from expectations.suites import Check, Settings, checks

README = Path(__file__).with_name("README.md")
BEGIN, END = "<!-- risks: made by python -m expectations.readme -->", "<!-- end of risks -->"
EFFECT = {"block": "**blocks**", "warn": "warns"}


def risk_table() -> str:
    """Markdown: risk, checks and where, effect, what to do; checks that share the rest share a row."""
    rows: dict[tuple[str, ...], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for check in checks(Settings()):
        rows[(check.suite, check.risk, EFFECT[check.severity], check.advice)][check.rule].append(_where(check))
    lines = ["| suite | risk | check: where | effect | what to do |", "|---|---|---|---|---|"]
    for (suite, risk, effect, advice), rules in rows.items():
        found = "<br>".join(f"{rule}: {', '.join(dict.fromkeys(where))}" for rule, where in rules.items())
        lines.append(f"| {suite} | {risk} | {found} | {effect} | {advice} |")
    return "\n".join(lines)


def with_risks(readme: str) -> str:
    """The README's text with the table of today between its marks."""
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{risk_table()}\n{END}{after}"


def _where(check: Check) -> str:
    return f"`{check.table}.{check.column}`" if check.column and "," not in check.column else f"`{check.table}`"


if __name__ == "__main__":
    README.write_text(with_risks(README.read_text("utf-8")), "utf-8")
