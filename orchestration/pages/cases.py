"""The procedures with open findings: each with the people in it, their dose against usual, and its three factors."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime

import duckdb

from orchestration.figures.open_findings import Finding

SEVERITIES = ("urgent", "review", "notice")


@dataclass(frozen=True, slots=True)
class Person:
    """One operator in a procedure; the factors are None where the dose cannot be compared.

    Attributes:
        n_reference: procedures of class and role group that the dose is compared with.
        why_not_split: the first reason for which a dose that is not compared is not (few: procedures to compare with).
        least: what the reason asks for at least, in the unit of what is too small; None where there is no reading.
        c_arm_share: own dose as a share of the C-arm badge's.
        findings: open findings of this person in this procedure, the gravest first.
    """

    operator_id: str
    role_group: str
    why_not_split: str
    least: float | None
    hp10_usv: float | None = None
    badge_status: str | None = None
    dosimeter_serial: str | None = None
    link_confidence: str | None = None
    c_arm_share: float | None = None
    n_reference: int | None = None
    usual_usv: float | None = None
    ratio: float | None = None
    radiation: float | None = None
    geometry: float | None = None
    protection: float | None = None
    main_cause: str | None = None
    findings: tuple[Finding, ...] = ()

    @property
    def factors(self) -> tuple[tuple[str, float], ...]:
        """The three factors with their causes, in the order in which they multiply."""
        if self.radiation is None or self.geometry is None or self.protection is None:
            return ()
        return (("radiation", self.radiation), ("geometry", self.geometry), ("protection", self.protection))

    def is_main(self, factor: str) -> bool:
        """Tell whether a factor is the main cause of the dose."""
        return self.main_cause == factor or (factor == "geometry" and self.main_cause == "c_arm_badge_or_room")


@dataclass(frozen=True, slots=True)
class Case:
    """A procedure, its people with findings or all of them, and the findings about its patient."""

    procedure_id: str
    procedure_type: str
    room: str
    day: date
    started_at: datetime | None
    ended_at: datetime | None
    accession_number: str | None
    kap_gy_cm2: float | None
    ka_r_mgy: float | None
    fluoro_time_s: float | None
    c_arm_usv: float | None
    irradiation_events: int
    people: tuple[Person, ...] = ()
    findings: tuple[Finding, ...] = field(default=())  # of the patient or the procedure, of no person

    @property
    def all_findings(self) -> tuple[Finding, ...]:
        """Findings of the procedure and of its people."""
        return (*self.findings, *(finding for person in self.people for finding in person.findings))

    @property
    def severity(self) -> str | None:
        """The gravest severity of the findings; None without any."""
        return min((finding.severity for finding in self.all_findings), key=SEVERITIES.index, default=None)

    @property
    def highest_ratio(self) -> float:
        """The highest dose against usual of a person with a finding; 0 where none can be compared."""
        return max((person.ratio or 0.0 for person in self.people if person.findings), default=0.0)


def read_cases(
    connection: duckdb.DuckDBPyConnection, findings: Mapping[str, Sequence[Finding]], procedure_ids: list[str]
) -> list[Case]:
    """Read procedures by their ids, with all their people."""
    people = defaultdict(list)
    for procedure_id, operator_id, *row in connection.execute(_PEOPLE, [procedure_ids]).fetchall():
        own = tuple(f for f in findings.get(procedure_id, ()) if f.operator_id == operator_id)
        people[procedure_id].append(replace(Person(operator_id, *row), findings=own))
    cases = [Case(*row) for row in connection.execute(_CASES, [procedure_ids]).fetchall()]
    return [
        replace(
            case,
            people=tuple(people[case.procedure_id]),
            findings=tuple(f for f in findings.get(case.procedure_id, ()) if not f.operator_id),
        )
        for case in cases
    ]


def by_gravity(case: Case) -> tuple[int, float, float]:
    """Order cases: the gravest first, of equal ones the highest dose against usual, then the newest."""
    severity = SEVERITIES.index(case.severity) if case.severity else len(SEVERITIES)
    return severity, -case.highest_ratio, -case.day.toordinal()


_CASES = """
    select
        procedure_id, procedure_type, coalesce(room_name, procedures.room_id), procedure_date, started_at, ended_at,
        accession_number, kap_gy_cm2, ka_r_mgy, fluoro_time_s, c_arm_dose_usv, irradiation_events
    from marts.fct_procedure as procedures
    left join marts.dim_room as rooms on procedures.room_id = rooms.room_id
    where procedure_id in (select unnest(?))
    order by started_at desc nulls last, procedure_id
"""

_PEOPLE = """
    select
        doses.procedure_id, doses.operator_id, doses.role_group,
        case
            when doses.hp10_usv is null then 'no_dose'
            when doses.hp10_usv < least.hp10_usv then 'low_dose'
            when coalesce(procedures.kap_gy_cm2, 0) < least.kap_gy_cm2 then 'no_kap'
            when coalesce(procedures.c_arm_dose_usv, 0) < least.c_arm_usv then 'no_c_arm'
            else 'few'
        end as why_not_split,
        case why_not_split
            when 'low_dose' then least.hp10_usv
            when 'no_kap' then least.kap_gy_cm2
            when 'no_c_arm' then least.c_arm_usv
            when 'few' then least.n_reference
        end,
        doses.hp10_usv, doses.badge_status, doses.dosimeter_serial, doses.link_confidence,
        doses.hp10_to_c_arm_percent / 100, explained.n_reference, explained.usual_hp10_usv, explained.hp10_ratio,
        explained.kap_factor, explained.scatter_factor, explained.protection_factor, explained.main_cause
    from marts.fct_operator_procedure as doses
    inner join marts.fct_procedure as procedures on doses.procedure_id = procedures.procedure_id
    cross join (
        select
            max(value) filter (name = 'min_hp10') as hp10_usv, max(value) filter (name = 'min_kap') as kap_gy_cm2,
            max(value) filter (name = 'min_c_arm_dose') as c_arm_usv,
            max(value) filter (name = 'min_reference') as n_reference
        from marts.dim_comparison_threshold
    ) as least
    left join marts.fct_dose_explanation as explained
        on doses.procedure_id = explained.procedure_id and doses.operator_id = explained.operator_id
    where doses.procedure_id in (select unnest(?))
    order by
        list_position(['first_operator', 'assisting', 'nurse', 'technologist', 'other'], doses.role_group),
        doses.hp10_usv desc nulls last, doses.operator_id
"""
