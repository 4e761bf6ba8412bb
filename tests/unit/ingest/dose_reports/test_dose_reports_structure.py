"""A report that is not whole is refused; damage and hostile input end in a refusal or a finding, never in a crash."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.filewriter import dcmwrite
from pydicom.sequence import Sequence
from support import sr_builder as sr

from ingest.dose_reports import dicom_file, read_dose_report, structure
from ingest.dose_reports.structure import MAX_DEPTH, BrokenStructureError, Syntax, read_data_set
from ingest.records import DoseReport, Refused

EVERY_WAY = {
    (syntax, undefined): sr.as_file(sr.ordinary_report(), syntax, undefined_lengths=undefined)
    for syntax in (sr.IMPLICIT, sr.EXPLICIT, sr.DEFLATED, sr.BIG_ENDIAN)
    for undefined in (False, True)
}


def refusal(data: bytes) -> Refused:
    with pytest.raises(Refused) as refused:
        read_dose_report(data)
    return refused.value


def outcome(data: bytes) -> DoseReport | Refused:
    try:
        return read_dose_report(data)
    except Refused as refused:
        return refused


@pytest.mark.parametrize("data", EVERY_WAY.values(), ids=map(str, EVERY_WAY))
def test_every_encoding_reads_the_same(data: bytes) -> None:
    assert read_dose_report(data) == read_dose_report(EVERY_WAY[sr.EXPLICIT, False])


@pytest.mark.parametrize("way", EVERY_WAY, ids=str)
def test_a_report_cut_off_anywhere_is_refused(way: tuple[str, bool]) -> None:
    data = EVERY_WAY[way]
    for length in range(132, len(data) - 1, 17):
        assert refusal(data[:length]).status == "quarantined", length
    if way[0] != sr.DEFLATED:  # a deflated data set may be padded to an even length
        assert refusal(data[:-1]).status == "quarantined"


OTHER_FILES = {
    "text": "Aviso: los informes están en la otra carpeta.\r\n".encode(),
    "text of an old system": "Años".encode("latin-1"),
    "wide text": "Aviso".encode("utf-16"),
    "PDF": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj",
    "PNG": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
    "JPEG": b"\xff\xd8\xff\xe0\x00\x10JFIF\x00",
    "Office": b"PK\x03\x04\x14\x00" + b"\x00" * 20 + b"xl/workbook.xml",
}
PERHAPS_A_REPORT = {
    "empty": b"",
    "zeros": b"\x00" * 132,
    "damaged mark": b"\x00" * 128 + b"DICN" + EVERY_WAY[sr.EXPLICIT, False][132:],
    "noise": b"\x07\x93\xe1\x00\x1f" * 50,
    "ZIP": b"PK\x03\x04\x14\x00" + b"\x00" * 20 + b"report.dcm",
    "gzip": b"\x1f\x8b\x08\x00",
    "JSON": b'{"00080016": {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.88.67"]}}',
    "the begin is lost": EVERY_WAY[sr.EXPLICIT, False][400:],
}


@pytest.mark.parametrize("name", OTHER_FILES)
def test_not_dose_is_what_positively_is_something_else(name: str) -> None:
    refused = refusal(OTHER_FILES[name])
    assert refused.status == "not_dose"
    assert "is not a DICOM file but" in refused.reason


@pytest.mark.parametrize("name", PERHAPS_A_REPORT)
def test_what_may_be_a_dose_report_is_quarantined(name: str) -> None:
    assert refusal(PERHAPS_A_REPORT[name]).status == "quarantined"


def bare(data: bytes) -> bytes:
    """A report's file without preamble and header."""
    return data[144 + int.from_bytes(data[140:144], "little") :]


@pytest.mark.parametrize("way", [w for w in EVERY_WAY if w[0] in (sr.IMPLICIT, sr.EXPLICIT)], ids=str)
def test_a_bare_data_set_reads_as_its_file_does(way: tuple[str, bool]) -> None:
    whole = read_dose_report(EVERY_WAY[way])
    assert read_dose_report(bare(EVERY_WAY[way])) == whole
    assert read_dose_report(EVERY_WAY[way][132:]) == whole, "a header without preamble and mark"
    assert read_dose_report(EVERY_WAY[way][128:]) == whole, "a header without preamble"


@pytest.mark.parametrize("way", [w for w in EVERY_WAY if w[0] in (sr.IMPLICIT, sr.EXPLICIT)], ids=str)
def test_a_bare_data_set_cut_off_anywhere_is_quarantined(way: tuple[str, bool]) -> None:
    data = bare(EVERY_WAY[way])
    for length in range(0, len(data) - 1, 13):
        assert refusal(data[:length]).status == "quarantined", length


