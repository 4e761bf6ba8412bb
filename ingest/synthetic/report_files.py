"""The demo hospital's dose reports as DICOM files (X-Ray Radiation Dose SR, TID 10001), and what lies beside them.

Belongs here: how each X-ray system writes its reports, which reports come twice or not at all.
Does not belong here: the events themselves (hospital.py) and the encoding of content items (sr_tree.py).
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, XRayRadiationDoseSRStorage

from ingest.synthetic import sr_tree
from ingest.synthetic.hospital import Event, Hospital, Procedure, generator, make_uid, stated
from ingest.synthetic.people import ISSUER
from ingest.synthetic.sr_tree import Code


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one maker's system writes a dose report.

    Attributes:
        kap_unit, kap_per_gy_cm2: unit code of dose area products and its factor.
        kerma_unit, kerma_per_mgy: unit code of doses at the reference point and its factor.
        states_duration: Irradiation Duration (113742) is written; else only pulse rate and number of pulses tell it.
        states_age: PatientAge instead of PatientBirthDate.
        prefers_latin1: ISO_IR 100 wherever the patient's name allows it; else always ISO_IR 192.
    """

    kap_unit: str
    kap_per_gy_cm2: Decimal
    kerma_unit: str
    kerma_per_mgy: Decimal
    fluoroscopy: Code
    states_duration: bool
    states_age: bool
    prefers_latin1: bool


# Units and codes as seen in real reports of these makers.
DIALECTS = {
    "siemens": Dialect(
        kap_unit="Gym2",
        kap_per_gy_cm2=Decimal("0.0001"),
        kerma_unit="Gy",
        kerma_per_mgy=Decimal("0.001"),
        fluoroscopy=Code("P5-06000", "SRT", "Fluoroscopy"),
        states_duration=True,
        states_age=False,
        prefers_latin1=True,
    ),
    "canon": Dialect(
        kap_unit="dGy.cm2",
        kap_per_gy_cm2=Decimal(10),
        kerma_unit="mGy",
        kerma_per_mgy=Decimal(1),
        fluoroscopy=Code("44491008", "SCT", "Fluoroscopy"),
        states_duration=False,
        states_age=True,
        prefers_latin1=False,
    ),
}
ACQUISITIONS = {
    "stationary_acquisition": Code("113611", "DCM", "Stationary Acquisition"),
    "stepping_acquisition": Code("113612", "DCM", "Stepping Acquisition"),
    "rotational_acquisition": Code("113613", "DCM", "Rotational Acquisition"),
}
PROTOCOLS = {
    "fluoroscopy": "FL Normal",
    "stationary_acquisition": "Card 15 f/s",
    "stepping_acquisition": "DSA step 3 f/s",
    "rotational_acquisition": "CBCT 30 f/s",
}
TEXT_NOTE = "Carpeta de informes de dosis. No borrar.\n"
FOLDER = "inbox/dose_reports"

RESENT_SHARE = 0.03
WITHOUT_EXTENSION = 5  # every fifth report


@dataclass(frozen=True, slots=True)
class ReportFile:
    """One file for the inbox: path relative to the site, bytes, and the status that the file ledger must show."""

    path: str
    content: bytes
    expected_status: str


@dataclass(frozen=True, slots=True)
class Totals:
    """What a report's accumulated-dose container states, in Gy.cm2, mGy and s."""

    kap_gy_cm2: Decimal
    kap_fluoro_gy_cm2: Decimal
    kap_acquisition_gy_cm2: Decimal
    ka_r_mgy: Decimal
    fluoro_time_s: Decimal
    acquisition_time_s: Decimal


def stated_totals(events: tuple[Event, ...]) -> Totals:
    """Totals as a device states them: sums of its events, rounded to six significant digits."""
    fluoro = [event for event in events if event.event_type == "fluoroscopy"]
    others = [event for event in events if event.event_type != "fluoroscopy"]
    return Totals(
        kap_gy_cm2=stated(sum((e.kap_gy_cm2 for e in events), Decimal(0))),
        kap_fluoro_gy_cm2=stated(sum((e.kap_gy_cm2 for e in fluoro), Decimal(0))),
        kap_acquisition_gy_cm2=stated(sum((e.kap_gy_cm2 for e in others), Decimal(0))),
        ka_r_mgy=stated(sum((e.ka_r_mgy for e in events), Decimal(0))),
        fluoro_time_s=sum((e.duration_s for e in fluoro), Decimal(0)),
        acquisition_time_s=sum((e.duration_s for e in others), Decimal(0)),
    )


