"""What the synthetic hospital was drawn with is what its published tables show, computed by means of their own."""

from __future__ import annotations

import csv
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import pytest
from slow.orchestration.pages.conftest import Night

from synthetic_hospital import truth_folder

Floats = npt.NDArray[np.float64]
STANDARD_ERRORS = 4

# The dose of each event per KAP, on a logarithmic scale: what a procedure and a person have in common cancels below.
DOSES = """
    select
        doses.procedure_id || '/' || doses.operator_id as of_person,
        ln(doses.hp10_usv / events.kap_gy_cm2) as log_dose,
        sin(radians(events.primary_angle_deg)) as primary_sine,
        sin(radians(events.secondary_angle_deg)) as secondary_sine
    from marts.fct_operator_event as doses
    inner join marts.fct_irradiation_event as events using (irradiation_event_uid)
    inner join marts.fct_operator_procedure as people
        on doses.procedure_id = people.procedure_id and doses.operator_id = people.operator_id
    where list_contains($roles, people.role) and doses.hp10_usv > 0 and events.kap_gy_cm2 > 0
"""


GEOMETRY = (
    "source_to_isocenter_mm",
    "source_to_reference_point_mm",
    "source_to_detector_mm",
    "table_longitudinal_mm",
    "table_lateral_mm",
    "table_height_mm",
)


def truth_of(night: Night, name: str) -> list[dict[str, str]]:
    """Rows of a truth table of the hospital."""
    folder = truth_folder(site_folder(night))
    with (folder / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def site_folder(night: Night) -> Path:
    """Folder of the site that was published."""
    return next(parent for parent in night.folder.parents if (parent / "site.yaml").is_file())


def within(groups: npt.NDArray[np.int64], column: Floats) -> Floats:
    """Values less the mean of their group."""
    return column - (np.bincount(groups, column) / np.bincount(groups))[groups]


def test_the_published_doses_show_the_beam_directions_that_were_built_in(night: Night) -> None:
    built_in = {row["angle"]: row for row in truth_of(night, "truth_beam_effect")}
    slopes = np.array([float(built_in[angle]["log_dose_per_sine"]) for angle in ("primary", "secondary")])
    with duckdb.connect(night.folder / "warehouse.duckdb", read_only=True) as connection:
        rows = connection.execute(DOSES, {"roles": built_in["primary"]["roles"].split("|")}).fetchnumpy()
    _, group = np.unique(rows["of_person"].astype(str), return_inverse=True)
    sines = np.column_stack([within(group, rows["primary_sine"]), within(group, rows["secondary_sine"])])
    doses = within(group, rows["log_dose"])
    found = np.linalg.solve(sines.T @ sines, sines.T @ doses)
    rest = doses - sines @ found
    freedom = len(doses) - (group.max() + 1) - 2
    error = np.sqrt(np.diag(np.linalg.inv(sines.T @ sines)) * (rest @ rest) / freedom)
    assert freedom > 500
    assert (error < 0.1).all()
    assert (np.abs(found - slopes) < STANDARD_ERRORS * error).all()
    assert (found > 5 * error).all()


def test_places_distances_and_fields_are_published_as_the_truth_states_them(night: Night) -> None:
    columns = ", ".join((*GEOMETRY, "collimated_field_area_cm2"))
    with duckdb.connect(night.folder / "warehouse.duckdb", read_only=True) as connection:
        rows = connection.execute(
            f"select irradiation_event_uid, {columns} from marts.fct_irradiation_event"
        ).fetchall()
        missing = {text for (text,) in connection.execute("select missing from marts.fct_skin_dose").fetchall()}
    expected = {
        row["irradiation_event_uid"]: (
            *(float(row[name]) if row[name] else None for name in GEOMETRY),
            float(row["field_area_m2"]) * 10_000 if row["field_area_m2"] else None,
        )
        for row in truth_of(night, "truth_event")
    }
    assert len(rows) > 1000
    for uid, *found in rows:
        assert found == [None if value is None else pytest.approx(value, abs=2e-2) for value in expected[uid]], uid
    # Each maker leaves out what its real reports leave out.
    assert missing == {
        "orientation, patient size",
        "patient size",
        "table position, patient size",
        "field size, patient size",
    }


def test_children_are_published_with_their_age_and_compared_with_nobody(night: Night) -> None:
    ages = {row["study_instance_uid"]: int(row["patient_age_years"]) for row in truth_of(night, "truth_procedure")}
    with duckdb.connect(night.folder / "warehouse.duckdb", read_only=True) as connection:
        found = connection.execute("select study_instance_uid, patient_age_years from marts.fct_procedure").fetchall()
        judged = connection.execute(COMPARED).fetchall()
    assert {uid: ages[uid] for uid, _ in found} == dict(found)
    children = {uid for uid, age in found if age < 18}
    assert children
    assert judged
    assert children.isdisjoint(uid for (uid,) in judged)


COMPARED = """
    select procedures.study_instance_uid
    from alerts.alert
    inner join marts.fct_procedure as procedures using (procedure_id)
    where rule in ('procedure_dose', 'dose_per_kap', 'dose_to_c_arm', 'badge_not_worn')
    union all
    select procedures.study_instance_uid
    from marts.fct_dose_explanation
    inner join marts.fct_procedure as procedures using (procedure_id)
"""


def test_the_register_of_follow_ups_is_published_as_it_was_filled(night: Night) -> None:
    with duckdb.connect(night.folder / "warehouse.duckdb", read_only=True) as connection:
        rows = connection.execute(
            "select study_instance_uid, informed_on, seen_on, skin_grade from marts.fct_skin_followup"
            " inner join marts.fct_procedure using (procedure_id) where informed_on is not null"
        ).fetchall()
    found = {tuple("" if value is None else str(value) for value in row) for row in rows}
    names = ("study_instance_uid", "informed_on", "seen_on", "skin_grade")
    assert found == {tuple(row[name] for name in names) for row in truth_of(night, "truth_follow_up")}
    assert found
