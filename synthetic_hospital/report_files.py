"""The demo hospital's dose reports as DICOM files (X-Ray Radiation Dose SR, TID 10001), and what lies beside them.

Belongs here: how each X-ray system writes its reports, which reports come twice or not at all.
Does not belong here: the events themselves (hospital.py) and the encoding of content items (sr_tree.py).
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal
from zoneinfo import ZoneInfo

from pydicom.charset import python_encoding
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, XRayRadiationDoseSRStorage

from synthetic_hospital import sr_tree
from synthetic_hospital.catalogue import Room
from synthetic_hospital.geometry import REFERENCE_POINT_MM, field_area_cm2
from synthetic_hospital.hospital import Event, Hospital, Procedure, generator, make_uid, stated
from synthetic_hospital.people import ISSUER, Patient, another
from synthetic_hospital.sr_tree import Code


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one maker's system writes a dose report.

    Attributes:
        kap_unit, kap_per_gy_cm2: unit code of dose area products and its factor.
        kerma_unit, kerma_per_mgy: unit code of doses at the reference point and its factor.
        states_duration: Irradiation Duration (113742) is written; else only pulse rate and number of pulses tell it.
        states_age: PatientAge instead of PatientBirthDate.
        source_to_isocenter_mm: of this maker's stand.
        geometry: which places, distances and field sizes are stated, and ``orientation`` of the patient.
        character_sets: tried in this order until one can write the patient's name.
    """

    kap_unit: str
    kap_per_gy_cm2: Decimal
    kerma_unit: str
    kerma_per_mgy: Decimal
    fluoroscopy: Code
    states_duration: bool
    states_age: bool
    source_to_isocenter_mm: Decimal
    geometry: frozenset[str]
    character_sets: tuple[tuple[str, ...], ...]

    @property
    def source_to_reference_point_mm(self) -> Decimal:
        """Distance to where Ka,r holds."""
        return self.source_to_isocenter_mm - REFERENCE_POINT_MM


_DETECTOR, _FIELD = "source_to_detector", "field_area"
_ISOCENTER, _REFERENCE = "source_to_isocenter", "source_to_reference_point"
_TABLE = frozenset({"table_longitudinal", "table_lateral", "table_height"})
_ORIENTATION = "orientation"
_UTF8 = ("ISO_IR 192",)
_LATIN1 = ("ISO_IR 100",)
_LATIN1_AND_KANJI = ("ISO 2022 IR 100", "ISO 2022 IR 87")

