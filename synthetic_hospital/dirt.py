"""What goes wrong in a synthetic hospital, and how often: tables of rates only.

Belongs here: rates, sizes and their source. Does not belong here: drawing what is hit (room_clocks.py, wearing.py,
report_files.py, export_files.py). Every kind of dirt is in the truth tables, too.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Dirt:
    """Shares are from 0 to 1; a share of reports above 0 hits one report at least.

    Attributes:
        resent: reports that come twice, the same bytes.
        cumulative: reports before whose last version one to three interim ones came.
        continued: studies with two reports of different events.
        missing: procedures whose report was never sent.
        without_totals: reports without accumulated dose.
        wrong_accession: reports with another accession number than the logbook's.
        wrong_patient: reports that came under another patient first and were corrected (same SOP Instance UID).
        name_in_text: reports with the patient's family name in the study description.
        unworn, unworn_by_one: badges left in the drawer, per person and procedure; one operator does it more often.
        swapped: procedures in which two operators took each other's badge.
        two_rooms: procedures to which somebody comes out of another room's, which goes on without him or her.
        modality_clock_sd_s: modality clock against true time after each setting, standard deviation.
        modality_drift_s_per_day: its drift since, least and most.
        modality_set_every_days: how often service sets it.
        slow_hub_s, slow_hub_from_day, slow_hub_days: one hub's clock is off for so many days.
        clock_fault_s: the clocks of the first department's badges are off by this, always.
        dead_reference_days: so long one C-arm badge is dead.
        retaped_factor: what another C-arm badge shows of its former dose after it was taped elsewhere.
        corrected_rows: rows of an export that a later one of the same week corrects.
        has_broken_exports: one export breaks off within a line and comes again, once with its rates in mSv/h.
    """

    resent: float = 0.0
    cumulative: float = 0.0
    continued: float = 0.0
    missing: float = 0.0
    without_totals: float = 0.0
    wrong_accession: float = 0.0
    wrong_patient: float = 0.0
    name_in_text: float = 0.0
    unworn: float = 0.0
    unworn_by_one: float = 0.0
    swapped: float = 0.0
    two_rooms: float = 0.0
    modality_clock_sd_s: float = 0.0
    modality_drift_s_per_day: tuple[float, float] = (0.0, 0.0)
    modality_set_every_days: int = 30
    slow_hub_s: float = 0.0
    slow_hub_from_day: int = 0
    slow_hub_days: int = 0
    clock_fault_s: float = 0.0
    dead_reference_days: int = 0
    retaped_factor: float = 1.0
    corrected_rows: int = 0
    has_broken_exports: bool = False


# The README's demo: clocks agree, every badge is worn; only reports are as untidy as everywhere.
TIDY = Dirt(resent=0.03, cumulative=0.005, missing=0.005, name_in_text=0.01)

# Assumptions of the size that medical physicists tell of; none is fitted to this product. DICOM PS3.17 R.6 names
# clocks that drift by 1 to 10 s a day and are minutes off.
UNTIDY = Dirt(
    resent=0.08,
    cumulative=0.05,
    continued=0.02,
    missing=0.01,
    without_totals=0.005,
    wrong_accession=0.01,
    wrong_patient=0.001,
    name_in_text=0.002,
    unworn=0.06,
    unworn_by_one=0.30,
    swapped=0.005,
    two_rooms=0.03,
    modality_clock_sd_s=20.0,
    modality_drift_s_per_day=(0.5, 2.0),
    slow_hub_s=-420.0,
    slow_hub_from_day=40,
    slow_hub_days=21,
    dead_reference_days=3,
    retaped_factor=0.6,
    corrected_rows=40,
    has_broken_exports=True,
)
