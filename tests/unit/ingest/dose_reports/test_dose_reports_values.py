# ruff: noqa: DTZ001 (the reader gives local times without zone, as they are written)
"""Numbers by their unit, codes with their synonyms, times, totals by plane, header: each as the contract says."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.sr._concepts_dict import concepts
from pydicom.sr._snomed_dict import mapping
from support import sr_builder as sr

from ingest.dose_reports import codes, read_dose_report
from ingest.dose_reports.times import parse_date, parse_date_time, parse_offset
from ingest.dose_reports.tree import Code
from ingest.records import DoseReport, IrradiationEvent, Total
from ingest.units import DICOM_UNITS, dicom_unit


def read(*items: Dataset, **attributes: Any) -> DoseReport:
    return read_dose_report(sr.as_file(sr.report(*items, **attributes)))


def read_event(*items: Dataset, **keywords: Any) -> IrradiationEvent:
    return read(sr.event(*items, **keywords)).events[0]


def finding_codes(report: DoseReport) -> list[str]:
    return [finding.code for finding in report.findings]


# ---- times and counts


@pytest.mark.parametrize(
    ("written", "local"),
    [
        ("20240304080960", datetime(2024, 3, 4, 8, 10)),
        ("20240304080960.25+0100", datetime(2024, 3, 4, 8, 10)),
        ("20240304085960", datetime(2024, 3, 4, 9, 0)),
        ("20240304235960", datetime(2024, 3, 5)),
        ("20240228235960", datetime(2024, 2, 29)),
        ("20241231235960", datetime(2025, 1, 1)),
        ("2024-12-31T23:59:60", datetime(2025, 1, 1)),
    ],
)
def test_second_60_is_the_next_full_minute(written: str, local: datetime) -> None:
    parsed = parse_date_time(written)
    assert parsed is not None
    assert parsed[0] == local
    assert parse_date_time("99991231235960") is None, "there is no year after"
    assert parse_date_time("20240304080961") is None


def test_second_60_of_the_content_time_orders_versions() -> None:
    report = read_dose_report(sr.as_file(sr.ordinary_report(ContentDate="20241231", ContentTime="235960.5")))
    assert report.content_local == datetime(2025, 1, 1)


@pytest.mark.parametrize("place", ["root", "scheme", "nested"])
def test_an_event_that_is_not_read_is_stated(place: str) -> None:
    more = {
        "root": sr.event(event_uid="1.2.3.9"),
        "scheme": sr.content("CONTAINER", sr.code("113706", "99MINE")),
        "nested": sr.content("CONTAINER", "121070", sr.event(event_uid="1.2.3.9")),
    }[place]
    report = read_dose_report(sr.as_file(sr.report(sr.event(), more)))
    assert report.events_stated == 2
    assert len(report.events) == (2 if place == "root" else 1)
    assert ("unread_event" in {finding.code for finding in report.findings}) == (place != "root")


# ---- numbers and units


@pytest.mark.parametrize(
    ("stated", "unit", "gy_cm2"),
    [
        ("1.6e-005", "Gy.m2", "0.16"),
        ("1.6e-05", "Gym2", "0.16"),
        ("2.5", "mGy.m2", "25"),
        ("250", "uGy.m2", "2.5"),
        ("12.5", "dGy.cm2", "1.25"),
        ("12.5", "cGy.cm2", "0.125"),
        ("126.596", "mGy.cm2", "0.126596"),
        ("3000000", "uGy.cm2", "3"),
        ("5000", "Gy.cm2", "5000"),
        (" 3 ", "Gy.cm2", "3"),
        ("+.5", "Gy.cm2", "0.5"),
        ("0", "Gy.m2", "0"),
        ("0.0000000000005", "Gy.cm2", None),  # would be stored as 0
        ("0.0000000000015", "Gy.cm2", "0.000000000002"),  # half-even
        ("0.0000000000025", "Gy.cm2", "0.000000000002"),
    ],
)
def test_kap_is_converted_exactly_by_its_unit(stated: str, unit: str, gy_cm2: str | None) -> None:
    assert read_event(sr.num("122130", stated, unit)).kap_gy_cm2 == (None if gy_cm2 is None else Decimal(gy_cm2))


@pytest.mark.parametrize(
    ("concept", "stated", "unit", "column", "expected"),
    [
        ("113738", "0.00252", "Gy", "ka_r_mgy", "2.52"),
        ("113738", "2.52", "mGy", "ka_r_mgy", "2.52"),
        ("113738", "2520", "uGy", "ka_r_mgy", "2.52"),
        ("113742", "80.7", "s", "duration_s", "80.7"),
        ("113742", "1500", "ms", "duration_s", "1.5"),
        ("113742", "2", "min", "duration_s", "120"),
        ("113824", "580", "ms", "exposure_time_ms", "580"),
        ("113735", "0.58", "s", "exposure_time_ms", "580"),
        ("113768", "12", "{pulses}", "number_of_pulses", "12"),
        ("113791", "7.5", "{pulse}/s", "pulse_rate_per_s", "7.5"),
        ("113791", "7.5", "pulse/s", "pulse_rate_per_s", "7.5"),
        ("112011", "-30.5", "deg", "primary_angle_deg", "-30.5"),
        ("112012", "12", "deg", "secondary_angle_deg", "12"),
        ("113790", "0.041968", "m2", "collimated_field_area_cm2", "419.68"),
        ("113733", "70.5", "kV", "kvp", "70.5"),
        ("113793", "4.2", "ms", "pulse_width_ms", "4.2"),
        ("113739", "-90", "deg", "primary_end_angle_deg", "-90"),
        ("113740", "5", "deg", "secondary_end_angle_deg", "5"),
        ("113748", "785", "mm", "source_to_isocenter_mm", "785"),
        ("113750", "1.2", "m", "source_to_detector_mm", "1200"),
        ("113737", "63.5", "cm", "source_to_reference_point_mm", "635"),
        ("113751", "-25.9", "mm", "table_longitudinal_mm", "-25.9"),
        ("113752", "525", "mm", "table_lateral_mm", "525"),
        ("113753", "151.8", "mm", "table_height_mm", "151.8"),
        ("113788", "39", "cm", "collimated_field_height_mm", "390"),
        ("113789", "312.8", "mm", "collimated_field_width_mm", "312.8"),
        ("111638", "200", "mm", "patient_equivalent_thickness_mm", "200"),
        ("111633", "53", "mm", "compression_thickness_mm", "53"),
        ("111647", "80", "N", "compression_force_n", "80"),
        ("113734", "120", "mA", "tube_current_ma", "120"),
        ("113767", "120", "mA", "tube_current_ma", "120"),
        ("111631", "1.09", "mGy", "agd_mgy", "1.09"),
    ],
)
def test_each_number_reaches_its_column(concept: str, stated: str, unit: str, column: str, expected: str) -> None:
    assert getattr(read_event(sr.num(concept, stated, unit)), column) == Decimal(expected)


@pytest.mark.parametrize(
    ("spelt", "standard"),
    [
        *[("Gym2", "Gy.m2"), ("Gy*m2", "Gy.m2"), ("Gy\u00b7m\u00b2", "Gy.m2"), ("\u00b5Gy.m2", "uGy.m2")],
        *[("\u03bcGym\u00b2", "uGy.m2"), ("dGycm2", "dGy.cm2"), ("cGy cm2", "cGy.cm2"), ("mGycm^2", "mGy.cm2")],
        *[("mGycm", "mGy.cm"), ("\u00b5Gy", "uGy"), ("\u03bcs", "us"), ("sec", "s"), ("msec", "ms"), ("kVp", "kV")],
        *[("{pulse}/s", "/s"), ("{frames}/s", "/s"), ("pulse/s", "/s"), ("1/s", "/s"), ("Hz", "/s"), ("{pulses}", "1")],
        *[("no units", "1"), ("\u00b0", "deg"), ("degree", "deg"), ("mm{Cu}", "mm"), ("\u00b5A", "uA")],
    ],
)
def test_units_are_known_in_the_spellings_of_devices(spelt: str, standard: str) -> None:
    assert dicom_unit(spelt) == DICOM_UNITS[standard]


@pytest.mark.parametrize(
    "unknown", ["", "MGy", "GY", "gy", "Gy/cm2", "m2.m2", "Sv", "rad", "R", "Gy.m3", "%", "S", "{a"]
)
def test_units_that_are_something_else_are_unknown(unknown: str) -> None:
    assert dicom_unit(unknown) is None


def test_every_unit_of_the_table_means_itself_and_no_two_are_confused() -> None:
    assert {code: dicom_unit(code) for code in DICOM_UNITS} == DICOM_UNITS


@pytest.mark.parametrize("charset", ["ISO_IR 192", "ISO_IR 100"])
def test_a_micro_sign_in_a_unit_is_read_by_the_character_set(charset: str) -> None:
    report = read(sr.event(sr.num("113738", "2520", "\u00b5Gy")), SpecificCharacterSet=charset)
    assert (report.events[0].ka_r_mgy, report.findings) == (Decimal("2.52"), ())


def test_a_number_with_two_measured_values_is_none() -> None:
    item = sr.num("113738", "1", "Gy")
    item.MeasuredValueSequence.append(sr.num("113738", "2", "Gy").MeasuredValueSequence[0])
    report = read(sr.event(item))
    assert (report.events[0].ka_r_mgy, finding_codes(report)) == (None, ["several_values"])


def test_every_kind_of_quantity_has_a_limit() -> None:
    assert set(codes.IMPOSSIBLE_ABOVE) == {kind for kind, _ in DICOM_UNITS.values()}


def test_exposure_time_is_never_a_duration() -> None:
    assert read_event(sr.num("113824", "580", "ms"), sr.num("113735", "1", "s")).duration_s is None


@pytest.mark.parametrize(
    ("stated", "unit", "scheme", "finding"),
    [
        ("5", "bananas", "UCUM", "unknown_unit"),
        ("5", "Gy", "UCUM", "unknown_unit"),  # an air kerma is no KAP
        ("5", "Gy.m2", "99MINE", "unknown_unit"),
        ("5", None, "UCUM", "unknown_unit"),
        ("5\\6", "Gy.m2", "UCUM", "several_values"),
        ("NaN", "Gy.m2", "UCUM", "not_a_number"),
        ("inf", "Gy.m2", "UCUM", "not_a_number"),
        ("1,5", "Gy.m2", "UCUM", "not_a_number"),
        ("0x10", "Gy.m2", "UCUM", "not_a_number"),
        ("1e9999", "Gy.m2", "UCUM", "not_a_number"),
        ("1" * 1000, "Gy.m2", "UCUM", "not_a_number"),
        ("1e308", "Gy.m2", "UCUM", "out_of_range"),
        ("5000.001", "Gy.cm2", "UCUM", "out_of_range"),
        ("-0.1", "Gy.m2", "UCUM", "out_of_range"),
        ("1e-300", "Gy.m2", "UCUM", "out_of_range"),
    ],
)
def test_what_cannot_be_read_for_certain_is_none_with_a_named_finding(
    stated: str, unit: str | None, scheme: str, finding: str
) -> None:
    report = read(sr.event(sr.num("122130", stated, unit, scheme=scheme), sr.num("113733", "70", "kV")))
    assert report.events[0].kap_gy_cm2 is None
    assert report.events[0].kvp == 70
    assert [(f.code, f.field) for f in report.findings] == [(finding, "122130 DCM")]


@pytest.mark.parametrize("empty", [sr.num("122130", None, None), sr.num("122130", "", "Gy.m2"), sr.text("122130", "x")])
def test_empty_and_missing_are_none_without_finding(empty: Dataset) -> None:
    report = read(sr.event(empty))
    assert report.events[0].kap_gy_cm2 is None
    assert not report.findings


def test_repeated_oddities_are_one_finding_with_their_count() -> None:
    report = read(*(sr.event(sr.num("122130", "1", "x"), event_uid=f"1.{n}") for n in range(5)))
    (finding,) = report.findings
    assert finding.message == "122130 DCM has the unknown unit x UCUM (5 times)"


def test_a_known_value_under_another_scheme_is_not_read_but_named() -> None:
    report = read(sr.event(sr.num(sr.code("122130", "99MINE"), "1", "Gy.m2")))  # type: ignore[arg-type]
    assert report.events[0].kap_gy_cm2 is None
    assert finding_codes(report) == ["unknown_scheme"]


def test_two_different_values_are_none_and_two_equal_ones_are_one() -> None:
    different = read(sr.event(sr.num("122130", "0.1", "Gy.m2"), sr.num("122130", "0.2", "Gy.m2")))
    assert (different.events[0].kap_gy_cm2, finding_codes(different)) == (None, ["several_values"])
    equal = read(sr.event(sr.num("122130", "0.1", "Gy.m2"), sr.num("122130", "1000", "Gy.cm2")))
    assert (equal.events[0].kap_gy_cm2, equal.findings) == (1_000, ())


@settings(deadline=None)
@given(
    st.decimals(min_value=0, max_value=Decimal("1e5"), allow_nan=False, allow_infinity=False, places=8),
    st.sampled_from(sorted(unit for unit, (kind, _) in DICOM_UNITS.items() if kind == "kap")),
)
def test_no_digit_is_lost(value: Decimal, unit: str) -> None:
    exact = value * DICOM_UNITS[unit][1]
    read_value = read_event(sr.num("122130", str(value), unit)).kap_gy_cm2
    if exact > codes.IMPOSSIBLE_ABOVE["kap"] or 0 < exact <= Decimal("5e-13"):  # half-even: at the half, too
        assert read_value is None
    else:
        assert read_value is not None
        assert abs(read_value - exact) <= Decimal("5e-13")


# ---- codes


def dcm_codes() -> list[Code]:
    tables: list[Any] = [*vars(codes).values()]
    found = {c for t in tables if isinstance(t, tuple) for c in t if isinstance(c, tuple) and len(c) == 2}
    quantities = {q for t in tables if isinstance(t, tuple) for q in t if isinstance(q, codes.Quantity)}
    return sorted(c for c in found | {c for q in quantities for c in q.concepts} if c[0] == "DCM")


def test_every_dcm_code_of_the_tables_is_one_of_the_standard() -> None:
    standard = {value for entry in concepts["DCM"].values() for value in cast("dict[str, Any]", entry)}
    assert len(dcm_codes()) > 40
    assert {value for _, value in dcm_codes()} <= standard


@pytest.mark.parametrize("table", [codes.EVENT_TYPES, codes.LATERALITIES, codes.REGIONS, codes.MODALITIES])
def test_srt_and_sct_codes_of_a_table_mean_the_same(table: dict[Code, str]) -> None:
    for (scheme, value), meaning in table.items():
        if scheme == "SRT":
            assert table["SCT", mapping["SRT"][value]] == meaning


@pytest.mark.parametrize(
    ("value", "scheme", "event_type"),
    [
        ("P5-06000", "SRT", "fluoroscopy"),
        ("P5-06000", "SNM3", "fluoroscopy"),
        ("P5-06000", "99SDM", "fluoroscopy"),
        ("44491008", "SCT", "fluoroscopy"),
        ("113611", "DCM", "stationary_acquisition"),
        ("113612", "DCM", "stepping_acquisition"),
        ("113613", "DCM", "rotational_acquisition"),
    ],
)
def test_event_types(value: str, scheme: str, event_type: str) -> None:
    event = sr.content("CONTAINER", "113706", sr.coded("113721", value, scheme))
    assert read(event).events[0].event_type == event_type


def test_an_unknown_event_type_is_other_with_a_finding() -> None:
    report = read(sr.content("CONTAINER", "113706", sr.coded("113721", "P5-06000", "99MINE")))
    assert (report.events[0].event_type, finding_codes(report)) == ("other", ["unknown_code"])


def test_regions_keep_their_name_or_their_code() -> None:
    assert read_event(sr.coded("123014", "T-04000", "SNM3")).target_region == "breast"
    assert read_event(sr.coded("123014", "76752008", "SCT")).target_region == "breast"
    assert read_event(sr.coded("123014", "T-12710", "SRT")).target_region == "SRT:T-12710"


@pytest.mark.parametrize("scheme", ["SRT", "SNM3"])
def test_copper_is_the_sum_of_copper_filters(scheme: str) -> None:
    def filters(material: str, thickness: str) -> Dataset:
        return sr.content(
            "CONTAINER", "113771", sr.coded("113757", material, scheme), sr.num("113773", thickness, "mm")
        )

    assert read_event(filters("C-127F9", "0.1"), filters("C-120F9", "1")).copper_filter_mm == Decimal("0.1")
    assert read_event(filters("C-127F9", "0.1"), filters("C-127F9", "0.3")).copper_filter_mm == Decimal("0.4")
    assert read_event(filters("C-120F9", "1")).copper_filter_mm is None
    assert read_event(sr.content("CONTAINER", "113771", sr.coded("113772", "111609"))).copper_filter_mm == 0


def test_filters_keep_material_and_both_thicknesses() -> None:
    def filter_of(*items: Dataset) -> Dataset:
        return sr.content("CONTAINER", "113771", *items)

    event = read_event(
        filter_of(sr.coded("113757", "C-127F9", "SRT"), sr.num("113758", "0.1", "mm"), sr.num("113773", "0.3", "mm")),
        filter_of(sr.coded("113757", "12503006", "SCT"), sr.num("113758", "1", "mm")),
        filter_of(sr.coded("113757", "X", "99MINE")),
    )
    assert event.filters == (
        {"material": "copper", "minimum_mm": Decimal("0.1"), "maximum_mm": Decimal("0.3")},
        {"material": "aluminium", "minimum_mm": 1, "maximum_mm": None},
        {"material": "99MINE:X", "minimum_mm": None, "maximum_mm": None},
    )
    assert event.copper_filter_mm == Decimal("0.3")
    only_minimum = filter_of(sr.coded("113757", "66925006", "SCT"), sr.num("113758", "0.2", "mm"))
    assert read_event(only_minimum).copper_filter_mm == Decimal("0.2")


def test_how_the_patient_lay_and_the_beam_was_made() -> None:
    event = read_event(
        sr.coded("113732", "113631"),
        sr.coded("113780", "113860"),
        sr.coded("113745", "F-10470", "SRT"),
        sr.coded("113743", "102538003", "SCT", sr.coded("113744", "F-10340", "SNM3")),
    )
    assert (event.fluoro_mode, event.reference_point) == ("pulsed", "15cm_from_isocenter_toward_source")
    assert (event.patient_table_relationship, event.patient_orientation, event.patient_orientation_modifier) == (
        "headfirst",
        "recumbent",
        "supine",
    )


# ---- totals and planes


def kap(value: str) -> Dataset:
    return sr.num("113722", value, "Gy.cm2")


def test_totals_are_kept_by_plane() -> None:
    report = read(sr.accumulated(kap("1"), plane="113620"), sr.accumulated(kap("2"), plane="113621"))
    assert report.totals == (Total("A", "kap", Decimal(1)), Total("B", "kap", Decimal(2)))


def test_a_biplane_report() -> None:
    """No real one is at hand: two containers, an exposure of both planes at once under one UID, and one of plane B."""

    def exposure(uid: str, plane: str, kind: tuple[str, str], dose: str) -> Dataset:
        return sr.content(
            "CONTAINER",
            "113706",
            sr.uid("113769", uid),
            sr.date_time("111526", "20240304080910"),
            sr.coded("113721", *kind),
            sr.coded("113764", plane),
            sr.num("122130", dose, "Gy.m2"),
            sr.num("113738", "0.01", "Gy"),
            sr.num("113742", "3", "s"),
        )

    fluoroscopy, rotation = ("44491008", "SCT"), ("113613", "DCM")
    report = read(
        sr.accumulated(sr.num("113722", "1e-4", "Gy.m2"), sr.num("113725", "0.01", "Gy"), plane="113620"),
        sr.accumulated(sr.num("113722", "3e-4", "Gy.m2"), sr.num("113725", "0.02", "Gy"), plane="113621"),
        exposure("1.2.1", "113620", fluoroscopy, "1e-4"),
        exposure("1.2.1", "113621", fluoroscopy, "1e-4"),
        exposure("1.2.2", "113621", rotation, "2e-4"),
    )
    assert {(t.plane, t.quantity, t.value) for t in report.totals} == {
        *[("A", "kap", 1), ("B", "kap", 3), ("A", "ka_r", 10), ("B", "ka_r", 20)]
    }
    assert [(e.plane, e.event_type, e.kap_gy_cm2) for e in report.events] == [
        ("A", "fluoroscopy", 1),
        ("B", "fluoroscopy", 1),
        ("B", "rotational_acquisition", 2),
    ]
    assert len({e.event_uid for e in report.events}) == 3
    assert finding_codes(report) == ["shared_uid"]


@pytest.mark.parametrize("plane", [None, "113622", "113890"])
def test_without_plane_single_and_all_are_single(plane: str | None) -> None:
    assert read(sr.accumulated(kap("1"), plane=plane)).totals == (Total("single", "kap", Decimal(1)),)


def test_a_sum_over_planes_beside_its_planes_is_not_counted_again() -> None:
    both = [sr.accumulated(kap("1"), plane="113620"), sr.accumulated(kap("2"), plane="113621")]
    report = read(*both, sr.accumulated(kap("3"), sr.num("113730", "28", "s"), plane="113890"))
    assert {(t.plane, t.quantity) for t in report.totals} == {("A", "kap"), ("B", "kap"), ("single", "fluoro_time")}


def test_two_containers_of_one_plane_that_contradict_each_other_state_nothing() -> None:
    report = read(sr.accumulated(kap("1")), sr.accumulated(kap("2")))
    assert (report.totals, finding_codes(report)) == ((), ["several_values"])
    assert len(read(sr.accumulated(kap("1")), sr.accumulated(kap("1"))).totals) == 1


def test_zero_is_a_total_and_empty_is_none() -> None:
    report = read(sr.accumulated(kap("0"), sr.num("113725", None, None)))
    assert report.totals == (Total("single", "kap", Decimal(0)),)


def test_breast_dose_needs_its_breast() -> None:
    def agd(value: str, *side: Dataset) -> Dataset:
        return sr.num("111637", value, "mGy", *side)

    left = sr.coded(sr.code("272741003", "SCT"), "80248007", "SCT")
    right = sr.coded(sr.code("G-C171", "SRT"), "T-04020", "SRT")
    report = read(sr.accumulated(agd("1.3", left), agd("1.28", right), agd("9")))
    assert [(t.quantity, t.value) for t in report.totals] == [
        ("agd_left", Decimal("1.3")),
        ("agd_right", Decimal("1.28")),
        ("agd", Decimal(9)),
    ]
    assert finding_codes(report) == ["unknown_side"]


def test_a_mammography_event() -> None:
    side = sr.coded(sr.code("G-C171", "SRT"), "G-A100", "SRT")
    event = read_event(
        sr.num("111631", "1.09", "mGy"),
        sr.num("111647", "80", "N"),
        sr.coded(sr.code("T-D0005", "SRT"), "T-04000", "SRT", side),
    )
    assert (event.agd_mgy, event.laterality, event.has_breast_item) == (Decimal("1.09"), "right", True)


def test_a_ct_report() -> None:
    dose = sr.content(
        "CONTAINER",
        "113829",
        sr.num("113830", "12.47", "mGy"),
        sr.num("113838", "615.4", "mGycm"),
        sr.coded("113835", "113691"),
    )
    source = sr.content("CONTAINER", "113831", sr.num("113733", "120", "kV"))
    acquisition = sr.content(
        "CONTAINER", "113819", sr.uid("113769", "1.2"), sr.content("CONTAINER", "113822", source), dose
    )
    report = read(sr.content("CONTAINER", "113811", sr.num("113813", "615.4", "mGy.cm")), acquisition)
    event = report.events[0]
    assert report.modality == "ct"
    assert report.totals == (Total("single", "dlp", Decimal("615.4")),)
    assert (event.event_type, event.dlp_mgy_cm, event.ctdi_vol_mgy) == (
        "ct_acquisition",
        Decimal("615.4"),
        Decimal("12.47"),
    )
    assert (event.ctdi_phantom, event.kvp) == ("body_32", 120)


def test_an_empty_breast_dose_still_shows_a_breast() -> None:
    assert read_event(sr.num("111631", None, None)).has_breast_item
    assert not read_event().has_breast_item


def ct_acquisition(*items: Dataset, kind: tuple[str, str] = ("P5-08001", "SRT"), uid: str = "1.2") -> Dataset:
    return sr.content("CONTAINER", "113819", sr.uid("113769", uid), sr.coded("113820", *kind), *items)


def test_a_ct_report_states_the_start_of_its_first_acquisition() -> None:
    first, second = read(
        sr.date_time("113809", "20240304080910+0100"),
        ct_acquisition(kind=("113805", "DCM")),
        ct_acquisition(uid="1.3"),
    ).events
    assert (first.ct_acquisition_type, second.ct_acquisition_type) == ("constant_angle", "spiral")
    assert (first.started_local, first.utc_offset_min, first.time_rule) == (
        datetime(2024, 3, 4, 8, 9, 10),
        60,
        "suffix",
    )
    assert second.started_local is None
    own = ct_acquisition(sr.date_time("111526", "20240304080915"))
    assert read(sr.date_time("113809", "20240304080910"), own).events[0].started_local == datetime(2024, 3, 4, 8, 9, 15)


def test_ct_dose_check_and_length() -> None:
    check = sr.content(
        "CONTAINER",
        "113900",
        sr.num("113903", "100", "mGy.cm"),
        sr.num("113904", "10", "mGy"),
        sr.num("113905", "251.2", "mGycm"),
        sr.num("113906", "10.6", "mGy"),
    )
    parameters = sr.content("CONTAINER", "113822", sr.num("113825", "38.5", "cm"))
    event = read(ct_acquisition(parameters, sr.content("CONTAINER", "113829", check))).events[0]
    assert (event.dlp_alert_value_mgy_cm, event.ctdi_vol_alert_value_mgy) == (100, 10)
    assert (event.dlp_forward_estimate_mgy_cm, event.ctdi_vol_forward_estimate_mgy) == (
        Decimal("251.2"),
        Decimal("10.6"),
    )
    assert event.scanning_length_mm == 385


# ---- event identity and time


def test_retired_event_uid_is_read() -> None:
    event = sr.content("CONTAINER", "113706", sr.uid("113853", "1.2.9"))
    assert (read(event).events[0].event_uid, read(event).events[0].is_uid_made) == ("1.2.9", False)


def test_a_made_uid_is_stable_and_tells_events_apart() -> None:
    def made(*events: Dataset) -> list[str]:
        report = read(*events)
        assert all(e.is_uid_made for e in report.events)
        return [e.event_uid for e in report.events]

    first = sr.event(kap_event := sr.num("122130", "1", "Gy.cm2"), event_uid=None)
    second = sr.event(sr.num("122130", "2", "Gy.cm2"), event_uid=None)
    assert made(first, second) == [*made(first), *made(second)]
    assert len(set(made(first, second, first))) == 3
    later = sr.event(kap_event, event_uid=None, started="20240304090000")
    assert made(later) != made(first)


def test_events_without_uid_and_start_are_told_apart_by_their_study() -> None:
    """A scanner repeats its protocols: equal dose of two patients must not become one event."""
    acquisition = sr.content("CONTAINER", "113819", sr.num("113838", "7.46", "mGy.cm"))
    one, other = (read(acquisition, StudyInstanceUID=study).events[0].event_uid for study in ("1.2.3.4", "1.2.3.5"))
    assert one != other
    assert one == read(acquisition, StudyInstanceUID="1.2.3.4", SOPInstanceUID="1.2.9").events[0].event_uid


def test_the_same_event_twice_in_a_report_is_one_event() -> None:
    report = read(sr.event(), sr.event())
    assert ({e.event_uid for e in report.events}, report.findings) == ({"1.2.3.1"}, ())
    corrected = read(sr.event(), sr.event(sr.num("113733", "70", "kV")))
    assert ({e.event_uid for e in corrected.events}, finding_codes(corrected)) == ({"1.2.3.1"}, ["repeated_uid"])
    other_start = read(sr.event(), sr.event(started="20240304090000"))
    assert len({e.event_uid for e in other_start.events}) == 2


@pytest.mark.parametrize("illegal", ["../../etc/passwd", "1.2.x", "", "1" * 65])
def test_an_illegal_event_uid_is_replaced(illegal: str) -> None:
    event = read(sr.content("CONTAINER", "113706", sr.text("113769", illegal))).events[0]
    assert event.is_uid_made
    assert event.event_uid.startswith("made-")


@pytest.mark.parametrize(
    ("written", "header", "local", "offset", "rule"),
    [
        ("20240304080910", None, datetime(2024, 3, 4, 8, 9, 10), None, "zone"),
        ("20180413131326.0488", None, datetime(2018, 4, 13, 13, 13, 26, 48800), None, "zone"),
        ("19970101000631.737+0000", "-0400", datetime(1997, 1, 1, 0, 6, 31, 737000), 0, "suffix"),
        ("20240304080910-0330", None, datetime(2024, 3, 4, 8, 9, 10), -210, "suffix"),
        ("20240304080910", "UTC-04:00", datetime(2024, 3, 4, 8, 9, 10), -240, "header_offset"),
        ("202403040809", "+0100", datetime(2024, 3, 4, 8, 9), 60, "header_offset"),
        ("20240304080910+9900", "+0100", datetime(2024, 3, 4, 8, 9, 10), 60, "header_offset"),
        ("20240304080910", "local time", datetime(2024, 3, 4, 8, 9, 10), None, "zone"),
        ("20240304080910", "-4", datetime(2024, 3, 4, 8, 9, 10), -240, "header_offset"),
        ("2024-03-04T08:09:10", None, datetime(2024, 3, 4, 8, 9, 10), None, "zone"),
        ("20240304080910Z", None, datetime(2024, 3, 4, 8, 9, 10), 0, "suffix"),
        ("20240304080910-04:00", "+0100", datetime(2024, 3, 4, 8, 9, 10), -240, "suffix"),
        ("20240304080910.5 UTC+1", None, datetime(2024, 3, 4, 8, 9, 10, 500000), 60, "suffix"),
        ("00010101000000", None, None, None, "zone"),
        ("20240304-0400", None, None, None, "zone"),
        ("20240304080910+0100 x", None, None, None, "zone"),
        ("2024", None, None, None, "zone"),
        ("20240230080910", None, None, None, "zone"),
        ("20240304250000", None, None, None, "zone"),
        ("yesterday", None, None, None, "zone"),
    ],
)
def test_times(written: str, header: str | None, local: datetime | None, offset: int | None, rule: str) -> None:
    data = sr.report(sr.event(started=written))
    if header is not None:
        data.add_new(0x00080201, "SH", header)
    event = read_dose_report(sr.as_file(data)).events[0]
    assert (event.started_raw, event.started_local, event.utc_offset_min, event.time_rule) == (
        written,
        local,
        offset,
        rule,
    )


def test_unreadable_times_are_named() -> None:
    assert finding_codes(read(sr.event(started="yesterday"))) == ["unreadable_time"]
    assert finding_codes(read(sr.event(started="20240304080910+9900"))) == ["unreadable_offset"]


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        *[("-0400", -240), ("+0000", 0), ("+05:30", 330), ("UTC-04:00", -240), ("utc+1:00", 60), ("GMT+0200", 120)],
        *[("-4", -240), ("+02", 120), ("UTC-4", -240), ("+530", 330), ("\u22125", -300)],
        *[("Z", 0), ("", None), ("+1500", None), ("-1300", None), ("+0060", None), ("CET", None), ("04:00", None)],
    ],
)
def test_offsets(text: str, minutes: int | None) -> None:
    assert parse_offset(text) == minutes


@given(st.text(max_size=30))
def test_no_text_crashes_the_time_parsers(text: str) -> None:
    parse_date(text), parse_date_time(text), parse_offset(text)


@given(st.datetimes(min_value=datetime(1900, 1, 1)))
def test_every_written_instant_is_read_back(instant: datetime) -> None:
    assert parse_date_time(instant.strftime("%Y%m%d%H%M%S.%f")) == (instant, None)


# ---- header


def test_header() -> None:
    request = Dataset()
    request.RequestedProcedureDescription = "Coronary angiography"
    request.RequestedProcedureCodeSequence = Sequence([sr.code("CA1", "L"), sr.code("CA2", "L")])
    report = read(
        sr.text("121016", "S2"),
        sr.text("121017", "Room 7"),
        sr.event(),
        AccessionNumber="A1",
        InstanceNumber="12",
        PatientSex="F",
        StationName="ST1",
        StudyDescription="Cath",
        ProtocolName="P",
        ProcedureCodeSequence=Sequence([sr.code("CA1", "L")]),
        RequestAttributesSequence=Sequence([request]),
        IssuerOfPatientID="H1",
    )
    assert report.procedure_codes == ("CA1", "CA2")
    assert (report.requested_procedure, report.study_description, report.protocol) == (
        "Coronary angiography",
        "Cath",
        "P",
    )
    assert (report.device_serial, report.device_serial_sr, report.physical_location) == ("S1", "S2", "Room 7")
    assert (report.station_name, report.accession_number, report.instance_number) == ("ST1", "A1", 12)
    assert report.content_local == datetime(2024, 3, 4, 9, 15, 30, 500000)
    assert (report.study_date, report.patient_age_years, report.patient_sex) == (date(2024, 3, 4), 53, "F")
    assert (report.patient.patient_id, report.patient.issuer) == ("HX0000001Q", "H1")
    assert (report.template_id, report.modality, report.charset_rule) == ("10001", "projection", "stated")


@pytest.mark.parametrize(
    ("stated", "birth", "years"),
    [
        *[("042Y", "19000101", 42), ("018M", None, 1), ("100W", None, 1), ("364D", None, 0)],
        *[("", "19700304", 54), ("", "19700305", 53), ("", None, None), ("162Y", None, None), ("x", "20250101", None)],
    ],
)
def test_age_in_completed_years(stated: str, birth: str | None, years: int | None) -> None:
    data = sr.report(sr.event(), PatientBirthDate=birth)
    data.add_new(0x00101010, "SH", stated)
    assert read_dose_report(sr.as_file(data)).patient_age_years == years


def test_the_sender_names_the_device_where_the_object_does_not() -> None:
    data = sr.report(sr.event())
    assert read_dose_report(sr.as_file(data), transfer_ae="PACS").ae_title == "PACS"
    assert (
        read_dose_report(sr.as_file(sr.report(sr.event(), StationAETitle="XA1")), transfer_ae="PACS").ae_title == "XA1"
    )


@pytest.mark.parametrize(("scope", "is_event"), [("113852", True), ("113014", False), ("113016", False)])
def test_scope(scope: str, is_event: bool) -> None:
    assert read(sr.coded("113705", scope), sr.event()).is_scope_event is is_event


@pytest.mark.parametrize(
    ("charset", "raw", "read_as", "rule"),
    [
        ("ISO_IR 192", "Cœur".encode(), "Cœur", "stated"),
        ("ISO_IR 100", "Médico".encode("latin-1"), "Médico", "stated"),
        ("ISO-IR 100", "Médico".encode("latin-1"), "Médico", "stated"),
        ("", b"plain", "plain", "stated"),
        ("", "Médico".encode(), "Médico", "fallback_utf8"),
        ("", "Médico".encode("latin-1"), "Médico", "fallback_latin1"),
        ("ISO_IR 192", "Médico".encode("latin-1"), "Médico", "fallback_latin1"),
        ("KLINGON", "Médico".encode(), "Médico", "fallback_utf8"),
        ("\\ISO 2022 IR 87", b"X \x1b$B;3ED\x1b(B", "X 山田", "stated"),
    ],
)
def test_character_sets(charset: str, raw: bytes, read_as: str, rule: str) -> None:
    data = sr.report(sr.event())
    data.SpecificCharacterSet = ""
    data.add_new(0x00081030, "UN", raw + b" " * (len(raw) % 2))
    data.PatientName = "A"
    file = sr.as_file(data, sr.IMPLICIT)
    at = file.index(b"\x08\x00\x05\x00\x00\x00\x00\x00")
    term = charset.encode() + b" " * (len(charset) % 2)
    report = read_dose_report(file[: at + 4] + len(term).to_bytes(4, "little") + term + file[at + 8 :])
    assert (report.study_description, report.charset_rule) == (read_as, rule)
    assert ("charset_fallback" in finding_codes(report)) is (rule != "stated")


def test_a_total_that_no_device_reaches_is_unknown_and_its_events_stay() -> None:
    """One faulty report blocks nothing: its KAP is then the sum of its events, and the finding names the total."""
    totals = sr.accumulated(sr.num("113722", "60000", "Gy.cm2"), sr.num("113725", "31", "Gy"))
    report = read(totals, sr.event(sr.num("122130", "6", "Gy.cm2")))
    assert [total.quantity for total in report.totals if total.quantity in ("kap", "ka_r")] == []
    assert report.events[0].kap_gy_cm2 == 6
    assert {(finding.code, finding.field) for finding in report.findings} == {
        ("out_of_range", "113722 DCM"),
        ("out_of_range", "113725 DCM"),
    }