# Units, codes and items as seen in real reports of these makers.
DIALECTS = {
    "siemens": Dialect(
        kap_unit="Gym2",
        kap_per_gy_cm2=Decimal("0.0001"),
        kerma_unit="Gy",
        kerma_per_mgy=Decimal("0.001"),
        fluoroscopy=Code("P5-06000", "SRT", "Fluoroscopy"),
        states_duration=True,
        states_age=False,
        source_to_isocenter_mm=Decimal(785),
        geometry=_TABLE | {_ISOCENTER, _DETECTOR, _FIELD},
        character_sets=(_LATIN1, _UTF8),
    ),
    "canon": Dialect(
        kap_unit="dGy.cm2",
        kap_per_gy_cm2=Decimal(10),
        kerma_unit="mGy",
        kerma_per_mgy=Decimal(1),
        fluoroscopy=Code("44491008", "SCT", "Fluoroscopy"),
        states_duration=False,
        states_age=True,
        source_to_isocenter_mm=Decimal(700),
        geometry=_TABLE | {_ISOCENTER, _DETECTOR, _FIELD, _ORIENTATION},
        character_sets=(_UTF8,),
    ),
    "ge": Dialect(
        kap_unit="Gy.cm2",
        kap_per_gy_cm2=Decimal(1),
        kerma_unit="mGy",
        kerma_per_mgy=Decimal(1),
        fluoroscopy=Code("P5-06000", "SRT", "Fluoroscopy"),
        states_duration=True,
        states_age=False,
        source_to_isocenter_mm=Decimal(720),
        geometry=frozenset({_REFERENCE, _DETECTOR, _FIELD, _ORIENTATION}),
        character_sets=(_LATIN1, _LATIN1_AND_KANJI, _UTF8),
    ),
    "philips": Dialect(
        kap_unit="Gy.m2",
        kap_per_gy_cm2=Decimal("0.0001"),
        kerma_unit="Gy",
        kerma_per_mgy=Decimal("0.001"),
        fluoroscopy=Code("P5-06000", "SRT", "Fluoroscopy"),
        states_duration=False,
        states_age=False,
        source_to_isocenter_mm=Decimal(765),
        geometry=_TABLE | {_ISOCENTER, _REFERENCE, _DETECTOR, _ORIENTATION},
        character_sets=(_LATIN1, _LATIN1_AND_KANJI, _UTF8),
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

PLANES = {
    "single": Code("113622", "DCM", "Single Plane"),
    "A": Code("113620", "DCM", "Plane A"),
    "B": Code("113621", "DCM", "Plane B"),
}
FOREIGN_ACCESSION = "Z{0}"  # what a modality sends when somebody typed the number
CORRECTED_AFTER = timedelta(hours=20)
MOST_INTERIM_REPORTS = 3
WITHOUT_EXTENSION = 5  # every fifth report


@dataclass(frozen=True, slots=True)
class ReportFile:
    """One file for the inbox: path relative to the site, bytes, and the status that the file ledger must show."""

    path: str
    content: bytes
    expected_status: str


@dataclass(frozen=True, slots=True)
class Report:
    """One report object about a procedure.

    Attributes:
        events: those that it holds.
        number: instance number; of two versions of one object the same.
        status: that the file ledger must show.
        suffix: of the file name.
        patient: whom it names.
        delay: when its content was written, after the last event.
    """

    events: tuple[Event, ...]
    number: int
    status: str
    suffix: str
    patient: Patient
    delay: timedelta
    has_totals: bool = True
    is_named: bool = False
    accession_number: str = ""


@dataclass(frozen=True, slots=True)
class Totals:
    """What a report's accumulated-dose container of one plane states, in Gy.cm2, mGy, s and frames."""

    kap_gy_cm2: Decimal
    kap_fluoro_gy_cm2: Decimal
    kap_acquisition_gy_cm2: Decimal
    ka_r_mgy: Decimal
    fluoro_time_s: Decimal
    acquisition_time_s: Decimal
    radiographic_frames: Decimal

    def __add__(self, other: Totals) -> Totals:
        return Totals(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))


def event_sums(events: Iterable[Event]) -> Totals:
    """Totals of one plane's events, exactly."""
    chosen = list(events)
    fluoro = [event for event in chosen if event.event_type == "fluoroscopy"]
    others = [event for event in chosen if event.event_type != "fluoroscopy"]
    return Totals(
        kap_gy_cm2=sum((e.kap_gy_cm2 for e in chosen), Decimal(0)),
        kap_fluoro_gy_cm2=sum((e.kap_gy_cm2 for e in fluoro), Decimal(0)),
        kap_acquisition_gy_cm2=sum((e.kap_gy_cm2 for e in others), Decimal(0)),
        ka_r_mgy=sum((e.ka_r_mgy for e in chosen), Decimal(0)),
        fluoro_time_s=sum((e.duration_s for e in fluoro), Decimal(0)),
        acquisition_time_s=sum((e.duration_s for e in others), Decimal(0)),
        radiographic_frames=Decimal(sum(e.pulses for e in others)),
    )


def stated_totals(events: Iterable[Event]) -> Totals:
    """Totals of one plane as a device states them: sums of its events, doses rounded to six significant digits."""
    sums = event_sums(events)
    return replace(
        sums,
        kap_gy_cm2=stated(sums.kap_gy_cm2),
        kap_fluoro_gy_cm2=stated(sums.kap_fluoro_gy_cm2),
        kap_acquisition_gy_cm2=stated(sums.kap_acquisition_gy_cm2),
        ka_r_mgy=stated(sums.ka_r_mgy),
    )


def by_plane(events: Iterable[Event]) -> dict[str, list[Event]]:
    """Events of each plane that has any."""
    planes: dict[str, list[Event]] = {}
    for event in events:
        planes.setdefault(event.plane, []).append(event)
    return dict(sorted(planes.items()))


def procedure_totals(procedure: Procedure, condition: str | None) -> dict[str, Totals]:
    """What the contract makes of a procedure's totals, by plane: the sum of what the counting reports state.

    A plane that one of two continued reports does not name states nothing there, and events without totals are summed.
    """
    totals: dict[str, Totals] = {}
    for report in reports_of(procedure, condition) or [_report_of(procedure, procedure.events, 1)]:
        if report.status == "loaded":
            for plane, events in by_plane(report.events).items():
                part = stated_totals(events) if report.has_totals else event_sums(events)
                totals[plane] = totals[plane] + part if plane in totals else part
    return totals


def report_conditions(hospital: Hospital) -> dict[int, str]:
    """What is odd about the report of a procedure, by procedure number: the names of ``Dirt``'s shares of reports."""
    dirt, count = hospital.preset.dirt, len(hospital.procedures)
    rng = generator(hospital.seed, "reports")
    numbers = [int(n) for n in rng.permutation([p.number for p in hospital.procedures if len(p.events) > 1])]
    shares = (
        ("cumulative", dirt.cumulative),
        ("missing", dirt.missing),
        ("name_in_text", dirt.name_in_text),
        ("continued", dirt.continued),
        ("no_total", dirt.without_totals),
        ("wrong_accession", dirt.wrong_accession),
        ("wrong_patient", dirt.wrong_patient),
        ("resend", dirt.resent),
    )
    odd = [name for name, share in shares if share for _ in range(max(1, round(share * count)))]
    return dict(zip(numbers, odd, strict=False))


def reports_of(procedure: Procedure, condition: str | None) -> list[Report]:
    """The report objects of a procedure, those that are replaced first."""
    events, count = procedure.events, len(procedure.events)
    whole = _report_of(procedure, events, 2)
    match condition:
        case "missing":
            return []
        case "cumulative":
            # How many came before: as many as the procedure's number says, so that no draw is needed.
            parts = min(count - 1, 1 + procedure.number % MOST_INTERIM_REPORTS)
            interim = [
                replace(
                    _report_of(procedure, events[: count * n // (parts + 1)], n), status="superseded", suffix=f"_{n}"
                )
                for n in range(1, parts + 1)
            ]
            return [*interim, replace(whole, number=parts + 1)]
        case "continued":
            half = count // 2
            return [replace(_report_of(procedure, events[:half], 1), suffix="_1"), replace(whole, events=events[half:])]
        case "no_total":
            return [replace(whole, has_totals=False)]
        case "wrong_accession":
            return [replace(whole, accession_number=FOREIGN_ACCESSION.format(procedure.accession_number[1:]))]
        case "name_in_text":
            return [replace(whole, is_named=True)]
        case "wrong_patient":
            wrong = replace(whole, patient=another(procedure.patient), status="superseded", suffix="_1")
            return [wrong, replace(whole, delay=whole.delay + CORRECTED_AFTER)]
        case "resend":
            return [whole, replace(whole, status="duplicate", suffix="_resent")]
    return [whole]


def _report_of(procedure: Procedure, events: tuple[Event, ...], number: int) -> Report:
    return Report(
        events=events,
        number=number,
        status="loaded",
        suffix="",
        patient=procedure.patient,
        delay=timedelta(seconds=90),
        accession_number=procedure.accession_number,
    )


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
    stem = f"{_folder(procedure)}/{procedure.accession_number}"
    files = []
    for report in reports_of(procedure, condition):
        is_bare = procedure.number % WITHOUT_EXTENSION == 0 and not report.suffix
        path = f"{stem}{report.suffix}{'' if is_bare else '.dcm'}"
        files.append(ReportFile(path, _report(hospital, procedure, report), report.status))
    return files


def _folder(procedure: Procedure) -> str:
    return f"{FOLDER}/{procedure.procedure_date:%Y/%m/%d}"


def _zone(hospital: Hospital, room: Room) -> tzinfo:
    """The zone that an X-ray system's clock is set to."""
    return ZoneInfo(room.device_timezone or hospital.preset.timezone)


def _report(hospital: Hospital, procedure: Procedure, report: Report) -> bytes:
    """One report object: the header by pydicom, then the content tree, whose tag is the last of the data set."""
    header = _header(hospital, procedure, report)
    if report.is_named:
        header.StudyDescription += f" ({report.patient.phi[0]})"
    return _file_bytes(header) + sr_tree.content_sequence(_content(hospital, procedure, report))


def _header(hospital: Hospital, procedure: Procedure, report: Report) -> Dataset:
    room, patient, instance = procedure.room, report.patient, report.number
    zone, shift = _zone(hospital, room), procedure.modality_shift
    dialect = DIALECTS[room.dialect]
    study_at = (procedure.started_at + shift - timedelta(minutes=8)).astimezone(zone)
    content_at = (report.events[-1].ended_at + shift + report.delay).astimezone(zone)
    ds = Dataset()
    ds.SpecificCharacterSet = list(_character_set(dialect, patient.dicom_name))
    ds.SOPClassUID = XRayRadiationDoseSRStorage
    ds.SOPInstanceUID = make_uid(hospital.seed, "report", procedure.number, instance)
    ds.StudyDate, ds.StudyTime = f"{study_at:%Y%m%d}", f"{study_at:%H%M%S}"
    ds.ContentDate, ds.ContentTime = f"{content_at:%Y%m%d}", f"{content_at:%H%M%S}"
    ds.AccessionNumber = report.accession_number
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
    _add_patient(ds, procedure, patient, dialect)
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


def _add_patient(ds: Dataset, procedure: Procedure, patient: Patient, dialect: Dialect) -> None:
    ds.PatientName = patient.dicom_name
    ds.PatientID = patient.patient_id
    ds.IssuerOfPatientID = ISSUER
    ds.PatientSex = patient.sex
    if dialect.states_age:
        ds.PatientBirthDate = ""
        ds.PatientAge = f"{patient.age_on(procedure.procedure_date):03d}Y"
    else:
        ds.PatientBirthDate = f"{patient.birth_date:%Y%m%d}"


def _character_set(dialect: Dialect, name: str) -> tuple[str, ...]:
    """The first of a dialect's character sets that can write a name."""
    return next(terms for terms in dialect.character_sets if _can_write(terms, name))


def _can_write(terms: tuple[str, ...], name: str) -> bool:
    codecs = [python_encoding[term] for term in terms]
    return all(any(_encodes(codec, character) for codec in codecs) for character in name)


def _encodes(codec: str, character: str) -> bool:
    try:
        character.encode(codec)
    except UnicodeEncodeError:
        return False
    return True


def _codes(code: Code) -> Sequence:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code.value, code.scheme, code.meaning
    return Sequence([item])


def _content(hospital: Hospital, procedure: Procedure, report: Report) -> Iterator[bytes]:
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
    if report.has_totals:
        for plane, events in by_plane(report.events).items():
            yield sr_tree.container(_C["accumulated"], _accumulated(dialect, plane, stated_totals(events)))
    zone = _zone(hospital, room)
    for event in report.events:
        started = (event.started_at + procedure.modality_shift).astimezone(zone)
        yield sr_tree.container(_C["event"], _event(dialect, event, started))


def _accumulated(dialect: Dialect, plane: str, totals: Totals) -> Iterator[bytes]:
    yield sr_tree.coded(_C["plane"], PLANES[plane], "HAS CONCEPT MOD")
    yield _kap(dialect, "kap_total", totals.kap_gy_cm2)
    yield _kerma(dialect, "ka_r_total", totals.ka_r_mgy)
    yield _kap(dialect, "kap_fluoro_total", totals.kap_fluoro_gy_cm2)
    yield _kap(dialect, "kap_acquisition_total", totals.kap_acquisition_gy_cm2)
    yield sr_tree.number(_C["fluoro_time_total"], totals.fluoro_time_s, "s")
    yield sr_tree.number(_C["acquisition_time_total"], totals.acquisition_time_s, "s")
    yield sr_tree.number(_C["frames_total"], totals.radiographic_frames, "1")
    yield sr_tree.coded(_C["reference_point"], _C["reference_point_15_cm"])


def _event(dialect: Dialect, event: Event, started: datetime) -> Iterator[bytes]:
    kind = ACQUISITIONS.get(event.event_type, dialect.fluoroscopy)
    yield sr_tree.coded(_C["plane"], PLANES[event.plane], "HAS CONCEPT MOD")
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
    for concept, value, unit in stated_geometry(dialect, event):
        yield sr_tree.number(_C[concept], value, unit)
    if _ORIENTATION in dialect.geometry:
        supine = sr_tree.coded(_C["orientation_modifier"], _SUPINE, "HAS CONCEPT MOD")
        yield sr_tree.coded(_C["orientation"], _RECUMBENT, children=[supine])
        yield sr_tree.coded(_C["table_relationship"], _HEADFIRST)
    yield sr_tree.container(_C["filters"], [sr_tree.number(_C["filter_thickness"], event.copper_mm, "mm"), _COPPER])
    if dialect.states_duration:
        yield sr_tree.number(_C["duration"], event.duration_s, "s")
    else:
        yield sr_tree.number(_C["pulse_rate"], event.pulse_rate_per_s, "{pulse}/s")
        yield sr_tree.number(_C["pulses"], Decimal(event.pulses), "1")


def stated_geometry(dialect: Dialect, event: Event) -> list[tuple[str, Decimal, str]]:
    """Concept, value and unit of the places, distances and field sizes that a maker states of an event."""
    place, reference_mm = event.place, dialect.source_to_reference_point_mm
    area_cm2 = field_area_cm2(event.kap_gy_cm2, event.ka_r_mgy, reference_mm, place.source_to_detector_mm)
    known = (
        (_ISOCENTER, dialect.source_to_isocenter_mm, "mm"),
        (_REFERENCE, reference_mm, "mm"),
        (_DETECTOR, place.source_to_detector_mm, "mm"),
        (_FIELD, stated(area_cm2 / 10_000), "m2"),
        ("table_longitudinal", place.table_longitudinal_mm, "mm"),
        ("table_lateral", place.table_lateral_mm, "mm"),
        ("table_height", place.table_height_mm, "mm"),
    )
    return [(concept, value, unit) for concept, value, unit in known if concept in dialect.geometry]


def _kap(dialect: Dialect, concept: str, gy_cm2: Decimal) -> bytes:
    return sr_tree.number(_C[concept], gy_cm2 * dialect.kap_per_gy_cm2, dialect.kap_unit)


def _kerma(dialect: Dialect, concept: str, mgy: Decimal) -> bytes:
    return sr_tree.number(_C[concept], mgy * dialect.kerma_per_mgy, dialect.kerma_unit)


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
        ("kap_total", "113722", "Dose Area Product Total"),
        ("ka_r_total", "113725", "Dose (RP) Total"),
        ("kap_fluoro_total", "113726", "Fluoro Dose Area Product Total"),
        ("kap_acquisition_total", "113727", "Acquisition Dose Area Product Total"),
        ("fluoro_time_total", "113730", "Total Fluoro Time"),
        ("acquisition_time_total", "113855", "Total Acquisition Time"),
        ("frames_total", "113731", "Total Number of Radiographic Frames"),
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
        ("source_to_isocenter", "113748", "Distance Source to Isocenter"),
        ("source_to_reference_point", "113737", "Distance Source to Reference Point"),
        ("source_to_detector", "113750", "Distance Source to Detector"),
        ("field_area", "113790", "Collimated Field Area"),
        ("table_longitudinal", "113751", "Table Longitudinal Position"),
        ("table_lateral", "113752", "Table Lateral Position"),
        ("table_height", "113753", "Table Height Position"),
        ("orientation", "113743", "Patient Orientation"),
        ("orientation_modifier", "113744", "Patient Orientation Modifier"),
        ("table_relationship", "113745", "Patient Table Relationship"),
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
_RECUMBENT = Code("F-10450", "SRT", "recumbent")
_SUPINE = Code("F-10340", "SRT", "supine")
_HEADFIRST = Code("F-10470", "SRT", "headfirst")
