"""The typed records that readers hand to the raw tables: what one dose report or one export row says.

Only plain frozen data lives here. Reading (DICOM, CSV), storing (DuckDB) and deciding (dbt) live elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Literal, NamedTuple, TypedDict

import pyarrow as pa

FileKind = Literal["dose_report", "dosimeter"]
Plane = Literal["single", "A", "B"]
Modality = Literal["projection", "ct"]
EventType = Literal[
    "fluoroscopy", "stationary_acquisition", "stepping_acquisition", "rotational_acquisition", "ct_acquisition", "other"
]
TimeRule = Literal["suffix", "header_offset", "zone"]


class Refused(Exception):
    """A file that is not loaded, with the status and the one sentence that the file ledger keeps.

    Attributes:
        status: ``not_dose`` (a legal object of another kind), ``ignored`` (a temporary or hidden file by its name) or
            ``quarantined`` (damaged, unknown or unmapped).
        reason: one sentence for a person, free of patient data.
        patient: whose object it is, where that can be read all the same: its path is de-identified.
        statement: what an export states that could be read and is refused all the same.
    """

    def __init__(
        self,
        status: Literal["not_dose", "ignored", "quarantined"],
        reason: str,
        patient: Patient | None = None,
        statement: tuple[Stated, ...] = (),
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.patient = patient
        self.statement = statement

    def __reduce__(self) -> tuple[type[Refused], tuple[object, ...]]:  # it comes back from reading processes
        return Refused, (self.status, self.reason, self.patient, self.statement)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something odd in an input that did not prevent loading the rest of it.

    Attributes:
        code: short machine name, e.g. ``unknown_unit``, ``charset_fallback``, ``refused_row``.
        message: one sentence for a person, free of patient data.
        line: line in a CSV file, else None.
        field: column or DICOM concept concerned, else None.
    """

    code: str
    message: str
    line: int | None = None
    field: str | None = None


@dataclass(frozen=True, slots=True)
class Total:
    """One stated total of an accumulated-dose container.

    Attributes:
        plane: acquisition plane of the container (``single`` for CT and where the report says All planes).
        quantity: ``kap``, ``kap_fluoro``, ``kap_acquisition`` (Gy.cm2), ``ka_r``, ``ka_r_fluoro``,
            ``ka_r_acquisition`` (mGy), ``fluoro_time``, ``acquisition_time`` (s), ``dlp`` (mGy.cm),
            ``agd_left``, ``agd_right``, and ``agd`` of a breast that is not said (mGy).
        value: in the unit above, exact.
    """

    plane: Plane
    quantity: str
    value: Decimal


class Filter(TypedDict):
    """One X-ray filter: material (a name of codes.MATERIALS, ``none``, or SCHEME:code) and thickness in mm."""

    material: str | None
    minimum_mm: Decimal | None
    maximum_mm: Decimal | None


