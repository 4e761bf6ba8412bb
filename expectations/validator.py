"""The only place that knows Great Expectations: one frame in, the checks that do not hold out.

No file, no network, no store: an ephemeral context. Where frames come from and what a failure means is gate.py's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from expectations.suites import Expectation

Frame = Any  # a pandas data frame, as DuckDB makes it: pandas comes without types

LISTED = 1000  # rows that are named of those that break a check; the rest is only counted


@dataclass(frozen=True)
class Broken:
    """Rows of one frame that break a check: how many, and some of them (column -> value).

    ``reason`` is set instead where Great Expectations could not judge the column.
    """

    rows: int
    samples: list[Mapping[str, object]]
    reason: str | None = None


# frame, what is expected of which column, columns that name a row -> the columns that break it
Validate = Callable[[Frame, Mapping[str, Expectation], Sequence[str]], dict[str, Broken]]


def new_validator() -> Validate:
    """Great Expectations as one function. It is imported here because that takes seconds and only the gate needs it."""
    from expectations.great_expectations_lean import ProgressBarsConfig, gx, gxe

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    frames = context.data_sources.add_pandas("build").add_dataframe_asset("frame")
    batches = frames.add_batch_definition_whole_dataframe("whole")

    def judged(frame: Frame, expected: Mapping[str, Expectation], result_format: Mapping[str, object]) -> list[Any]:
        suite = gx.ExpectationSuite(
            name="one frame",
            expectations=[
                getattr(gxe, expectation.kind)(column=column, **expectation.arguments)
                for column, expectation in expected.items()
            ],
        )
        batch = batches.get_batch(batch_parameters={"dataframe": frame})
        outcome = batch.validate(suite, result_format=dict(result_format))
        return [result for result in outcome.results if result.expectation_config is not None and not result.success]

    def validate(frame: Frame, expected: Mapping[str, Expectation], keys: Sequence[str]) -> dict[str, Broken]:
        # Nearly always all is well, and to say no more than that takes half the time.
        broken = {_column(result) for result in judged(frame, expected, {"result_format": "BOOLEAN_ONLY"})}
        if not broken:
            return {}
        named = {
            "result_format": "SUMMARY",
            "unexpected_index_column_names": list(keys),
            "partial_unexpected_count": LISTED,
        }
        again = {column: expectation for column, expectation in expected.items() if column in broken}
        return {_column(result): _broken(result) for result in judged(frame, again, named)}

    return validate


def _column(result: Any) -> str:  # noqa: ANN401 - Great Expectations has no types here
    return str(result.expectation_config.kwargs["column"])


def _broken(result: Any) -> Broken:  # noqa: ANN401 - Great Expectations has no types here
    if "unexpected_count" not in result.result:
        return Broken(0, [], reason=_first_message(result.exception_info))
    return Broken(result.result["unexpected_count"], result.result.get("partial_unexpected_index_list", []))


def _first_message(exception_info: Mapping[str, Any]) -> str:
    """One exception, or one per metric that the expectation needs."""
    single = exception_info.get("exception_message")
    return str(single or next(info["exception_message"] for info in exception_info.values() if isinstance(info, dict)))
