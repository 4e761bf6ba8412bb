"""What letters state about a procedure with an open finding, and about each operator's dose in it.

Only reading is here, from published files. How it is worded is in letters/cards.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from orchestration.publication.published_files import open_published


@dataclass(frozen=True, slots=True)
class Procedure:
    """A procedure as the RIS and the dose report have it; ``started_at`` is local time of the site."""

    procedure_id: str
    procedure_type: str
    room_id: str
    day: date
    started_at: datetime | None = None
    accession_number: str | None = None
    ka_r_mgy: float | None = None
    kap_gy_cm2: float | None = None
    fluoro_time_s: float | None = None


@dataclass(frozen=True, slots=True)
class SkinFollowup:
    """What a patient's skin needs after a procedure, and what is done: a row of marts.fct_skin_followup."""

    need: str
    state: str
    due_on: date | None = None
    informed_on: date | None = None
    seen_on: date | None = None
    second_seen_on: date | None = None


@dataclass(frozen=True, slots=True)
class OwnDose:
    """One operator's dose in one procedure, and what explains it.

    Attributes:
        hp10_ratio: the dose as a multiple of what is usual for class and role group; the product of the three factors.
        kap_factor: the radiation used as a multiple of what is usual.
        scatter_factor: the same of the C-arm's dose for the radiation used.
        protection_factor: the same of the share of the C-arm's dose that reached the operator.
        main_cause: as in marts.fct_dose_explanation; None where the dose is not explained.
    """

    hp10_usv: float | None = None
    c_arm_dose_usv: float | None = None
    hp10_ratio: float | None = None
    main_cause: str | None = None
    kap_factor: float | None = None
    scatter_factor: float | None = None
    protection_factor: float | None = None


@dataclass(frozen=True, slots=True)
class Details:
    """Procedures and follow-ups of the skin by procedure_id, doses by procedure_id and operator_id."""

    procedures: Mapping[str, Procedure] = field(default_factory=dict)
    doses: Mapping[tuple[str, str], OwnDose] = field(default_factory=dict)
    followups: Mapping[str, SkinFollowup] = field(default_factory=dict)


def read_details(warehouse: Path, zone: ZoneInfo) -> Details:
    """Read the procedures that have an open finding from a published ``warehouse.duckdb``.

    Raises:
        duckdb.Error: the file is missing, or is not one of the output contract.
    """
    with open_published(warehouse) as connection:
        procedures = [
            Procedure(procedure_id, procedure_type, room_id, day, begin and begin.astimezone(zone), *doses)
            for procedure_id, procedure_type, room_id, day, begin, *doses in connection.execute(_PROCEDURES).fetchall()
        ]
        doses = {
            (procedure_id, operator_id): OwnDose(*row)
            for procedure_id, operator_id, *row in connection.execute(_DOSES).fetchall()
        }
        followups = {
            procedure_id: SkinFollowup(*row) for procedure_id, *row in connection.execute(_FOLLOWUPS).fetchall()
        }
    return Details({procedure.procedure_id: procedure for procedure in procedures}, doses, followups)


_OPEN = "(select procedure_id from alerts.alert where state = 'open')"

_PROCEDURES = f"""
    select
        procedure_id, procedure_type, room_id, procedure_date, started_at, accession_number,
        ka_r_mgy, kap_gy_cm2, fluoro_time_s
    from marts.fct_procedure
    where procedure_id in {_OPEN}
"""

_DOSES = f"""
    select
        doses.procedure_id, doses.operator_id, doses.hp10_usv, procedures.c_arm_dose_usv, explained.hp10_ratio,
        explained.main_cause, explained.kap_factor, explained.scatter_factor, explained.protection_factor
    from marts.fct_operator_procedure as doses
    inner join marts.fct_procedure as procedures using (procedure_id)
    left join marts.fct_dose_explanation as explained
        on doses.procedure_id = explained.procedure_id and doses.operator_id = explained.operator_id
    where doses.procedure_id in {_OPEN}
"""

_FOLLOWUPS = f"""
    select procedure_id, need, state, due_on, informed_on, seen_on, second_seen_on
    from marts.fct_skin_followup
    where procedure_id in {_OPEN}
"""
