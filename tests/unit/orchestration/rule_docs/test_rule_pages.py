"""The pages of the rules are those of today's seeds and descriptions, and no rule is without one."""

from __future__ import annotations

import csv

import pytest

from expectations.contract import RULES
from orchestration.figures.wording import LANGUAGES
from orchestration.product import DBT_PROJECT
from orchestration.rule_docs.rule_pages import FOLDER, pages


def seed(name: str) -> list[dict[str, str]]:
    with (DBT_PROJECT / "seeds" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_pages_are_those_of_today() -> None:
    written = {path.name: path.read_text("utf-8") for path in FOLDER.glob("*.md")}
    assert written == pages(), "run python -m orchestration.rule_docs.rule_pages"


def test_every_rule_has_a_page() -> None:
    assert {f"{rule}.md" for rule in RULES} <= pages().keys()


@pytest.mark.parametrize("rule", RULES)
def test_every_page_states_false_alarms_and_what_was_measured(rule: str) -> None:
    section = pages()[f"{rule}.md"].split("## False alarms\n")[1].split("\n## ")[0]
    argued, _, measured = section.strip().partition("\n\n")
    assert len(argued.split()) > 8
    assert "{" not in section
    rates = (FOLDER.parent / "physicist" / "alert_rates.md").read_text("utf-8")
    row = next((line for line in rates.splitlines() if line.startswith(f"| `{rule}` |")), None)
    assert measured.startswith("No finding on" if row is None else f"{row.split('|')[3].strip()} findings, ")


def test_every_finding_has_advice_in_every_language() -> None:
    codes = {row["advice_code"] for row in seed("advice_rule")}
    assert {(row["advice_code"], row["language"]) for row in seed("advice")} == {
        (code, language) for code in codes for language in LANGUAGES
    }
    advised = {(row["rule"], row["evidence"]) for row in seed("advice_rule")}
    # A rule has advice for whatever the evidence, or for each step that it can find.
    steps = {(row["rule"], row["step"]) for row in seed("alert_rules") if row["step"]}
    assert {step for step in steps if (step[0], "") not in advised and step not in advised} == set()
    assert {rule for rule, _ in advised} == set(RULES)
