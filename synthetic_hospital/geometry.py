"""Where the table and the detector were at each irradiation event, and how large the field was.

Belongs here: drawing the places, and the geometry that all makers' figures obey. Does not belong here: what a maker
states (report_files.py), and the beam's angles (hospital.py), on which the staff's dose depends.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import numpy as np

# Millimetres: sizes as in real dose reports of cardiology and radiology.
SOURCE_TO_DETECTOR_MM = (1050.0, 60.0)  # mean and standard deviation between events
LEAST_SOURCE_TO_DETECTOR_MM, MOST_SOURCE_TO_DETECTOR_MM = 900.0, 1195.0
TABLE_MM = ((0.0, 150.0), (0.0, 40.0), (180.0, 60.0))  # longitudinal, lateral, height of a procedure
TABLE_STEP_MM = (15.0, 8.0, 2.0)  # standard deviation from one event to the next
REFERENCE_POINT_MM = Decimal(150)  # before the isocentre, toward the source: IEC 60601-2-43


@dataclass(frozen=True, slots=True)
class Place:
    """Place of detector and table at one event."""

    source_to_detector_mm: Decimal
    table_longitudinal_mm: Decimal
    table_lateral_mm: Decimal
    table_height_mm: Decimal


def draw_places(rng: np.random.Generator, events: int) -> list[Place]:
    """One place per event of a procedure: the table wanders from where it was first."""
    means, spreads = (np.array(column) for column in zip(*TABLE_MM, strict=True))
    first = means + spreads * rng.standard_normal(3)
    steps = np.array(TABLE_STEP_MM) * rng.standard_normal((events, 3))
    steps[0] = 0
    table = first + np.cumsum(steps, axis=0)
    mean, spread = SOURCE_TO_DETECTOR_MM
    detector = np.clip(
        mean + spread * rng.standard_normal(events), LEAST_SOURCE_TO_DETECTOR_MM, MOST_SOURCE_TO_DETECTOR_MM
    )
    return [
        Place(Decimal(f"{distance:.0f}"), *(Decimal(f"{value:.1f}") for value in row))
        for distance, row in zip(detector.tolist(), table.tolist(), strict=True)
    ]


def field_area_cm2(kap_gy_cm2: Decimal, ka_r_mgy: Decimal, reference_mm: Decimal, detector_mm: Decimal) -> Decimal:
    """Area of the field at the detector: KAP is air kerma x area, and areas grow with the square of the distance."""
    return kap_gy_cm2 / (ka_r_mgy / 1000) * (detector_mm / reference_mm) ** 2