def test_a_bare_data_set_of_another_class_is_not_dose_and_one_that_contradicts_itself_is_not() -> None:
    image = sr.ordinary_report(SOPClassUID="1.2.840.10008.5.1.4.1.1.2", title=("111", "99X"))
    assert refusal(bare(sr.as_file(image))).status == "not_dose"
    contradicting = sr.ordinary_report(SOPClassUID="1.2.840.10008.5.1.4.1.1.2")
    assert refusal(bare(sr.as_file(contradicting))).status == "quarantined"


def test_the_patient_of_a_refused_bare_data_set_is_known_for_its_path() -> None:
    refused = refusal(bare(EVERY_WAY[sr.EXPLICIT, False])[:-9])
    assert refused.patient is not None
    assert refused.patient.patient_id == "HX0000001Q"


@pytest.mark.parametrize("way", EVERY_WAY, ids=str)
def test_header_and_data_set_that_name_different_classes(way: tuple[str, bool]) -> None:
    def with_classes(header: str, data_set: str) -> bytes:
        report = sr.ordinary_report(SOPClassUID=header)
        sr.as_file(report, way[0], undefined_lengths=way[1])
        report.SOPClassUID = data_set
        buffer = BytesIO()
        dcmwrite(buffer, report, enforce_file_format=False)
        return buffer.getvalue()

    other = "1.2.840.10008.5.1.4.1.1.7"
    assert refusal(with_classes(sr.XRAY_DOSE_SR, other)).status == "quarantined"
    assert read_dose_report(with_classes(other, sr.XRAY_DOSE_SR)) == read_dose_report(EVERY_WAY[way])


def test_bytes_left_over_are_refused() -> None:
    assert refusal(EVERY_WAY[sr.EXPLICIT, False] + b"\x00" * 6).status == "quarantined"


def element(tag: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
    size = len(value) if length is None else length
    return struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, vr, 0, size) + value


def item(value: bytes) -> bytes:
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(value)) + value


def test_a_length_of_four_gigabytes_is_refused() -> None:
    for value_representation in (b"UN", b"OB", b"UT", b"SQ"):
        with pytest.raises(BrokenStructureError):
            read_data_set(element(0x0040A730, value_representation, b"", 0xFFFFFFFE), Syntax(False, True))


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 1000, 20_000])
def test_deep_nesting_is_refused(depth: int) -> None:
    nested = struct.pack("<HH2sHI", 0x0040, 0xA730, b"SQ", 0, 0xFFFFFFFF) + struct.pack(
        "<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF
    )
    head = EVERY_WAY[sr.EXPLICIT, False][: EVERY_WAY[sr.EXPLICIT, False].index(b"\x40\x00\x30\xa7SQ")]
    assert "levels deep" in refusal(head + nested * depth).reason


def test_nesting_as_deep_as_allowed_is_read() -> None:
    branch = sr.text("121106", "leaf")
    for _ in range(MAX_DEPTH - 3):  # the content sequence, the leaf's, and its concept name
        branch = sr.content("CONTAINER", "113706", branch)
    for undefined in (False, True):
        assert read_dose_report(sr.as_file(sr.report(branch), undefined_lengths=undefined)).events


def test_a_tag_that_stands_twice_is_refused() -> None:
    twice = element(0x00080005, b"UT", b"ab") * 2
    with pytest.raises(BrokenStructureError, match=r"\(0008,0005\)"):
        read_data_set(twice, Syntax(False, True))


def test_an_item_longer_than_its_sequence_is_refused() -> None:
    longer = item(b"")[:4] + struct.pack("<I", 40)
    with pytest.raises(BrokenStructureError, match="longer"):
        read_data_set(element(0x0040A730, b"SQ", longer) + b"\x00" * 60, Syntax(False, True))


def test_a_known_sequence_under_another_representation_is_refused() -> None:
    with pytest.raises(BrokenStructureError, match="value representation"):
        read_data_set(element(0x0040A730, b"OB", item(b"")), Syntax(False, True))


