"""How often each rule fires on the paper preset, before and after contract version 2, beside chance and the literature.

Only counting and layout are here. `python -m orchestration.rule_docs.alert_rates WAREHOUSE` writes
docs/physicist/alert_rates.md from a published warehouse of that preset; alert_rates_before.csv beside it is the base.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import comb
from pathlib import Path

import duckdb

from orchestration.product import DBT_PROJECT
from orchestration.publication.published_files import open_published

PAGE = DBT_PROJECT.parent / "docs" / "physicist" / "alert_rates.md"
BEFORE = PAGE.with_name("alert_rates_before.csv")
# The rules that the rule persistent counts.
COUNTED = ("procedure_dose", "dose_per_kap", "dose_to_c_arm")
FORMER_LAST, FORMER_LEAST = 10, 3  # persistent, before: 3 of the last 10


@dataclass(frozen=True, slots=True)
class RuleCount:
    """Findings of one rule and severity."""

    rule: str
    severity: str
    findings: int


@dataclass(frozen=True, slots=True)
class Counts:
    """Findings of a site, and what they are counted against.

    Attributes:
        operator_months: months of operators with a procedure.
        judged: doses of operators in procedures.
        with_finding: those of them that have a finding that the rule persistent counts.
    """

    rules: tuple[RuleCount, ...]
    operator_months: int
    judged: int
    with_finding: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """A figure of the literature and the same of this site, in percent; None where the site has no such procedure."""

    what: str
    subset: str
    published: float
    n: int
    measured: float | None


def read_counts(warehouse: Path) -> Counts:
    """Count the findings of a published warehouse.

    Raises:
        duckdb.Error: the file is missing, or is not one of the output contract.
    """
    with open_published(warehouse) as con:
        rules = con.execute(_RULES).fetchall()
        return Counts(
            tuple(RuleCount(*row) for row in rules),
            _number(con, _OPERATOR_MONTHS),
            _number(con, _JUDGED),
            _number(con, _WITH_FINDING, [list(COUNTED)]),
        )


def read_before(path: Path = BEFORE) -> Counts:
    """Read the counts of the tree before contract version 2."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    totals = {row["rule"]: int(row["findings"]) for row in rows if not row["severity"]}
    rules = tuple(RuleCount(row["rule"], row["severity"], int(row["findings"])) for row in rows if row["severity"])
    return Counts(rules, **totals)


def write_before(counts: Counts) -> str:
    """The same counts as the text of alert_rates_before.csv; totals have no severity."""
    totals = [(name, "", getattr(counts, name)) for name in ("operator_months", "judged", "with_finding")]
    rows = [
        ("rule", "severity", "findings"),
        *((row.rule, row.severity, row.findings) for row in counts.rules),
        *totals,
    ]
    return "".join(f"{','.join(map(str, row))}\n" for row in rows)


def read_comparisons(warehouse: Path) -> tuple[Comparison, ...]:
    """Compare the distributions with the published figures, in the same subsets.

    Raises:
        duckdb.Error: the file is missing, or is not one of the output contract.
    """
    with open_published(warehouse) as con:
        return tuple(
            Comparison(what, subset, published, *con.execute(query).fetchall()[0])
            for what, subset, published, query in PUBLISHED
        )


def chance_of_persistent(share: float) -> float:
    """How often chance alone gave the former rule persistent, if each procedure has a finding with this probability."""
    return sum(
        comb(FORMER_LAST, k) * share**k * (1 - share) ** (FORMER_LAST - k) for k in range(FORMER_LEAST, FORMER_LAST + 1)
    )


def page(before: Counts, after: Counts, comparisons: Sequence[Comparison]) -> str:
    """The page as Markdown."""
    return "\n".join([*_introduction(before, after), *_rates(before, after), *_literature(comparisons)]) + "\n"


def _introduction(before: Counts, after: Counts) -> Iterator[str]:
    yield "# How often the rules fire"
    yield "<!-- Made by python -m orchestration.rule_docs.alert_rates WAREHOUSE: change it there. -->"
    yield ""
    yield "The paper preset (`doseledger demo --preset paper`, 30 September 2024), contract version 2:"
    for when, counts in (("before", before), ("after", after)):
        yield f"{when} {counts.operator_months} operator-months and {counts.judged} doses of operators in procedures."
    yield "The counts before are of the preset as it was until beam directions and children were built into it."
    yield "All of it is synthetic: rates of a hospital are its own"
    yield "(`python -m orchestration.rule_docs.firing_rates`, `marts.fct_rule_outcome`)."
    yield ""


