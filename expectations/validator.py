"""Great Expectations: three suites, one checkpoint, one batch; no other module imports it.

DuckDB is no data source of Great Expectations and pandas is, so the batch is a data frame of one row: for each check a
column with the number of rows that break it. Each expectation is that its column is 0. The context is ephemeral: no
file, no store, no network.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import great_expectations as gx
import pandas as pd
from great_expectations import expectations as gxe
from great_expectations.data_context.types.base import ProgressBarsConfig
from great_expectations.expectations.metadata_types import FailureSeverity

from expectations.suites import SUITES, Check, Severity, Suite

SEVERITY: Mapping[Severity, FailureSeverity] = {"block": FailureSeverity.CRITICAL, "warn": FailureSeverity.WARNING}


@dataclass(frozen=True)
class Result:
    """What Great Expectations found of one check.

    Attributes:
        success: whether the expectation is met.
        unexpected_rows: the observed value: how many rows break the rule; None if it could not be evaluated.
        exception: why it could not be evaluated.
    """

    success: bool
    unexpected_rows: int | None
    exception: str


def validate(checks: Sequence[Check], unexpected_rows: Mapping[str, int]) -> dict[str, Result]:
    """Runs a checkpoint with the three suites.

    Args:
        checks: the checks.
        unexpected_rows: how many rows break each check, by its name. A check that is missing here fails.

    Returns:
        The result of each check, by its name.
    """
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    build = context.data_sources.add_pandas("build").add_dataframe_asset("unexpected rows")
    batch = build.add_batch_definition_whole_dataframe("of this build")
    definitions = [
        context.validation_definitions.add(
            gx.ValidationDefinition(name=suite, data=batch, suite=context.suites.add(_expectations(suite, checks)))
        )
        for suite in SUITES
    ]
    checkpoint = context.checkpoints.add(gx.Checkpoint(name="gate", validation_definitions=definitions))
    outcome = checkpoint.run(batch_parameters={"dataframe": pd.DataFrame([unexpected_rows])})
    return dict(_named(result) for suite in outcome.run_results.values() for result in suite.results)


def _expectations(suite: Suite, checks: Sequence[Check]) -> gx.ExpectationSuite:
    return gx.ExpectationSuite(
        name=suite,
        expectations=[
            gxe.ExpectColumnMaxToBeBetween(
                column=check.name,
                max_value=0,
                severity=SEVERITY[check.severity],
                description=check.rule,
                notes=[check.risk, check.advice],
                meta={"table": check.table, "column": check.column, "source": check.source},
            )
            for check in checks
            if check.suite == suite
        ],
    )


def _named(result: Any) -> tuple[str, Result]:  # noqa: ANN401 - Great Expectations has no types here
    value = result.result.get("observed_value")
    exception = next(_messages(result.exception_info), "")
    return (
        result.expectation_config.kwargs["column"],
        Result(result.success, None if value is None else int(value), exception),
    )


def _messages(exception_info: Mapping[str, Any]) -> Iterator[str]:
    """One exception, or one for each metric that the expectation needs."""
    for info in (exception_info, *exception_info.values()):
        if isinstance(info, Mapping) and info.get("exception_message"):
            yield str(info["exception_message"])
