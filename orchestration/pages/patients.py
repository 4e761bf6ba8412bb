"""Patients: whose skin is to be followed up, and who was imaged so often that the dose adds up. Never a name."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import duckdb

from orchestration.pages.page import Frame, Page

STATES = ("overdue", "open", "informed", "seen")
KEY_LENGTH = 12  # characters of a patient key that are shown: they tell patients apart
RECURRENT_SHOWN = 50


@dataclass(frozen=True, slots=True)
class FollowUp:
    """One follow-up of a patient's skin, and where the beam came from that gave the highest estimate."""

    procedure_id: str
    patient_key: str | None
    accession_number: str | None
    procedure_type: str
    room: str
    day: date
    need: str
    state: str
    due_on: date | None
    informed_on: date | None
    seen_on: date | None
    second_seen_on: date | None
    skin_grade: int | None
    ka_r_mgy: float | None
    estimate_mgy: float | None
    upper_mgy: float | None
    primary_angle_deg: float | None
    secondary_angle_deg: float | None

    @property
    def has_direction(self) -> bool:
        """Tell whether both angles of the highest estimate are known."""
        return self.primary_angle_deg is not None and self.secondary_angle_deg is not None

    @property
    def is_done(self) -> bool:
        """Tell whether nothing is left to do, or only the second look months later."""
        return self.state == "seen" or (self.state == "informed" and self.due_on is None)

    @property
    def severity(self) -> str:
        """Urgent while the skin is to be examined; noticed while a patient is to be informed; good when it is done."""
        if self.state not in ("open", "overdue") and self.due_on is None:
            return "ok"
        return "notice" if self.need == "inform" else "urgent"


@dataclass(frozen=True, slots=True)
class Recurrent:
    """A patient whose effective dose reached 100 mSv in a window, the longest of the windows that did."""

    patient_key: str
    dose_window: str
    studies: int
    without_estimate: int
    effective_dose_msv: float


@dataclass(frozen=True, slots=True)
class PatientFigures:
    """What the page shows: follow-ups by state and date, patients of recurrent imaging by dose."""

    follow_ups: tuple[FollowUp, ...]
    recurrent: tuple[Recurrent, ...]

    @property
    def unfinished(self) -> int:
        """Number of follow-ups of which something is left to do."""
        return sum(not row.is_done for row in self.follow_ups)

    def in_state(self, state: str) -> tuple[FollowUp, ...]:
        """List the follow-ups in a state."""
        return tuple(row for row in self.follow_ups if row.state == state)


def patient_figures(connection: duckdb.DuckDBPyConnection) -> PatientFigures:
    """Read what the page shows from the published warehouse."""
    return PatientFigures(
        follow_ups=tuple(FollowUp(*row) for row in connection.execute(_FOLLOW_UPS).fetchall()),
        recurrent=tuple(Recurrent(*row) for row in connection.execute(_RECURRENT).fetchall()),
    )


def patients_page(connection: duckdb.DuckDBPyConnection, frame: Frame) -> Page:
    """Render the page."""
    values = {"states": STATES, "key_length": KEY_LENGTH, "shown": RECURRENT_SHOWN}
    return frame.page("patients.html", "patients.html.j2", figures=patient_figures(connection), **values)


_FOLLOW_UPS = """
    select
        followups.procedure_id, followups.patient_key, procedures.accession_number, procedures.procedure_type,
        coalesce(rooms.room_name, procedures.room_id), followups.procedure_date, followups.need, followups.state,
        followups.due_on, followups.informed_on, followups.seen_on, followups.second_seen_on, followups.skin_grade,
        coalesce(followups.ka_r_mgy, procedures.ka_r_mgy), skin.skin_dose_estimate_mgy, skin.skin_dose_upper_mgy,
        skin.primary_angle_deg, skin.secondary_angle_deg
    from marts.fct_skin_followup as followups
    inner join marts.fct_procedure as procedures on followups.procedure_id = procedures.procedure_id
    left join marts.dim_room as rooms on procedures.room_id = rooms.room_id
    left join marts.fct_skin_dose as skin on followups.procedure_id = skin.procedure_id
    where followups.state <> 'not_needed'
    order by coalesce(followups.due_on, followups.procedure_date) desc, followups.procedure_id
"""

_RECURRENT = """
    select patient_key, dose_window, studies, studies_without_estimate, effective_dose_estimate_msv
    from marts.fct_patient_exposure
    where is_100_msv_or_more
    qualify row_number() over (
        partition by patient_key order by list_position(['all', '5_years', '3_years', '1_year'], dose_window)
    ) = 1
    order by effective_dose_estimate_msv desc, patient_key
"""
