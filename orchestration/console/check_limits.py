"""`check`: whether the dose limits that site.yaml and operators.csv lead to are in force and as the site expects."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import date

from ingest.problems import Problem
from ingest.site.config import Site
from orchestration.product import DBT_PROJECT


def regime_problems(site: Site, as_of: date) -> list[Problem]:
    """A lens regime that the jurisdiction does not have on as_of: its own would be used instead."""
    stated, jurisdiction = site.config.lens_regime, site.config.jurisdiction
    in_force = [row["lens_regime"] for row in _seed("lens_regimes") if _holds(row, jurisdiction, as_of)]
    if stated is None or stated in in_force:
        return []
    known = f"it has {' and '.join(in_force)}" if in_force else "it has one limit for the lens of the eye"
    message = (
        f"{jurisdiction} does not have {stated} on {as_of}; {known}. Write null: then the jurisdiction's own is used"
        " (docs/rules/limits.md)."
    )
    return [Problem("site.yaml", None, "lens_regime", message)]


def limit_warnings(site: Site, as_of: date) -> Iterator[str]:
    """What is no mistake, and leads to other limits than a reader may expect."""
    jurisdiction = site.config.jurisdiction
    if not any(_holds(row, jurisdiction, as_of) for row in _seed("dose_limits")):
        yield (
            f"site.yaml, jurisdiction: no dose limit of {jurisdiction} is known for {as_of}; give them in"
            " reference/limits.csv."
        )
    for row in site.reference["operators"].rows:
        if row["worker_category"] == "apprentice" and row["birth_date"] is None:
            yield (
                f"reference/operators.csv, {row['operator_id']}: an apprentice without birth_date has the limits of"
                " adults; those of apprentices go by age."
            )


def _holds(row: dict[str, str], jurisdiction: str, as_of: date) -> bool:
    begin, end = row["valid_from"] or "0001-01-01", row["valid_to"] or "9999-12-31"
    return row["jurisdiction"] == jurisdiction and begin <= as_of.isoformat() <= end


def _seed(name: str) -> list[dict[str, str]]:
    with (DBT_PROJECT / "seeds" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
