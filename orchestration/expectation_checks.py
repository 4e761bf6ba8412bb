"""Each check of the gate as an asset check of its table: its spec, and what it found in the words of the Dagster UI.

Checks about a whole schema belong to the gate. Nothing is judged here: that is `expectations/gate.py`.
"""

import re
from collections.abc import Iterator

import dagster as dg

from expectations.contract import TABLES
from expectations.gate import CheckResult, Verdict
from expectations.suites import QUESTIONS, Check, Settings, checks
from orchestration.steps import GATE, JUDGED, JUDGED_TABLE

LONGEST_NAME = 100


def table_checks() -> list[dg.AssetCheckSpec]:
    """The checks of single tables, and the one that the gate waits for."""
    waits = dg.AssetCheckSpec(
        JUDGED,
        asset=JUDGED_TABLE,
        blocking=True,
        description="Every check of every table was evaluated, whether it holds or not: only then the gate decides.",
    )
    return [waits, *(_spec(check) for check in checks(Settings()) if check.table in TABLES)]


def schema_checks() -> list[dg.AssetCheckSpec]:
    """The checks of whole schemas."""
    return [_spec(check) for check in checks(Settings()) if check.table not in TABLES]


def results_of(verdict: Verdict, selected: set[dg.AssetCheckKey]) -> Iterator[dg.AssetCheckResult]:
    """The selected checks with severity, observed value, threshold and the keys of rows that break the rule."""
    for suite in verdict.suites:
        for result in suite.results:
            if key_of(result.check) in selected:
                yield _result(result)


def key_of(check: Check) -> dg.AssetCheckKey:
    """The table and the name of a check in Dagster; the name is the same from night to night, and so is its history."""
    is_of_table = check.table in TABLES
    about = [] if is_of_table else [check.table]
    about += [check.column] if "," not in check.column else []
    words = [re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_") for text in (*about, check.family or check.rule)]
    asset = dg.AssetKey(check.table.split(".")) if is_of_table else dg.AssetKey(GATE)
    return dg.AssetCheckKey(asset, "__".join(filter(None, words))[:LONGEST_NAME].rstrip("_"))


def _spec(check: Check) -> dg.AssetCheckSpec:
    key = key_of(check)
    return dg.AssetCheckSpec(
        key.name,
        asset=key.asset_key,
        description=f"{f'`{check.column}`: ' if check.column else ''}{check.rule}. {QUESTIONS[check.suite]}",
        metadata={
            "suite": check.suite,
            "effect": {"block": "blocks the publication, through the gate", "warn": "warns"}[check.severity],
            "risk": check.risk,
            "what_to_do": check.advice,
            "source": check.source,
        },
    )


def _result(result: CheckResult) -> dg.AssetCheckResult:
    check, failure, key = result.check, result.failure, key_of(result.check)
    severity = failure.severity if failure else check.severity
    values = check.values
    metadata: dict[str, dg.MetadataValue | str | int | float] = {
        "failing_rows": "not evaluated" if result.failing_rows is None else result.failing_rows,
        "allowed_failing_rows": 0,
    }
    seen = {"smallest_value": result.smallest, "largest_value": result.largest}
    metadata |= {name: value for name, value in seen.items() if value is not None}
    if values:
        bounds = {"lowest_allowed": values.low, "highest_allowed": values.high}
        metadata |= {name: value for name, value in bounds.items() if value is not None}
        metadata |= {"unit": values.unit or "ratio"}
    if failure:
        rows = [dg.TableRecord({"row": sample}) for sample in failure.samples]
        metadata |= {
            "failing_keys": dg.MetadataValue.table(rows) if rows else "none named",
            "sentence": failure.sentence,
        }
    return dg.AssetCheckResult(
        asset_key=key.asset_key,
        check_name=key.name,
        passed=failure is None,
        severity=dg.AssetCheckSeverity.ERROR if severity == "block" else dg.AssetCheckSeverity.WARN,
        metadata=metadata,
    )