class IrradiationEvent(NamedTuple):  # a hospital's first night makes a hundred thousand: see DoseRow
    """One irradiation event (TID 10003, 10013 or 10042). None means that the report does not say it; it is never 0.

    Attributes:
        event_no: position in the document, from 1.
        event_uid: Irradiation Event UID; ``is_uid_made`` tells that it is a hash, for want of an own one.
        started_local: DateTime Started as written, without zone; None if unreadable.
        utc_offset_min: minutes east of UTC, from the value's suffix or (0008,0201); None: the room's zone decides.
        duration_s: Irradiation Duration (113742) only.
        pulse_rate_per_s, number_of_pulses: for a duration where 113742 is missing.
        exposure_time_ms: 113824 or retired 113735; evidence only, never a duration.
        kap_gy_cm2, ka_r_mgy: 122130 and 113738 in canonical units, uncorrected.
        dlp_mgy_cm, ctdi_vol_mgy, ctdi_phantom: CT (113838, 113830, 113835 as head_16 or body_32).
        dlp_alert_value_mgy_cm and the like: CT dose check (TID 10015).
        agd_mgy, laterality: mammography (111631; left or right).
        has_breast_item: an average glandular dose or compression item is there, whether or not it holds a value.
        copper_filter_mm: sum over copper filters of the maximum, else minimum thickness; 0 only where none is said.
    """

    event_no: int
    event_uid: str
    is_uid_made: bool
    plane: Plane
    event_type: EventType
    started_raw: str | None
    started_local: datetime | None
    utc_offset_min: int | None
    time_rule: TimeRule
    duration_s: Decimal | None = None
    number_of_pulses: Decimal | None = None
    pulse_rate_per_s: Decimal | None = None
    pulse_width_ms: Decimal | None = None
    fluoro_mode: str | None = None
    exposure_time_ms: Decimal | None = None
    kap_gy_cm2: Decimal | None = None
    ka_r_mgy: Decimal | None = None
    kvp: Decimal | None = None
    tube_current_ma: Decimal | None = None
    primary_angle_deg: Decimal | None = None
    secondary_angle_deg: Decimal | None = None
    primary_end_angle_deg: Decimal | None = None
    secondary_end_angle_deg: Decimal | None = None
    source_to_isocenter_mm: Decimal | None = None
    source_to_detector_mm: Decimal | None = None
    source_to_reference_point_mm: Decimal | None = None
    reference_point: str | None = None
    table_longitudinal_mm: Decimal | None = None
    table_lateral_mm: Decimal | None = None
    table_height_mm: Decimal | None = None
    patient_table_relationship: str | None = None
    patient_orientation: str | None = None
    patient_orientation_modifier: str | None = None
    patient_equivalent_thickness_mm: Decimal | None = None
    copper_filter_mm: Decimal | None = None
    filters: tuple[Filter, ...] = ()
    collimated_field_area_cm2: Decimal | None = None
    collimated_field_height_mm: Decimal | None = None
    collimated_field_width_mm: Decimal | None = None
    acquisition_protocol: str | None = None
    target_region: str | None = None
    dlp_mgy_cm: Decimal | None = None
    ctdi_vol_mgy: Decimal | None = None
    ctdi_phantom: str | None = None
    ct_acquisition_type: str | None = None
    scanning_length_mm: Decimal | None = None
    dlp_alert_value_mgy_cm: Decimal | None = None
    dlp_forward_estimate_mgy_cm: Decimal | None = None
    ctdi_vol_alert_value_mgy: Decimal | None = None
    ctdi_vol_forward_estimate_mgy: Decimal | None = None
    agd_mgy: Decimal | None = None
    laterality: str | None = None
    compression_thickness_mm: Decimal | None = None
    compression_force_n: Decimal | None = None
    has_breast_item: bool = False


@dataclass(frozen=True, slots=True)
class Patient:
    """Who was treated, as the object says it; lives in memory only and is never stored or logged."""

    patient_id: str | None
    issuer: str | None
    names: tuple[str, ...]
    birth_date: date | None


@dataclass(frozen=True, slots=True)
class DoseReport:
    """One dose report object. Free text is already de-identified (``***``).

    Attributes:
        modality: what the report's template measures (``projection`` or ``ct``); a study's modality is decided in dbt.
        content_local: ContentDate + ContentTime as written, for the order of versions.
        study_date: StudyDate as written.
        patient_age_years: from PatientAge, else birth date and study date; completed years.
        procedure_codes: CodeValues of (0008,1032) and (0040,0275)/(0032,1064), in order, without repeats.
        ae_title: (0008,0055), else (0002,0016).
        is_scope_event: accumulation scope is one irradiation event (113852).
        events_stated: event containers of the content tree, counted apart from reading them.
    """

    patient: Patient
    sop_instance_uid: str
    sop_class_uid: str
    study_instance_uid: str | None
    series_instance_uid: str | None
    accession_number: str | None
    modality: Modality
    template_id: str | None
    study_description: str | None
    requested_procedure: str | None
    protocol: str | None
    procedure_codes: tuple[str, ...]
    study_date: date | None
    content_local: datetime | None
    instance_number: int | None
    device_uid: str | None
    device_serial: str | None
    device_serial_sr: str | None
    station_name: str | None
    ae_title: str | None
    physical_location: str | None
    manufacturer: str | None
    model: str | None
    patient_age_years: int | None
    patient_sex: str | None
    is_scope_event: bool
    charset_rule: str
    events_stated: int
    totals: tuple[Total, ...] = ()
    events: tuple[IrradiationEvent, ...] = ()
    findings: tuple[Finding, ...] = ()


