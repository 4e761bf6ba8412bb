"""Enhanced X-ray dose reports (88.76, TID 10040): totals by source, event summaries, details by windows of time."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from pydicom.dataset import Dataset
from support import sr_builder as sr

from ingest.dose_reports import read_dose_report
from ingest.records import DoseReport, Refused, Total

ENHANCED = "1.2.840.10008.5.1.4.1.1.88.76"


def read(*items: Dataset, **attributes: Any) -> DoseReport:
    attributes = {"SOPClassUID": ENHANCED, **attributes}
    return read_dose_report(sr.as_file(sr.report(sr.coded("121058", "113704"), *items, **attributes)))


def source(name: str | None) -> list[Dataset]:
    return [] if name is None else [sr.text("113832", name)]


def accumulated(*items: Dataset, of: str | None = "1") -> Dataset:
    return sr.content("CONTAINER", "130500", *source(of), *items)


def summary(
    *items: Dataset,
    uid: str = "1.2.3.1",
    of: str | None = "1",
    begin: str = "20240304080000",
    end: str = "20240304080010",
) -> Dataset:
    span = [sr.date_time("111526", begin), sr.date_time("111527", end)]
    return sr.content(
        "CONTAINER", "130501", sr.uid("113769", uid), *span, *source(of), sr.coded("113721", "44491008", "SCT"), *items
    )


def details(*containers: Dataset) -> Dataset:
    return sr.content("CONTAINER", "130505", *containers)


def technique(begin: str, end: str, *items: Dataset, of: str | None = "1", concept: str = "130511") -> Dataset:
    span = [sr.date_time("111526", begin), sr.date_time("111527", end)]
    return sr.content("CONTAINER", concept, *span, *source(of), *items)


def kap(value: str) -> Dataset:
    return sr.num("113722", value, "Gy.m2")


def finding_codes(report: DoseReport) -> list[str]:
    return [finding.code for finding in report.findings]


def test_totals_lie_in_the_container_and_in_its_reference_point_dosimetry() -> None:
    point = sr.content("CONTAINER", "130502", sr.num("113725", "0.5", "Gy"), sr.num("113728", "0.3", "Gy"))
    report = read(accumulated(kap("0.0012"), sr.num("113730", "90", "s"), point), summary())
    assert report.modality == "projection"
    assert report.totals == (
        Total("single", "kap", Decimal(12)),
        Total("single", "ka_r", Decimal(500)),
        Total("single", "ka_r_fluoro", Decimal(300)),
        Total("single", "fluoro_time", Decimal(90)),
    )
    assert not report.findings


def test_an_event_summary_is_an_event() -> None:
    (event,) = read(summary(sr.num("113738", "0.02", "Gy"), sr.num("122130", "1e-5", "Gy.m2"))).events
    assert (event.event_uid, event.event_type, event.plane) == ("1.2.3.1", "fluoroscopy", "single")
    assert (event.ka_r_mgy, event.kap_gy_cm2) == (20, Decimal("0.1"))
    assert event.started_local == datetime(2024, 3, 4, 8)  # noqa: DTZ001
    assert event.duration_s is None  # begin and end are no irradiation duration (contract)


@pytest.mark.parametrize(("a", "b"), [("A", "B"), ("plane a", "Plane B"), ("Tube A", "TUBE B")])
def test_sources_that_name_a_plane_are_planes(a: str, b: str) -> None:
    report = read(
        accumulated(kap("1e-4"), of=a),
        accumulated(kap("2e-4"), of=b),
        accumulated(kap("3e-4"), sr.num("113730", "90", "s"), of="A and B"),
        summary(of=a),
        summary(of=b, uid="1.2.3.2"),
    )
    assert report.totals == (
        Total("A", "kap", Decimal(1)),
        Total("B", "kap", Decimal(2)),
        Total("single", "fluoro_time", Decimal(90)),
    )
    assert [event.plane for event in report.events] == ["A", "B"]


def test_sources_that_name_no_plane_give_no_air_kerma_and_no_totals_but_their_events_load() -> None:
    report = read(
        accumulated(kap("1e-4"), of="frontal"),
        accumulated(kap("2e-4"), of="lateral"),
        summary(sr.num("113738", "0.02", "Gy"), sr.num("122130", "1e-4", "Gy.m2"), of="frontal"),
    )
    assert report.totals == ()
    assert [(e.plane, e.ka_r_mgy, e.kap_gy_cm2) for e in report.events] == [("single", None, 1)]
    assert finding_codes(report) == ["unknown_plane"]


def test_a_source_without_a_name_is_the_single_one() -> None:
    report = read(accumulated(kap("1e-4"), of=None), summary(of=None))
    assert (report.totals[0].plane, report.events[0].plane, report.findings) == ("single", "single", ())


def test_one_uid_for_both_planes_is_two_irradiations() -> None:
    report = read(summary(of="A"), summary(of="B"))
    first, second = report.events
    assert first.event_uid == "1.2.3.1"
    assert second.event_uid.startswith("made-")
    assert finding_codes(report) == ["shared_uid"]


def test_details_are_put_to_the_event_of_their_time_and_source() -> None:
    copper = sr.content("CONTAINER", "113771", sr.coded("113757", "66925006", "SCT"), sr.num("130509", "0.3", "mm"))
    report = read(
        summary(of="A"),
        summary(of="B", uid="1.2.3.2"),
        summary(of="A", uid="1.2.3.3", begin="20240304090000", end="20240304090010"),
        details(
            technique("20240304080000", "20240304080005", sr.num("113733", "70", "kV"), of="A"),
            technique("20240304080005", "20240304080010", sr.num("113733", "70", "kV"), of="A"),
            technique("20240304080000", "20240304080010", copper, of="A", concept="130512"),
            technique("20240304090000", "20240304090005", sr.num("113733", "70", "kV"), of="A"),
            technique("20240304090005", "20240304090010", sr.num("113733", "80", "kV"), of="A"),
        ),
    )
    in_a, in_b, changing = report.events
    assert (in_a.kvp, in_a.copper_filter_mm) == (70, Decimal("0.3"))
    assert (in_b.kvp, in_b.copper_filter_mm) == (None, None)
    assert changing.kvp is None
    assert [(f.code, f.message) for f in report.findings] == [
        ("several_values", "113733 DCM changes during an irradiation event")
    ]


def test_details_that_overlap_are_not_used() -> None:
    report = read(
        summary(),
        details(
            technique("20240304080000", "20240304080009", sr.num("113733", "70", "kV")),
            technique("20240304080005", "20240304080010", sr.num("113733", "70", "kV")),
        ),
    )
    assert (report.events[0].kvp, finding_codes(report)) == (None, ["overlapping_details"])


def test_details_of_a_time_just_before_or_after_are_of_no_event() -> None:
    report = read(
        summary(),
        details(
            technique("20240304075950", "20240304080000", sr.num("113733", "60", "kV")),
            technique("20240304080010", "20240304080020", sr.num("113733", "80", "kV")),
        ),
    )
    assert (report.events[0].kvp, report.findings) == (None, ())


def test_what_the_event_says_itself_comes_before_details() -> None:
    report = read(
        summary(sr.num("113733", "66", "kV")),
        details(technique("20240304080000", "20240304080010", sr.num("113733", "70", "kV"))),
    )
    assert report.events[0].kvp == 66


def test_enhanced_ct_and_breast_dose() -> None:
    ct = sr.report(
        sr.coded("121058", "77477000", "SCT"),
        accumulated(sr.num("113813", "300", "mGy.cm")),
        summary(sr.num("113838", "300", "mGy.cm"), sr.num("113830", "12", "mGy"), sr.coded("113835", "113691")),
        SOPClassUID=ENHANCED,
    )
    report = read_dose_report(sr.as_file(ct))
    assert (report.modality, report.totals) == ("ct", (Total("single", "dlp", Decimal(300)),))
    event = report.events[0]
    assert (event.event_type, event.dlp_mgy_cm, event.ctdi_vol_mgy, event.ctdi_phantom) == (
        "ct_acquisition",
        300,
        12,
        "body_32",
    )
    left = sr.coded(sr.code("272741003", "SCT"), "80248007", "SCT")
    breast = read(accumulated(sr.num("111637", "1.3", "mGy", left)), summary(sr.num("111631", "1.3", "mGy")))
    assert breast.totals == (Total("single", "agd_left", Decimal("1.3")),)
    assert (breast.events[0].agd_mgy, breast.events[0].has_breast_item) == (Decimal("1.3"), True)


@pytest.mark.parametrize("bad", ["00010101000000", "99991231235959", "yesterday", ""])
def test_odd_times_never_crash(bad: str) -> None:
    report = read(
        summary(begin=bad, end=bad),
        details(technique(bad, bad, sr.num("113733", "70", "kV"))),
        TimezoneOffsetFromUTC="+1400",
    )
    assert len(report.events) == 1


def test_an_enhanced_report_with_the_older_containers_is_read_as_these() -> None:
    older = sr.ordinary_report(SOPClassUID=ENHANCED)
    assert len(read_dose_report(sr.as_file(older)).events) == 2


def test_containers_of_both_templates_in_one_report_are_refused() -> None:
    with pytest.raises(Refused, match="several templates"):
        read(sr.accumulated(kap("1e-4")), summary())


def test_another_title_is_quarantined() -> None:
    with pytest.raises(Refused, match="title is not 113701"):
        read(summary(), ConceptNameCodeSequence=[sr.code("113500")])