def report_conditions(hospital: Hospital) -> dict[int, str]:
    """What is odd about the report of a procedure, by procedure number.

    ``resend``: the same bytes twice; ``cumulative``: an interim report with the first events comes first;
    ``missing``: never sent; ``name_in_text``: the patient's family name in the study description.
    """
    rng = generator(hospital.seed, "reports")
    numbers = [int(n) for n in rng.permutation([p.number for p in hospital.procedures if len(p.events) > 1])]
    resent = max(1, round(RESENT_SHARE * len(hospital.procedures)))
    odd = ["cumulative", "missing", "name_in_text", "name_in_text", *["resend"] * resent]
    return dict(zip(numbers, odd, strict=False))


def report_files(hospital: Hospital) -> Iterator[list[ReportFile]]:
    """All files of the dose-report inbox: those of one procedure at a time, at last what else lies there."""
    conditions = report_conditions(hospital)
    for procedure in hospital.procedures:
        yield _files_of(hospital, procedure, conditions.get(procedure.number))
    first = hospital.procedures[0]
    yield [
        ReportFile(f"{_folder(first)}/ct_slice.dcm", _ct_slice(hospital, first), "not_dose"),
        ReportFile(f"{FOLDER}/leeme.txt", TEXT_NOTE.encode(), "not_dose|quarantined"),
    ]