def _rates(before: Counts, after: Counts) -> Iterator[str]:
    yield "## Findings by rule"
    yield "| rule | before | after | before, per operator-month | after, per operator-month | chance alone |"
    yield "|---|---:|---:|---:|---:|---|"
    for rule in dict.fromkeys(row.rule for counts in (after, before) for row in counts.rules):
        cells = [_cell(rule, counts) for counts in (before, after)]
        per_month = [f"{_findings(rule, counts) / counts.operator_months:.2f}" for counts in (before, after)]
        yield f"| `{rule}` | {' | '.join((*cells, *per_month, _chance(rule, before)))} |"
    yield ""


def _cell(rule: str, counts: Counts) -> str:
    """All findings of a rule, and by severity where it has several."""
    of_rule = [row for row in counts.rules if row.rule == rule]
    severities = f" ({', '.join(f'{row.findings} {row.severity}' for row in of_rule)})" if len(of_rule) > 1 else ""
    return f"{_findings(rule, counts)}{severities}"


def _findings(rule: str, counts: Counts) -> int:
    return sum(row.findings for row in counts.rules if row.rule == rule)


def _chance(rule: str, before: Counts) -> str:
    if rule in ("procedure_dose", "dose_per_kap"):
        return "a quarter of all doses is above a third quartile by definition; the floor takes the small ones out"
    if rule == "persistent":
        former = chance_of_persistent(before.with_finding / before.judged)
        return f"before {100 * former:.0f} % of looks; after below 0.1 % of looks, by the rule itself"
    return "none stated: fixed threshold"


def _literature(comparisons: Sequence[Comparison]) -> Iterator[str]:
    yield "## Distributions beside the literature"
    yield "First operators only, in the subsets that the published figures are of."
    yield ""
    yield "| figure | subset | published | this preset | n |"
    yield "|---|---|---:|---:|---:|"
    for row in comparisons:
        measured = "" if row.measured is None else f"{row.measured:.1f} %"
        yield f"| {row.what} | {row.subset} | {row.published} % | {measured} | {row.n} |"
    yield ""
    yield from SOURCES


def _number(con: duckdb.DuckDBPyConnection, query: str, parameters: Sequence[object] = ()) -> int:
    return int(con.execute(query, list(parameters)).fetchall()[0][0])


_RULES = "select rule, severity, count(*) from alerts.alert group by rule, severity order by rule, severity"
_OPERATOR_MONTHS = "select count(*) from marts.fct_operator_month where procedures > 0"
_JUDGED = "select count(*) from marts.fct_operator_procedure where hp10_usv is not null"
_WITH_FINDING = """
    select count(distinct (procedure_id, operator_id)) from alerts.alert where list_contains(?, rule)
"""
_FIRST_OPERATORS = """
    from marts.fct_operator_procedure
    inner join marts.fct_procedure using (procedure_id)
    where role = 'first_operator' and hp10_usv is not null
"""
_SHARE_ABOVE = "select count(*), 100.0 * count(*) filter (hp10_usv > {}) / nullif(count(*), 0)"
_RADIOLOGY = f"{_FIRST_OPERATORS} and fct_procedure.specialty = 'radiology'"
_MEDIAN_SHARE = "select count(*), median(hp10_to_c_arm_percent)"

SOURCES = (
    "Published: Vano et al. 2024, Phys Med 121:103361 (one interventional radiology laboratory); Sanchez, Vano and",
    "Fernandez, CVIR Endovascular 2026 (share of the C-arm's dose). No published figure was at hand for dose per KAP",
    "and for the third quartile of a class.",
)
# Figure, subset, published value in percent, and the query for number and value.
PUBLISHED = (
    ("doses above 100 µSv", "interventional radiology", 8.4, _SHARE_ABOVE.format(100) + _RADIOLOGY),
    ("doses above 200 µSv", "interventional radiology", 3.8, _SHARE_ABOVE.format(200) + _RADIOLOGY),
    (
        "median share of the C-arm's dose",
        "KAP above 100 Gy·cm²",
        3.3,
        f"{_MEDIAN_SHARE} {_FIRST_OPERATORS} and kap_gy_cm2 > 100 and hp10_to_c_arm_percent is not null",
    ),
)


if __name__ == "__main__":
    of_now = Path(sys.argv[1])
    PAGE.write_text(page(read_before(), read_counts(of_now), read_comparisons(of_now)), "utf-8")