class DoseRow(NamedTuple):
    """One quantity of one readable row of a dosimeter export, for looking at few; many are a table of ``DOSE_ROWS``.

    Attributes:
        line: line in the file, from 1.
        quantity: ``hp10``, ``hp007`` or ``hp3``.
        value_usv: dose or counter reading in microsievert, DECIMAL(18,9), rounded once half-even; None with ``token``.
        token: ``below_detection`` for a censored result, else None ("unused" makes no row).
        started_at: UTC instant; for badge periods the local midnight of period_begin; None where a procedure total
            states no time.
        ended_at: UTC instant of the end: start + sample_seconds or 1 h (cumulative hourly values too), session end,
            day after period_end; None for counter logs.
        is_ambiguous: local time that happens twice and the source does not tell which.
        is_start_doubled: the local time that names the measurement is such a one, so that equal times are not repeats.
    """

    line: int
    dosimeter_serial: str
    quantity: str
    value_usv: Decimal | None
    token: str | None
    started_at: datetime | None
    ended_at: datetime | None
    is_ambiguous: bool
    is_start_doubled: bool
    hub: str | None = None
    peak_rate_usv_per_h: Decimal | None = None
    study_instance_uid: str | None = None
    accession_number: str | None = None
    period_begin: date | None = None
    period_end: date | None = None

    @classmethod
    def listed(cls, rows: pa.Table) -> list[DoseRow]:
        """The rows of a table of ``DOSE_ROWS``."""
        return [cls(**row) for row in rows.to_pylist()]


DOSE_ROWS = pa.schema(
    [
        pa.field("line", pa.int64()),
        pa.field("dosimeter_serial", pa.string()),
        pa.field("quantity", pa.string()),
        pa.field("value_usv", pa.decimal128(18, 9)),
        pa.field("token", pa.string()),
        pa.field("started_at", pa.timestamp("us", "UTC")),
        pa.field("ended_at", pa.timestamp("us", "UTC")),
        pa.field("is_ambiguous", pa.bool_()),
        pa.field("is_start_doubled", pa.bool_()),
        pa.field("hub", pa.string()),
        pa.field("peak_rate_usv_per_h", pa.decimal128(18, 9)),
        pa.field("study_instance_uid", pa.string()),
        pa.field("accession_number", pa.string()),
        pa.field("period_begin", pa.date32()),
        pa.field("period_end", pa.date32()),
    ]
)


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row that could not be read: ``raw`` holds the mapped columns only, as JSON text."""

    line: int
    reason: str
    raw: str


class RejectedDose(NamedTuple):
    """A dose that a rejected row states: ``value_usv`` is None where the cell cannot be read or is below detection."""

    line: int
    quantity: str
    value_usv: Decimal | None


class Stated(NamedTuple):
    """What an export states of one quantity, readable or not: its rows, and the µSv of those whose cell can be read."""

    quantity: str
    rows_stated: int
    stated_usv: Decimal


@dataclass(slots=True)
class Loaded:
    """What loading one file did, for progress and metadata."""

    status: str
    reason: str | None = None
    rows_loaded: int = 0
    rows_rejected: int = 0
    findings: list[Finding] = field(default_factory=list)