def _files_of(hospital: Hospital, procedure: Procedure, condition: str | None) -> list[ReportFile]:
    if condition == "missing":
        return []
    extension = "" if procedure.number % WITHOUT_EXTENSION == 0 else ".dcm"
    stem = f"{_folder(procedure)}/{procedure.accession_number}"
    content = _report(hospital, procedure, procedure.events, 2, is_named=condition == "name_in_text")
    files = [ReportFile(f"{stem}{extension}", content, "loaded")]
    if condition == "cumulative":
        interim = procedure.events[: len(procedure.events) // 2]
        files.append(ReportFile(f"{stem}_1.dcm", _report(hospital, procedure, interim, 1), "superseded"))
    if condition == "resend":
        files.append(ReportFile(f"{stem}_resent.dcm", content, "duplicate"))
    return files


def _folder(procedure: Procedure) -> str:
    return f"{FOLDER}/{procedure.procedure_date:%Y/%m/%d}"


def _report(
    hospital: Hospital, procedure: Procedure, events: tuple[Event, ...], instance: int, is_named: bool = False
) -> bytes:
    """One report object: the header by pydicom, then the content tree, whose tag is the last of the data set."""
    header = _header(hospital, procedure, events, instance)
    if is_named:
        header.StudyDescription += f" ({_family_name(procedure)})"
    return _file_bytes(header) + sr_tree.content_sequence(_content(hospital, procedure, events))


def _header(hospital: Hospital, procedure: Procedure, events: tuple[Event, ...], instance: int) -> Dataset:
    zone = ZoneInfo(hospital.preset.timezone)
    room, patient = procedure.room, procedure.patient
    dialect = DIALECTS[room.dialect]
    study_at = (procedure.started_at - timedelta(minutes=8)).astimezone(zone)
    content_at = (events[-1].ended_at + timedelta(seconds=90)).astimezone(zone)
    ds = Dataset()
    ds.SpecificCharacterSet = _character_set(dialect, patient.dicom_name)
    ds.SOPClassUID = XRayRadiationDoseSRStorage
    ds.SOPInstanceUID = make_uid(hospital.seed, "report", procedure.number, instance)
    ds.StudyDate, ds.StudyTime = f"{study_at:%Y%m%d}", f"{study_at:%H%M%S}"
    ds.ContentDate, ds.ContentTime = f"{content_at:%Y%m%d}", f"{content_at:%H%M%S}"
    ds.AccessionNumber = procedure.accession_number
    ds.Modality = "SR"
    ds.Manufacturer = room.manufacturer
    ds.ManufacturerModelName = room.model
    ds.ReferringPhysicianName = ""
    ds.StationName = room.station_name
    ds.StudyDescription = procedure.procedure_class.description
    ds.SeriesDescription = "Radiation Dose Information"
    ds.ReferencedPerformedProcedureStepSequence = Sequence()
    if procedure.procedure_class.code:
        ds.ProcedureCodeSequence = _codes(
            Code(procedure.procedure_class.code, "99DEMO", procedure.procedure_class.code)
        )
    _add_patient(ds, procedure, dialect)
    ds.DeviceSerialNumber = room.device_serial
    ds.StudyInstanceUID = procedure.study_uid
    ds.SeriesInstanceUID = make_uid(hospital.seed, "series", procedure.number, instance)
    ds.StudyID = str(procedure.number)
    ds.SeriesNumber = "990"
    ds.InstanceNumber = str(instance)
    if procedure.procedure_class.requested:
        ds.RequestedProcedureDescription = procedure.procedure_class.requested
    ds.ValueType = "CONTAINER"
    ds.ConceptNameCodeSequence = _codes(Code("113701", "DCM", "X-Ray Radiation Dose Report"))
    ds.ContinuityOfContent = "SEPARATE"
    ds.PerformedProcedureCodeSequence = Sequence()
    ds.CompletionFlag = "COMPLETE"
    ds.VerificationFlag = "UNVERIFIED"
    template = Dataset()
    template.MappingResource = "DCMR"
    template.TemplateIdentifier = "10001"
    ds.ContentTemplateSequence = Sequence([template])
    return ds


def _add_patient(ds: Dataset, procedure: Procedure, dialect: Dialect) -> None:
    patient = procedure.patient
    ds.PatientName = patient.dicom_name
    ds.PatientID = patient.patient_id
    ds.IssuerOfPatientID = ISSUER
    ds.PatientSex = patient.sex
    if dialect.states_age:
        ds.PatientBirthDate = ""
        ds.PatientAge = f"{patient.age_on(procedure.procedure_date):03d}Y"
    else:
        ds.PatientBirthDate = f"{patient.birth_date:%Y%m%d}"


def _character_set(dialect: Dialect, name: str) -> str:
    if not dialect.prefers_latin1:
        return "ISO_IR 192"
    try:
        name.encode("iso-8859-1")
    except UnicodeEncodeError:
        return "ISO_IR 192"
    return "ISO_IR 100"


def _codes(code: Code) -> Sequence:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code.value, code.scheme, code.meaning
    return Sequence([item])


def _content(hospital: Hospital, procedure: Procedure, events: tuple[Event, ...]) -> Iterator[bytes]:
    room = procedure.room
    dialect = DIALECTS[room.dialect]
    modifier, context, property_of = "HAS CONCEPT MOD", "HAS OBS CONTEXT", "HAS PROPERTIES"
    yield sr_tree.coded(_C["procedure_reported"], _C["projection_x_ray"], modifier)
    yield sr_tree.coded(_C["observer_type"], _C["device"], context)
    yield sr_tree.uid(_C["device_uid"], make_uid(hospital.seed, "device", room.room_id), context)
    yield sr_tree.text(_C["device_name"], room.station_name, context)
    yield sr_tree.text(_C["device_manufacturer"], room.manufacturer, context)
    yield sr_tree.text(_C["device_model"], room.model, context)
    yield sr_tree.text(_C["device_serial"], room.device_serial, context)
    study = sr_tree.uid(_C["study_uid"], procedure.study_uid, property_of)
    yield sr_tree.coded(_C["scope"], _C["study"], context, [study])
    yield sr_tree.coded(_C["source_of_dose"], _C["automated"])
    yield sr_tree.container(_C["accumulated"], _accumulated(dialect, events))
    zone = ZoneInfo(hospital.preset.timezone)
    for event in events:
        yield sr_tree.container(_C["event"], _event(dialect, event, event.started_at.astimezone(zone)))


def _accumulated(dialect: Dialect, events: tuple[Event, ...]) -> Iterator[bytes]:
    totals = stated_totals(events)
    yield sr_tree.coded(_C["plane"], _C["single_plane"], "HAS CONCEPT MOD")
    yield _kap(dialect, "kap_total", totals.kap_gy_cm2)
    yield _kerma(dialect, "ka_r_total", totals.ka_r_mgy)
    yield _kap(dialect, "kap_fluoro_total", totals.kap_fluoro_gy_cm2)
    yield _kap(dialect, "kap_acquisition_total", totals.kap_acquisition_gy_cm2)
    yield sr_tree.number(_C["fluoro_time_total"], totals.fluoro_time_s, "s")
    yield sr_tree.number(_C["acquisition_time_total"], totals.acquisition_time_s, "s")
    yield sr_tree.coded(_C["reference_point"], _C["reference_point_15_cm"])


def _event(dialect: Dialect, event: Event, started: datetime) -> Iterator[bytes]:
    kind = ACQUISITIONS.get(event.event_type, dialect.fluoroscopy)
    yield sr_tree.coded(_C["plane"], _C["single_plane"], "HAS CONCEPT MOD")
    yield sr_tree.uid(_C["event_uid"], event.uid)
    yield sr_tree.instant(_C["started"], f"{started:%Y%m%d%H%M%S}.{started.microsecond // 1000:03d}")
    yield sr_tree.coded(_C["event_type"], kind)
    yield sr_tree.text(_C["protocol"], PROTOCOLS[event.event_type])
    yield _kap(dialect, "kap", event.kap_gy_cm2)
    yield _kerma(dialect, "ka_r", event.ka_r_mgy)
    yield sr_tree.number(_C["primary_angle"], event.primary_angle_deg, "deg")
    yield sr_tree.number(_C["secondary_angle"], event.secondary_angle_deg, "deg")
    yield sr_tree.number(_C["kvp"], event.kvp, "kV")
    yield sr_tree.number(_C["tube_current"], event.tube_current_ma, "mA")
    yield sr_tree.container(_C["filters"], [sr_tree.number(_C["filter_thickness"], event.copper_mm, "mm"), _COPPER])
    if dialect.states_duration:
        yield sr_tree.number(_C["duration"], event.duration_s, "s")
    else:
        yield sr_tree.number(_C["pulse_rate"], event.pulse_rate_per_s, "{pulse}/s")
        yield sr_tree.number(_C["pulses"], Decimal(event.pulses), "1")


def _kap(dialect: Dialect, concept: str, gy_cm2: Decimal) -> bytes:
    return sr_tree.number(_C[concept], gy_cm2 * dialect.kap_per_gy_cm2, dialect.kap_unit)


def _kerma(dialect: Dialect, concept: str, mgy: Decimal) -> bytes:
    return sr_tree.number(_C[concept], mgy * dialect.kerma_per_mgy, dialect.kerma_unit)


def _family_name(procedure: Procedure) -> str:
    return procedure.patient.phi[0]


def _ct_slice(hospital: Hospital, procedure: Procedure) -> bytes:
    """A small CT image that somebody filed among the reports: a legal object that is no dose report."""
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID = CTImageStorage
    ds.SOPInstanceUID = make_uid(hospital.seed, "ct")
    ds.Modality = "CT"
    ds.PatientName, ds.PatientID = procedure.patient.dicom_name, procedure.patient.patient_id
    ds.StudyInstanceUID, ds.SeriesInstanceUID = (
        make_uid(hospital.seed, "ct_study"),
        make_uid(hospital.seed, "ct_series"),
    )
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows = ds.Columns = 16
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.PixelData = bytes(512)
    return _file_bytes(ds)


def _file_bytes(ds: Dataset) -> bytes:
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    buffer = io.BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


# DICOM PS3.16, TID 10001 to 10003.
_C = {
    name: Code(value, "DCM", meaning)
    for name, value, meaning in (
        ("procedure_reported", "121058", "Procedure reported"),
        ("projection_x_ray", "113704", "Projection X-Ray"),
        ("observer_type", "121005", "Observer Type"),
        ("device", "121007", "Device"),
        ("device_uid", "121012", "Device Observer UID"),
        ("device_name", "121013", "Device Observer Name"),
        ("device_manufacturer", "121014", "Device Observer Manufacturer"),
        ("device_model", "121015", "Device Observer Model Name"),
        ("device_serial", "121016", "Device Observer Serial Number"),
        ("scope", "113705", "Scope of Accumulation"),
        ("study", "113014", "Study"),
        ("study_uid", "110180", "Study Instance UID"),
        ("source_of_dose", "113854", "Source of Dose Information"),
        ("automated", "113856", "Automated Data Collection"),
        ("accumulated", "113702", "Accumulated X-Ray Dose Data"),
        ("plane", "113764", "Acquisition Plane"),
        ("single_plane", "113622", "Single Plane"),
        ("kap_total", "113722", "Dose Area Product Total"),
        ("ka_r_total", "113725", "Dose (RP) Total"),
        ("kap_fluoro_total", "113726", "Fluoro Dose Area Product Total"),
        ("kap_acquisition_total", "113727", "Acquisition Dose Area Product Total"),
        ("fluoro_time_total", "113730", "Total Fluoro Time"),
        ("acquisition_time_total", "113855", "Total Acquisition Time"),
        ("reference_point", "113780", "Reference Point Definition"),
        ("reference_point_15_cm", "113860", "15cm from Isocenter toward Source"),
        ("event", "113706", "Irradiation Event X-Ray Data"),
        ("event_uid", "113769", "Irradiation Event UID"),
        ("started", "111526", "DateTime Started"),
        ("event_type", "113721", "Irradiation Event Type"),
        ("protocol", "125203", "Acquisition Protocol"),
        ("kap", "122130", "Dose Area Product"),
        ("ka_r", "113738", "Dose (RP)"),
        ("primary_angle", "112011", "Positioner Primary Angle"),
        ("secondary_angle", "112012", "Positioner Secondary Angle"),
        ("kvp", "113733", "KVP"),
        ("tube_current", "113734", "X-Ray Tube Current"),
        ("filters", "113771", "X-Ray Filters"),
        ("filter_material", "113757", "X-Ray Filter Material"),
        ("filter_thickness", "113773", "X-Ray Filter Thickness Maximum"),
        ("duration", "113742", "Irradiation Duration"),
        ("pulse_rate", "113791", "Pulse Rate"),
        ("pulses", "113768", "Number of Pulses"),
    )
}
_COPPER = sr_tree.coded(_C["filter_material"], Code("C-127F9", "SRT", "Copper or Copper compound"))
