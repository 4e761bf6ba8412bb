"""How often each alert rule fires at a site: rows judged, findings, share; read from a published warehouse.

Only counting is here. `python -m orchestration.rule_docs.firing_rates WAREHOUSE` prints a Markdown table.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from orchestration.publication.published_files import open_published

# What each rule judges, as SQL on the published tables; a rule that is not here judges its findings only.
_PROCEDURES_WITH_DOSE = "select count(*) from marts.fct_operator_procedure where hp10_usv is not null"
JUDGED: dict[str, tuple[str, str]] = {
    "procedure_dose": ("operators in procedures with Hp(10)", _PROCEDURES_WITH_DOSE),
    "dose_per_kap": (
        "operators in procedures with Hp(10) and KAP",
        f"{_PROCEDURES_WITH_DOSE} and hp10_per_kap_usv_per_gy_cm2 is not null",
    ),
    "dose_to_c_arm": (
        "operators in procedures with Hp(10) and C-arm dose",
        f"{_PROCEDURES_WITH_DOSE} and hp10_to_c_arm_percent is not null",
    ),
    "absolute_dose": ("operators in procedures with Hp(10)", _PROCEDURES_WITH_DOSE),
    "persistent": ("operators in procedures with Hp(10)", _PROCEDURES_WITH_DOSE),
    "badge_not_worn": ("operators in procedures", "select count(*) from marts.fct_operator_procedure"),
    "badge_mismatch": (
        "badge results of operators",
        "select count(distinct (source_id, dosimeter_serial, started_at)) from ledger.unlinked_dose"
        " where reason in ('passive_period', 'below_detection') and operator_id is not null",
    ),
    "monthly_dose": ("operator-months", "select count(*) from marts.fct_operator_month"),
    "dose_limit": ("operators, limits and windows", "select count(*) from marts.fct_operator_limit"),
    "patient_dose": ("procedures", "select count(*) from marts.fct_procedure"),
    "reference_level": (
        "classes and quantities with a level and enough procedures",
        "select count(*) from marts.fct_reference_level where room_id is null and status in ('above', 'at_or_below')",
    ),
    "data_quality": (
        "room-days with procedures",
        "select count(*) from (select distinct room_id, procedure_date from marts.fct_procedure)",
    ),
}


@dataclass(frozen=True, slots=True)
class FiringRate:
    """How often one rule fired."""

    rule: str
    judged_what: str
    judged: int
    findings: int

    @property
    def share(self) -> float | None:
        """Findings per row judged; None if nothing was judged."""
        return self.findings / self.judged if self.judged else None


def firing_rates(warehouse: Path) -> list[FiringRate]:
    """Count what each rule judged and found.

    Raises:
        duckdb.Error: the file is missing, or is not one of the output contract.
    """
    with open_published(warehouse) as con:
        found = dict(con.execute("select rule, count(*) from alerts.alert group by rule").fetchall())
        return [
            FiringRate(rule, what, con.execute(query).fetchall()[0][0], found.get(rule, 0))
            for rule, (what, query) in JUDGED.items()
        ]


def markdown(rates: list[FiringRate]) -> str:
    """A table for the documentation."""
    rows = [
        f"| `{rate.rule}` | {rate.judged_what} | {rate.judged} | {rate.findings} |"
        f" {'' if rate.share is None else f'{100 * rate.share:.1f} %'} |"
        for rate in rates
    ]
    return "\n".join(["| rule | judged | n | findings | share |", "|---|---|---:|---:|---:|", *rows])


if __name__ == "__main__":
    sys.stdout.write(markdown(firing_rates(Path(sys.argv[1]))) + "\n")
