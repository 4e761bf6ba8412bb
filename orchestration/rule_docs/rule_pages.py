"""The pages docs/rules/: one for each alert rule, generated from seeds and model descriptions.

Layout only; the question of a rule and when it fires are in dbt_project/models/alerts/rules, thresholds
and advice are seeds. `python -m orchestration.rule_docs.rule_pages` writes them; a test compares them.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import Any

import yaml

from orchestration.product import DBT_PROJECT

FOLDER = DBT_PROJECT.parent / "docs" / "rules"
MADE = "<!-- Made by python -m orchestration.rule_docs.rule_pages from dbt_project: change it there. -->"

LIMITS_INTRODUCTION = (
    "The limits in force on as_of are used for the whole window. `confirmed`: the source was read. `must_confirm`:",
    "it was not, or not whole; a finding about such a limit is at most a review, and letters name it.",
    "`reference/limits.csv` of the site confirms, replaces or adds a limit ([inputs](../contract/inputs.md#I28)).",
    "Limits of apprentices hold below the age given, whatever the category. The skin is listed and not judged: no",
    "badge measures its local dose.",
)


def pages() -> dict[str, str]:
    """File name and Markdown of every page, the index README.md among them."""
    rules = _models("rules/_rules__models.yml")
    findings = _models("findings/_findings__models.yml")
    made = {f"{rule}.md": _page(rule, model, findings.get(f"finding_{rule}")) for rule, model in rules.items()}
    return made | {"limits.md": _limits(), "README.md": _index(rules)}


def _page(rule: str, model: dict[str, Any], finding: dict[str, Any] | None) -> str:
    meta = model["config"]["meta"]
    thresholds = _seed("alert_rules", rule)
    values = {row["name"]: f"{row['value']} {row['unit']}".removesuffix(" 1") for row in thresholds}  # 1: a pure number
    return (
        "\n".join(
            [
                f"# {rule}: {meta['question']}",
                MADE,
                "",
                f"**It fires when** {meta['fires_when'].format(**values)}",
                "",
                f"**Worked example.** {meta['example']}",
                "",
                "## Thresholds",
                *_threshold_table(thresholds),
                "",
                "Change one in `site.yaml`, or switch the rule off; a misspelt name stops the run. The letter says"
                " what a site has changed, and each finding's `rule_version` ends in `+site`.",
                "",
                *_how_to_change(rule, thresholds),
                "",
                "## False alarms",
                meta["false_alarms"].format(**values),
                "",
                _measured(rule),
                "",
                "## What a finding says",
                *_finding_columns(finding),
                "",
                "## Likeliest causes",
                *_advice(rule),
            ]
        )
        + "\n"
    )


def _threshold_table(thresholds: list[dict[str, str]]) -> Iterator[str]:
    yield "| name | default | unit | severity | who sees it | source |"
    yield "|---|---|---|---|---|---|"
    for row in thresholds:
        severity, audience = row["severity"] or "(a condition)", row["audience"] or ""
        yield f"| `{row['name']}` | {row['value']} | {row['unit']} | {severity} | {audience} | {row['source']} |"


def _how_to_change(rule: str, thresholds: list[dict[str, str]]) -> Iterator[str]:
    yield from ("```yaml", "alerts:")
    example = f"{thresholds[0]['name']}: {thresholds[0]['value']}" if thresholds else "enabled: false"
    yield f"  {rule}: {{{example}}}        # or {{enabled: false}}"
    yield "```"


def _measured(rule: str) -> str:
    """How often the rule fires on the paper preset: a row of the page of alert rates."""
    rates = (FOLDER.parent / "physicist" / "alert_rates.md").read_text("utf-8")
    row = next((line.split("|") for line in rates.splitlines() if line.startswith(f"| `{rule}` |")), None)
    of_paper = "No finding" if row is None else f"{row[3].strip()} findings, {row[5].strip()} an operator-month,"
    return (
        f"{of_paper} on the synthetic paper preset ([rates](../physicist/alert_rates.md)). At a site,"
        " `marts.fct_rule_outcome` counts how many were answered as false alarms."
    )


def _finding_columns(finding: dict[str, Any] | None) -> Iterator[str]:
    """What the columns mean that differ from rule to rule; the others are in the description of alerts.alert."""
    if finding is None:
        yield "See the description of `alerts.alert`."
        return
    yield finding["description"].strip()
    yield ""
    meanings = finding["config"]["meta"]["finding"]
    for column in ("quantity", "value", "threshold", "n_reference"):
        if column in meanings:
            yield f"* `{column}`: {meanings[column]}"


def _advice(rule: str) -> Iterator[str]:
    sentences = {row["advice_code"]: row["sentence"] for row in _seed("advice") if row["language"] == "en"}
    yield "Each finding carries the first that fits; a site can word it in `reference/advice.csv`"
    yield "(advice_code, language, sentence)."
    yield ""
    for row in _seed("advice_rule", rule):
        evidence = f"`{row['evidence']}`" if row["evidence"] else "else"
        yield f"* {evidence}, `{row['advice_code']}`: {sentences[row['advice_code']]}"


def _index(rules: dict[str, dict[str, Any]]) -> str:
    lines = [
        "# The alert rules",
        MADE,
        "",
        "What each asks, when it fires and what it rests on; every number is a row of",
        "`dbt_project/seeds/alert_rules.csv`. How often each fires at a site:",
        "`python -m orchestration.rule_docs.firing_rates <data_dir>/published/current/warehouse.duckdb`.",
        "",
        "| rule | question | severity | who sees it |",
        "|---|---|---|---|",
    ]
    for rule, model in rules.items():
        steps = [row for row in _seed("alert_rules", rule) if row["severity"]]
        severities = ", ".join(dict.fromkeys(row["severity"] for row in steps))
        audiences = ", ".join(dict.fromkeys(row["audience"] for row in steps))
        question = model["config"]["meta"]["question"]
        lines.append(f"| [{rule}]({rule}.md) | {question} | {severities} | {audiences} |")
    lines += ["", "Dose limits, with their sources: [limits](limits.md)."]
    return "\n".join(lines) + "\n"


def _limits() -> str:
    """Every dose limit with source and dates; what is not confirmed is for the medical physicist to confirm."""
    regimes = list(_regimes())
    lines = [
        "# The dose limits",
        MADE.replace("dbt_project", "dbt_project/seeds/dose_limits.csv and lens_regimes.csv"),
        "",
        *LIMITS_INTRODUCTION,
        "",
        "## Regimes of the lens of the eye",
        "`lens_regime` of `site.yaml`: `null` takes the default; `check` refuses one that is not in force.",
        "",
        "| jurisdiction | regime | default | valid from | valid to |",
        "|---|---|---|---|---|",
        *regimes,
    ]
    limits = _seed("dose_limits")
    for jurisdiction in dict.fromkeys(row["jurisdiction"] for row in limits):
        lines += [
            "",
            f"## {jurisdiction}",
            "| quantity | window | for | value, mSv | valid from | valid to | status | source | year |",
            "|---|---|---|---|---|---|---|---|---|",
            *(_limit_row(row) for row in limits if row["jurisdiction"] == jurisdiction),
        ]
    return "\n".join(lines) + "\n"


def _regimes() -> Iterator[str]:
    for row in _seed("lens_regimes"):
        default = "yes" if row["is_default"] == "true" else ""
        cells = (row["jurisdiction"], f"`{row['lens_regime']}`", default, row["valid_from"], row["valid_to"])
        yield f"| {' | '.join(cells)} |"


def _limit_row(row: dict[str, str]) -> str:
    group = row["applies_to"] + (f", below {row['below_age_years']}" if row["below_age_years"] else "")
    window = row["pregnancy_window"] or row["dose_window"]
    conditions = [f"regime `{row['lens_regime']}`"] if row["lens_regime"] else []
    if row["after_dose_msv"]:
        conditions.append(f"where {row['after_dose_msv']} mSv had been reached before the declaration")
    cells = (
        row["quantity"],
        ", ".join([window, *conditions]),
        group,
        row["value"],
        row["valid_from"],
        row["valid_to"],
        row["status"],
        row["source"],
        row["year"],
    )
    return f"| {' | '.join(cells)} |"


def _models(name: str) -> dict[str, dict[str, Any]]:
    path = DBT_PROJECT / "models" / "alerts" / name
    return {model["name"]: model for model in yaml.safe_load(path.read_text("utf-8"))["models"]}


def _seed(name: str, rule: str | None = None) -> list[dict[str, str]]:
    with (DBT_PROJECT / "seeds" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if rule is None or row["rule"] == rule]


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, "utf-8")
