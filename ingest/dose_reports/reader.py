"""Bytes of one DICOM object into a dose report record, or a refusal: the one entry of this package.

This module has the order of the parts; each part is read in its own module. Rooms, classes, versions and totals over
several reports are decided in dbt.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

from ingest.dose_reports import codes, ct, enhanced, events, header, projection
from ingest.dose_reports.dicom_file import DicomFile, class_name, open_dicom
from ingest.dose_reports.findings import Findings
from ingest.dose_reports.header import Header, patient_named_in
from ingest.dose_reports.scrub import scrub
from ingest.dose_reports.tree import CODE_MEANING, CONCEPT_NAME, Children, Code, code_of, raw, sequence
from ingest.dose_reports.values import Reading
from ingest.records import DoseReport, IrradiationEvent, Modality, Refused


def read_dose_report(data: bytes, transfer_ae: str | None = None) -> DoseReport:
    """Read one X-ray dose report (projection, CT, mammography or radiography).

    Args:
        data: the whole DICOM file; of one that is larger than ``MAX_BYTES`` at least a byte more than these.
        transfer_ae: AE title of the sender where the object came over the network and names none itself.

    Returns:
        The report in the units of ``ingest.records``; free text is de-identified.

    Raises:
        Refused: ``not_dose`` (no DICOM, or an object of another kind, which is named) or ``quarantined`` (damaged,
            or a dose report that cannot be read safely).
    """
    try:
        return _read(data, transfer_ae)
    except Refused as refused:
        # Its path may hold the patient's name, too.
        raise Refused(refused.status, refused.reason, patient_named_in(data)) from refused


def _read(data: bytes, transfer_ae: str | None) -> DoseReport:
    file = open_dicom(data)
    _refuse_other_titles(file)
    reading = Reading(file.decoder, Findings())
    attributes = Header(file.data, reading)
    root = Children.of(file.data)
    if not root.items:  # a file cut off between two elements is legal up to there
        raise Refused("quarantined", "a dose report without content (0040,A730): perhaps it is cut off")
    report = _assembled(file, attributes, root, transfer_ae)
    if file.decoder.rule != "stated":
        reading.findings.add("charset_fallback", f"text is not legal in its character set: {file.decoder.rule}")
    return _deidentified(replace(report, charset_rule=file.decoder.rule, findings=reading.findings.all()))


def _refuse_other_titles(file: DicomFile) -> None:
    """Refuse a structured report whose title is not that of an X-ray dose report."""
    title = code_of(file.data, CONCEPT_NAME)
    if title in codes.DOSE_REPORT_TITLE:
        return
    if title is not None and _is_private_dose(title, file):
        raise Refused("quarantined", f"a private dose report that is not read: its title is {title[1]} {title[0]}")
    if file.is_dose_class or _states_dose(file):
        raise Refused("quarantined", "an X-ray dose report whose title is not 113701 DCM")
    raise Refused("not_dose", f"no X-ray dose report but: {class_name(file.sop_class_uid)} with another title")


def _is_private_dose(title: Code, file: DicomFile) -> bool:
    """A vendor's own kind of dose report: its scheme is known for that, or a private title names dose."""
    scheme, _ = title
    meaning = b" ".join(raw(item, CODE_MEANING) for item in sequence(file.data, CONCEPT_NAME))
    return scheme in codes.PRIVATE_DOSE_SCHEMES or (scheme.startswith("99") and b"dose" in meaning.lower())


def _states_dose(file: DicomFile) -> bool:
    """Whether template or containers are those of an X-ray dose report, under any title."""
    root = Children.of(file.data)
    template = Header(file.data, Reading(file.decoder, Findings())).template_id()
    return template in codes.TEMPLATES or bool(root.find(codes.DOSE_CONTAINERS))