@pytest.mark.parametrize("syntax", [Syntax(False, True), Syntax(True, True)], ids=["explicit", "implicit"])
def test_an_archive_may_have_made_an_unknown_one_of_a_known_sequence(syntax: Syntax) -> None:
    implicit = struct.pack("<HHI", 0x0040, 0xA040, 4) + b"CODE"  # PS3.5 section 6.2.2, note 2
    head = element(0x0040A730, b"UN", b"", len(item(implicit)))
    if syntax.is_implicit:
        head = head[:4] + head[8:]
    assert read_data_set(head + item(implicit), syntax) == {0x0040A730: ({0x0040A040: b"CODE"},)}


def test_a_deflated_bomb_is_refused_in_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dicom_file, "MAX_BYTES", 1_000_000)
    plain = EVERY_WAY[sr.DEFLATED, False]
    at = 144 + int.from_bytes(plain[140:144], "little")  # behind the file meta information, by its group length
    deflater = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = deflater.compress(b"\x00" * 50_000_000) + deflater.flush()
    assert "grows beyond" in refusal(plain[:at] + bomb).reason


@pytest.mark.parametrize(
    ("sop_class", "status", "named"),
    [
        ("1.2.840.10008.5.1.4.1.1.2", "not_dose", "CT Image Storage"),
        ("1.2.840.10008.5.1.4.1.1.88.68", "not_dose", "Radiopharmaceutical Radiation Dose SR Storage"),
        ("1.2.840.10008.5.1.4.1.1.88.73", "not_dose", "Patient Radiation Dose SR Storage"),
        ("1.2.840.10008.5.1.4.1.1.88.11", "not_dose", "Basic Text SR Storage"),
        ("1.2.840.10008.5.1.4.1.1.7", "not_dose", "Secondary Capture Image Storage"),
        ("1.2.3.4.99", "not_dose", "1.2.3.4.99"),
    ],
)
def test_other_classes_are_named(sop_class: str, status: str, named: str) -> None:
    refused = refusal(sr.as_file(sr.ordinary_report(SOPClassUID=sop_class)))
    assert refused.status == status
    assert named in refused.reason


def test_an_image_need_not_be_readable_to_be_named() -> None:
    image = sr.as_file(sr.ordinary_report(SOPClassUID="1.2.840.10008.5.1.4.1.1.2"))
    assert refusal(image[:-3]).status == "not_dose"


@pytest.mark.parametrize("sop_class", sorted(dicom_file.GENERAL_SRS))
def test_a_general_report_is_read_by_its_title(sop_class: str) -> None:
    assert read_dose_report(sr.as_file(sr.ordinary_report(SOPClassUID=sop_class))).events
    untitled = sr.ordinary_report(SOPClassUID=sop_class, title=("126000", "DCM"))
    assert refusal(sr.as_file(untitled)).status == "quarantined", "its containers are those of a dose report"
    assert refusal(sr.as_file(of_other_content(untitled))).status == "not_dose"


def of_other_content(report: Dataset) -> Dataset:
    """The report with the template and content of another kind of document."""
    report.ContentTemplateSequence[0].TemplateIdentifier = "2000"
    report.ContentSequence = Sequence([sr.text("121071", "Finding")])
    return report


def test_private_and_untitled_dose_reports_are_quarantined_by_name() -> None:
    private = sr.ordinary_report(SOPClassUID="1.2.840.10008.5.1.4.1.1.88.22", title=("C-10", "99SMS_RADSUM"))
    assert refusal(sr.as_file(private)).status == "quarantined"
    assert "99SMS_RADSUM" in refusal(sr.as_file(private)).reason
    assert refusal(sr.as_file(sr.ordinary_report(title=("1", "99X")))).status == "quarantined"


@pytest.mark.parametrize(("meaning", "status"), [("Patient DOSE Summary", "quarantined"), ("Findings", "not_dose")])
def test_a_private_title_that_names_dose_is_not_passed_over(meaning: str, status: str) -> None:
    private = sr.ordinary_report(SOPClassUID="1.2.840.10008.5.1.4.1.1.88.33", title=("7", "99MAKER"))
    private.ConceptNameCodeSequence[0].CodeMeaning = meaning
    refused = refusal(sr.as_file(of_other_content(private)))
    assert refused.status == status
    assert ("7 99MAKER" in refused.reason) == (status == "quarantined")


def test_what_is_needed_and_missing_is_said() -> None:
    assert "SOP Instance UID" in refusal(sr.as_file(sr.ordinary_report(SOPInstanceUID="../../etc"))).reason
    assert (
        "transfer syntax"
        in refusal(
            sr.as_file(sr.ordinary_report()).replace(b"1.2.840.10008.1.2.1\x00", b"1.2.840.10008.1.2.7\x00")
        ).reason
    )
    assert "content" in refusal(sr.as_file(sr.report())).reason


