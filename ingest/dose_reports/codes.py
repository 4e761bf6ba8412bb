"""The tables of codes: which (scheme, code value) means which concept, value or column of a dose report.

Only data is here: PS3.16 codes with their retired and SNOMED synonyms, and the unit and scale of each column.
SNM3 and 99SDM are names of SRT (tree.py); every SRT code is beside its SCT successor (PS3.16 annex O).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from ingest.dose_reports.tree import Code
from ingest.records import EventType, Modality, Plane

Concepts = tuple[Code, ...]
"""The codes of one concept; those in front are preferred."""


def dcm(*values: str) -> Concepts:
    """Codes of scheme DCM."""
    return tuple(("DCM", value) for value in values)


def snomed(srt: str, sct: str) -> Concepts:
    """A SNOMED concept under its retired and its present code."""
    return ("SRT", srt), ("SCT", sct)


DOSE_REPORT_TITLE = dcm("113701")
# Schemes of private reports with dose that only the vendor can read safely: quarantined by name.
PRIVATE_DOSE_SCHEMES = frozenset({"99SMS_RADSUM"})  # Siemens radiation summary

# Root
PROCEDURE_REPORTED = dcm("121058")
SCOPE = dcm("113705")
DEVICE_UID = dcm("121012")
DEVICE_SERIAL = dcm("121016")
PHYSICAL_LOCATION = dcm("121017")
PATIENT_NAME = dcm("121029")

# Containers
ACCUMULATED_PROJECTION = dcm("113702")
PROJECTION_EVENT = dcm("113706")
FILTERS = dcm("113771")
ACCUMULATED_CT = dcm("113811")
CT_EVENT = dcm("113819")
CT_EVENT_PARTS = dcm("113822", "113831", "113829", "113900")  # acquisition, source, dose, dose check alert
# TID 10040: accumulated dose data with reference point dosimetry, event summaries, details by time windows
ACCUMULATED_ENHANCED = dcm("130500")
ENHANCED_EVENT = dcm("130501")
ENHANCED_PARTS = dcm("130502")
EVENT_CONTAINERS = frozenset(value for _, value in (*PROJECTION_EVENT, *CT_EVENT, *ENHANCED_EVENT))  # their code values
ENHANCED_CONTAINERS = (*ACCUMULATED_ENHANCED, *ENHANCED_EVENT)
DOSE_CONTAINERS = (*ACCUMULATED_PROJECTION, *PROJECTION_EVENT, *ACCUMULATED_CT, *CT_EVENT, *ENHANCED_CONTAINERS)
IRRADIATION_DETAILS = dcm("130505")
TECHNIQUE, FILTRATION = dcm("130511"), dcm("130512")

# Items that are no number
EVENT_UID = dcm("113769", "113853")  # the second is retired
STARTED, ENDED = dcm("111526"), dcm("111527")
CT_STARTED = dcm("113809")  # of the first event of a CT report
X_RAY_SOURCE = dcm("113832")
EVENT_TYPE = dcm("113721")
PLANE = dcm("113764")
PROTOCOL = dcm("125203")
TARGET_REGION = dcm("123014")
ANATOMY = snomed("T-D0005", "91723000")
LATERALITY = snomed("G-C171", "272741003")
FILTER_MATERIAL = dcm("113757")
FILTER_TYPE = dcm("113772")
CTDI_PHANTOM = dcm("113835")
CT_ACQUISITION_TYPE = dcm("113820")
FLUORO_MODE = dcm("113732")
REFERENCE_POINT = dcm("113780")
TABLE_RELATIONSHIP = dcm("113745")
ORIENTATION, ORIENTATION_MODIFIER = dcm("113743"), dcm("113744")
BREAST_DOSE = dcm("111631")
BREAST_COMPRESSION = dcm("111633", "111647", "111648", "111649")  # thickness, force, pressure, contact area

# Coded values
SCOPES: Mapping[Code, str] = {
    ("DCM", "113014"): "study",
    ("DCM", "113015"): "series",
    ("DCM", "113016"): "performed procedure step",
    ("DCM", "113852"): "irradiation event",
    ("DCM", "113970"): "procedure step to this point",
}
PLANES: Mapping[Code, Plane] = {("DCM", "113622"): "single", ("DCM", "113620"): "A", ("DCM", "113621"): "B"}
ALL_PLANES: Code = ("DCM", "113890")
EVENT_TYPES: Mapping[Code, EventType] = {
    **dict.fromkeys(snomed("P5-06000", "44491008"), "fluoroscopy"),
    ("DCM", "113611"): "stationary_acquisition",
    ("DCM", "113612"): "stepping_acquisition",
    ("DCM", "113613"): "rotational_acquisition",
}
MODALITIES: Mapping[Code, Modality] = {
    ("DCM", "113704"): "projection",
    **dict.fromkeys(snomed("P5-40010", "71651007"), "projection"),  # mammography
    **dict.fromkeys(snomed("P5-08000", "77477000"), "ct"),
}
TEMPLATES: Mapping[str, Modality] = {"10001": "projection", "10011": "ct", "10040": "projection"}
PHANTOMS: Mapping[Code, str] = {("DCM", "113690"): "head_16", ("DCM", "113691"): "body_32"}
CT_ACQUISITION_TYPES: Mapping[Code, str] = {
    ("DCM", "113804"): "sequenced",
    **dict.fromkeys(snomed("P5-08001", "116152004"), "spiral"),
    ("DCM", "113805"): "constant_angle",  # localizers
    ("DCM", "113806"): "stationary",
    ("DCM", "113807"): "free",
    **dict.fromkeys(snomed("R-FB8F1", "702569007"), "cone_beam"),
}
REFERENCE_POINTS: Mapping[Code, str] = {  # PS3.16 CID 10025
    ("DCM", "113860"): "15cm_from_isocenter_toward_source",
    ("DCM", "113861"): "30cm_in_front_of_image_input_surface",
    ("DCM", "113862"): "1cm_above_tabletop",
    ("DCM", "113863"): "30cm_above_tabletop",
    ("DCM", "113864"): "15cm_from_table_centerline",
    ("DCM", "113865"): "4.2cm_above_breast_support",
    ("DCM", "113941"): "detector_plane",
    ("DCM", "113964"): "surface_of_patient",
    ("DCM", "113965"): "100cm_from_source",
}
FLUORO_MODES: Mapping[Code, str] = {("DCM", "113630"): "continuous", ("DCM", "113631"): "pulsed"}
TABLE_RELATIONSHIPS: Mapping[Code, str] = {
    **dict.fromkeys(snomed("F-10470", "102540008"), "headfirst"),
    **dict.fromkeys(snomed("F-10480", "102541007"), "feet_first"),
}
ORIENTATIONS: Mapping[Code, str] = {  # PS3.16 CID 19 and its modifiers, CID 20
    **dict.fromkeys(snomed("F-10450", "102538003"), "recumbent"),
    **dict.fromkeys(snomed("F-10460", "102539006"), "semi_erect"),
    **dict.fromkeys(snomed("F-10340", "40199007"), "supine"),
    **dict.fromkeys(snomed("F-10310", "1240000"), "prone"),
    **dict.fromkeys(snomed("F-10319", "102536004"), "left_lateral_decubitus"),
    **dict.fromkeys(snomed("F-10317", "102535000"), "right_lateral_decubitus"),
    **dict.fromkeys(snomed("F-10320", "10904000"), "standing"),
    **dict.fromkeys(snomed("F-103A0", "33586001"), "sitting"),
}
LATERALITIES: Mapping[Code, Literal["left", "right"]] = {
    **dict.fromkeys(snomed("G-A100", "24028007"), "right"),
    **dict.fromkeys(snomed("T-04020", "73056007"), "right"),
    **dict.fromkeys(snomed("G-A101", "7771000"), "left"),
    **dict.fromkeys(snomed("T-04030", "80248007"), "left"),
}
MATERIALS: Mapping[Code, str] = {  # of filters. Others keep "SCHEME:code".
    code: name
    for name, codes in {
        "copper": (*snomed("C-12700", "66925006"), ("SRT", "C-127F9")),
        "aluminium": (*snomed("C-12000", "12503006"), *snomed("C-120F9", "105830007")),
        "molybdenum": snomed("C-15000", "71128006"),
        "rhodium": snomed("C-16700", "59801003"),
        "silver": snomed("C-13700", "41967008"),
        "tin": snomed("C-13900", "12597001"),
        "tantalum": snomed("C-15600", "45215009"),
        "lead": snomed("C-13200", "88488004"),
    }.items()
    for code in codes
}
NO_FILTER = frozenset(dcm("111609"))

# Body regions that conversion factors and the rule "target region breast" need. Others keep "SCHEME:code".
REGIONS: Mapping[Code, str] = {
    code: name
    for name, codes in {
        "breast": snomed("T-04000", "76752008"),
        "breast_left": snomed("T-04030", "80248007"),
        "breast_right": snomed("T-04020", "73056007"),
        "head": snomed("T-D1100", "69536005"),
        "neck": snomed("T-D1600", "45048000"),
        "head_and_neck": snomed("T-D1000", "774007"),
        "chest": snomed("T-D3000", "51185008"),
        "heart": snomed("T-32000", "80891009"),
        "abdomen": snomed("T-D4000", "113345001"),
        "pelvis": snomed("T-D6000", "12921003"),
        "abdomen_and_pelvis": snomed("R-FAB57", "416949008"),
        "chest_and_abdomen": snomed("R-FAB55", "416550000"),
        "chest_abdomen_and_pelvis": snomed("R-FAB56", "416775004"),
        "entire_body": snomed("T-D0010", "38266002"),
        "upper_limb": snomed("T-D8000", "53120007"),
        "lower_limb": snomed("T-D9000", "61685007"),
    }.items()
    for code in codes
}

# Numbers. UCM is how GE ESP writes UCUM in half of its items.
UNIT_SCHEMES = frozenset({"UCUM", "UCM"})
DOSE_DIGITS, OTHER_DIGITS = 12, 6  # decimals of raw.dose_total and raw.irradiation_event
# By kind, in its canonical unit (Gy.cm2, mGy, s ...): what no X-ray device does in one event or study, so that a value
# beyond it can only be a fault. KAP and kerma are the bounds of the plausible suite: one faulty report is a finding and
# leaves its value unknown; it must not keep every other report of the hospital from being published.
IMPOSSIBLE_ABOVE: Mapping[str, Decimal] = {
    "kap": Decimal(5_000),
    "kerma": Decimal(30_000),
    "dlp": Decimal(1_000_000),
    "time": Decimal(86_400),
    "voltage": Decimal(1_000),
    "current": Decimal(100_000),
    "angle": Decimal(720),
    "length": Decimal(100_000),
    "area": Decimal(1_000_000),
    "force": Decimal(100_000),
    "number": Decimal(10_000_000),
    "frequency": Decimal(10_000),
}


@dataclass(frozen=True, slots=True, eq=False)  # each is one entry of the tables below: the same only as itself
class Quantity:
    """A number of a dose report and where it goes.

    Attributes:
        column: field of the record, or quantity of a total.
        concepts: codes that mean it.
        kind: which units fit (first word in ingest.units.DICOM_UNITS).
        digits: decimals that are stored.
        factor: from the kind's canonical unit to the column's.
        is_signed: may be negative.
    """

    column: str
    concepts: Concepts
    kind: str
    digits: int = OTHER_DIGITS
    factor: Decimal = Decimal(1)
    is_signed: bool = False


PROJECTION_TOTALS = (
    Quantity("kap", dcm("113722"), "kap", DOSE_DIGITS),
    Quantity("kap_fluoro", dcm("113726"), "kap", DOSE_DIGITS),
    Quantity("kap_acquisition", dcm("113727"), "kap", DOSE_DIGITS),
    Quantity("ka_r", dcm("113725"), "kerma", DOSE_DIGITS),
    Quantity("ka_r_fluoro", dcm("113728"), "kerma", DOSE_DIGITS),
    Quantity("ka_r_acquisition", dcm("113729"), "kerma", DOSE_DIGITS),
    Quantity("fluoro_time", dcm("113730"), "time", DOSE_DIGITS),
    Quantity("acquisition_time", dcm("113855"), "time", DOSE_DIGITS),
    Quantity("radiographic_frames", dcm("113731"), "number", DOSE_DIGITS),
)
BREAST_TOTAL = Quantity("agd", dcm("111637"), "kerma", DOSE_DIGITS)
CT_TOTALS = (Quantity("dlp", dcm("113813"), "dlp", DOSE_DIGITS),)

# Exposure time 113735 and event UID 113853 are retired codes that Siemens still sends.
_EXPOSURE = (
    Quantity("duration_s", dcm("113742"), "time"),
    Quantity("exposure_time_ms", dcm("113824", "113735"), "time", factor=Decimal(1000)),
    Quantity("kvp", dcm("113733"), "voltage"),
    Quantity("tube_current_ma", dcm("113734", "113767"), "current"),
)
PROJECTION_NUMBERS = (
    *_EXPOSURE,
    Quantity("number_of_pulses", dcm("113768"), "number"),
    Quantity("pulse_rate_per_s", dcm("113791"), "frequency"),
    Quantity("pulse_width_ms", dcm("113793"), "time", factor=Decimal(1000)),
    Quantity("kap_gy_cm2", dcm("122130"), "kap", DOSE_DIGITS),
    Quantity("ka_r_mgy", dcm("113738"), "kerma", DOSE_DIGITS),
    Quantity("primary_angle_deg", dcm("112011"), "angle", is_signed=True),
    Quantity("secondary_angle_deg", dcm("112012"), "angle", is_signed=True),
    Quantity("primary_end_angle_deg", dcm("113739"), "angle", is_signed=True),
    Quantity("secondary_end_angle_deg", dcm("113740"), "angle", is_signed=True),
    Quantity("source_to_isocenter_mm", dcm("113748"), "length"),
    Quantity("source_to_detector_mm", dcm("113750"), "length"),
    Quantity("source_to_reference_point_mm", dcm("113737"), "length"),
    Quantity("table_longitudinal_mm", dcm("113751"), "length", is_signed=True),
    Quantity("table_lateral_mm", dcm("113752"), "length", is_signed=True),
    Quantity("table_height_mm", dcm("113753"), "length", is_signed=True),
    Quantity("collimated_field_area_cm2", dcm("113790"), "area"),
    Quantity("collimated_field_height_mm", dcm("113788"), "length"),
    Quantity("collimated_field_width_mm", dcm("113789"), "length"),
    Quantity("patient_equivalent_thickness_mm", dcm("111638"), "length"),
    Quantity("agd_mgy", dcm("111631"), "kerma", DOSE_DIGITS),
    Quantity("compression_thickness_mm", dcm("111633"), "length"),
    Quantity("compression_force_n", dcm("111647"), "force"),
)
CT_NUMBERS = (
    *_EXPOSURE,
    Quantity("dlp_mgy_cm", dcm("113838"), "dlp", DOSE_DIGITS),
    Quantity("ctdi_vol_mgy", dcm("113830"), "kerma", DOSE_DIGITS),
    Quantity("scanning_length_mm", dcm("113825"), "length"),
    # Dose check (TID 10015): what the scanner warns above, and what it foresaw
    Quantity("dlp_alert_value_mgy_cm", dcm("113903"), "dlp"),
    Quantity("ctdi_vol_alert_value_mgy", dcm("113904"), "kerma"),
    Quantity("dlp_forward_estimate_mgy_cm", dcm("113905"), "dlp"),
    Quantity("ctdi_vol_forward_estimate_mgy", dcm("113906"), "kerma"),
)
FILTER_MINIMUM = Quantity("minimum_mm", dcm("113758", "130509"), "length")
FILTER_MAXIMUM = Quantity("maximum_mm", dcm("113773", "130509"), "length")  # 130509: the one thickness of TID 10046

KNOWN_DCM_VALUES = frozenset(
    code[1]
    for concepts in (
        *(q.concepts for q in (*PROJECTION_TOTALS, BREAST_TOTAL, *CT_TOTALS, *PROJECTION_NUMBERS, *CT_NUMBERS)),
        *(ACCUMULATED_PROJECTION, PROJECTION_EVENT, ACCUMULATED_CT, CT_EVENT, CT_EVENT_PARTS, EVENT_UID, STARTED),
        *(ACCUMULATED_ENHANCED, ENHANCED_EVENT, IRRADIATION_DETAILS),
    )
    for code in concepts
)