def _assembled(file: DicomFile, attributes: Header, root: Children, transfer_ae: str | None) -> DoseReport:
    """The report as in the object, not yet de-identified."""
    reading = attributes.reading
    sop_instance_uid = attributes.uid(header.SOP_INSTANCE_UID)
    if sop_instance_uid is None:
        raise Refused("quarantined", "the SOP Instance UID (0008,0018) is missing or illegal")
    template_id = attributes.template_id()
    modality = _modality(root, template_id, reading)
    events.note_unknown_schemes(root, reading)
    offset = attributes.utc_offset_min()
    patient = attributes.patient(root)
    study_date = attributes.day(header.STUDY_DATE)
    serial, serial_sr = attributes.text(header.SERIAL), reading.text(root, codes.DEVICE_SERIAL)
    part = enhanced if root.find(codes.ENHANCED_CONTAINERS) else ct if modality == "ct" else projection
    study_uid = attributes.uid(header.STUDY_UID)
    found, stated = part.read_events(root, offset, reading), events.count_stated(root)
    if stated > len(found):
        reading.findings.add(
            "unread_event",
            f"{stated - len(found)} of {stated} irradiation events are not where or as the standard has them",
        )
    return DoseReport(
        patient=patient,
        sop_instance_uid=sop_instance_uid,
        sop_class_uid=file.sop_class_uid,
        study_instance_uid=study_uid,
        series_instance_uid=attributes.uid(header.SERIES_UID),
        accession_number=attributes.accession_number(),
        modality=modality,
        template_id=template_id,
        study_description=attributes.text(header.STUDY_DESCRIPTION),
        requested_procedure=attributes.requested_procedure(),
        protocol=attributes.text(header.PROTOCOL_NAME),
        procedure_codes=attributes.procedure_codes(),
        study_date=study_date,
        content_local=attributes.content_local(),
        instance_number=attributes.instance_number(),
        device_uid=reading.uid(root, codes.DEVICE_UID),
        device_serial=serial,
        device_serial_sr=serial_sr,
        station_name=attributes.text(header.STATION),
        ae_title=attributes.text(header.STATION_AE) or file.sender_ae or transfer_ae,
        physical_location=reading.text(root, codes.PHYSICAL_LOCATION),
        manufacturer=attributes.text(header.MANUFACTURER),
        model=attributes.text(header.MODEL),
        patient_age_years=attributes.age_years(patient.birth_date, study_date),
        patient_sex=attributes.sex(),
        is_scope_event=reading.coded(root, codes.SCOPE, codes.SCOPES) == "irradiation event",
        charset_rule="",  # known when all text is read
        totals=part.read_totals(root, reading),
        events=events.with_uids(found, serial or serial_sr, study_uid or sop_instance_uid, reading),
        events_stated=stated,
    )


def _modality(root: Children, template_id: str | None, reading: Reading) -> Modality:
    """What the report measures: by its containers, else its template, else the procedure that it states to report."""
    has_ct = bool(root.find((*codes.ACCUMULATED_CT, *codes.CT_EVENT)))
    has_projection = bool(root.find((*codes.ACCUMULATED_PROJECTION, *codes.PROJECTION_EVENT)))
    has_enhanced = bool(root.find(codes.ENHANCED_CONTAINERS))
    if has_ct + has_projection + has_enhanced > 1:
        raise Refused("quarantined", "one report with dose containers of several templates: CT, projection, enhanced")
    if has_ct or has_projection:
        return "ct" if has_ct else "projection"
    if has_enhanced:
        return reading.coded(root, codes.PROCEDURE_REPORTED, codes.MODALITIES) or "projection"
    stated = codes.TEMPLATES.get(template_id or "") or reading.coded(root, codes.PROCEDURE_REPORTED, codes.MODALITIES)
    if stated is None:
        raise Refused("quarantined", "a dose report with neither dose containers nor a known template or procedure")
    return stated


def _deidentified(report: DoseReport) -> DoseReport:
    """The report with all typed text de-identified."""

    @cache  # the events of one report repeat a few texts
    def free(text: str | None) -> str | None:
        return None if text is None else scrub(text, report.patient)

    return replace(
        report,
        accession_number=free(report.accession_number),
        study_description=free(report.study_description),
        requested_procedure=free(report.requested_procedure),
        protocol=free(report.protocol),
        procedure_codes=tuple(scrub(code, report.patient) for code in report.procedure_codes),
        station_name=free(report.station_name),
        physical_location=free(report.physical_location),
        template_id=free(report.template_id),
        events=tuple(_deidentified_event(event, free) for event in report.events),
        findings=tuple(replace(f, message=scrub(f.message, report.patient)) for f in report.findings),
    )


def _deidentified_event(event: IrradiationEvent, free: Callable[[str | None], str | None]) -> IrradiationEvent:
    return event._replace(
        started_raw=event.started_raw if event.started_local else free(event.started_raw),
        acquisition_protocol=free(event.acquisition_protocol),
        target_region=free(event.target_region),
    )