def test_a_nul_within_the_character_set_is_an_unknown_one() -> None:
    report = sr.as_file(sr.ordinary_report(SpecificCharacterSet="ISO_IR 192", Manufacturer="Mäker"))
    found = read_dose_report(report.replace(b"ISO_IR 192", b"\x00SO_IR 192"[:10]))
    assert (found.manufacturer, found.charset_rule) == ("Mäker", "fallback_utf8")


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(EVERY_WAY)), st.data())
def test_no_mutant_crashes(way: tuple[str, bool], draw: st.DataObject) -> None:
    mutant = bytearray(EVERY_WAY[way])
    for at in draw.draw(st.lists(st.integers(132, len(mutant) - 1), min_size=1, max_size=6)):
        mutant[at] = draw.draw(st.integers(0, 255))
    outcome(bytes(mutant))


# --- items that are remembered -------------------------------------------------------------------------------------


def tree(data: bytes) -> object:
    """The elements of a file's data set, or why there are none."""
    try:
        return dicom_file.open_dicom(data).data
    except Refused as refused:
        return refused.reason


def afresh(data: bytes) -> object:
    """The same, by a process that has read nothing before."""
    structure._kept.clear()
    return tree(data)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(EVERY_WAY)), st.data())
def test_what_was_read_before_changes_nothing(way: tuple[str, bool], draw: st.DataObject) -> None:
    whole = EVERY_WAY[way]
    places = [at for tag in (b"\x40\x00\x0a\xa3", b"\x00\x40\xa3\x0a") for at in every(tag, whole)]
    near = st.sampled_from(places or [200]).flatmap(lambda at: st.integers(at, min(at + 20, len(whole) - 1)))
    mutant = bytearray(whole)
    for at in draw.draw(st.lists(st.one_of(near, st.integers(132, len(whole) - 1)), min_size=1, max_size=3)):
        mutant[at] = draw.draw(st.one_of(st.integers(0, 255), st.sampled_from(b"0123456789.\xfe\xff")))
    expected = afresh(bytes(mutant))
    afresh(whole)
    assert tree(bytes(mutant)) == expected
    assert tree(whole) == afresh(whole), "nor does the mutant"


def every(part: bytes, whole: bytes) -> list[int]:
    return [at for at in range(len(whole)) if whole.startswith(part, at)]


@pytest.mark.parametrize("undefined", [False, True])
def test_what_looks_like_a_number_within_a_meaning_is_none(undefined: bool) -> None:
    def file(meaning: str) -> bytes:
        item = sr.num("113733", "70.5", "kV")
        item.ConceptNameCodeSequence[0].CodeMeaning = "@\0\n\u00a3LO\4\0" + meaning
        whole = sr.report(sr.event(item), SpecificCharacterSet="ISO_IR 100")
        return sr.as_file(whole, undefined_lengths=undefined)

    one, other = file("abcd"), file("efgh")
    assert b"@\0\n\xa3LO\4\0abcd" in one
    expected = afresh(other)
    afresh(one)
    assert tree(other) == expected


def test_the_same_bytes_are_another_item_where_they_are_read_in_another_way() -> None:
    inside = struct.pack("<HH2sH", 8, 0x100, b"SH", 6) + b"113733" + struct.pack("<HHI", 0xFFFE, 0xE00D, 0)
    delimited = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF) + inside
    structure._kept.clear()
    read_data_set(element(0x0040A043, b"SQ", delimited), Syntax(False, True))
    with pytest.raises(BrokenStructureError, match="out of place"):
        read_data_set(element(0x0040A043, b"SQ", item(inside)), Syntax(False, True))


def test_nothing_of_a_patient_is_remembered() -> None:
    name = sr.content("PNAME", "121029", PersonName="Quinquinvelez^Ana")
    texts = sr.text("125203", "for Quinquinvelez"), sr.uid("121012", "1.2.3.999"), sr.date_time("111526", "19700305")
    afresh(sr.as_file(sr.report(name, sr.event(*texts, sr.num("113733", "70.5", "kV")))))
    remembered = repr(structure._kept)
    assert "113733" in remembered
    assert not [secret for secret in ("Quinquin", "1.2.3.999", "19700305") if secret in remembered]


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400))
def test_no_noise_behind_the_mark_crashes(noise: bytes) -> None:
    assert isinstance(outcome(b"\x00" * 128 + b"DICM" + noise), Refused)
