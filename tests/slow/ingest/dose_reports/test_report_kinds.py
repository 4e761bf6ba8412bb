"""Reports of every kind that no real file is at hand for, and of every duplicate habit: from files to publication.

The files are built (sr_builder), the numbers are round: each expectation can be reckoned by hand from the contract.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import duckdb
import pytest
from pydicom.dataset import Dataset
from support import sr_builder as sr
from support.small_site import KEY, make_site, the_key, write

from ingest.raw.published_path import DIGITS
from orchestration.nightly import run_nightly
from orchestration.resources import silent

SITE = "site_id: kinds\nname: Kinds\ntimezone: Europe/Madrid\ngate: {max_quarantined_files_share: 0.5}\n"
CALIBRATION = "room_id,plane,factor,valid_from,valid_to,certificate\nCATH1,B,1.1,2024-01-01,2024-03-04,\n"
FLUOROSCOPY, ROTATION, STATIONARY = ("44491008", "SCT"), ("113613", "DCM"), ("113611", "DCM")
ENHANCED = "1.2.840.10008.5.1.4.1.1.88.76"


def exposure(
    uid: str, kap: str, kind: tuple[str, str] = FLUOROSCOPY, plane: str = "113622", *items: Dataset
) -> Dataset:
    """An event of 4 s with its KAP (Gy.cm2) and 10 mGy."""
    return sr.content(
        "CONTAINER",
        "113706",
        sr.uid("113769", uid),
        sr.date_time("111526", "20240304080910"),
        sr.coded("113721", *kind),
        sr.coded("113764", plane),
        sr.num("122130", kap, "Gy.cm2"),
        sr.num("113738", "10", "mGy"),
        sr.num("113742", "4", "s"),
        *items,
    )


def totals(kap: str, ka_r: str = "10", plane: str = "113622") -> Dataset:
    return sr.accumulated(sr.num("113722", kap, "Gy.cm2"), sr.num("113725", ka_r, "mGy"), plane=plane)


def report(study: str, sop: str, *items: Dataset, at: str = "090000", **attributes: Any) -> bytes:
    """A report of room CATH1, written at a time of day."""
    own = {"StudyInstanceUID": f"1.{study}", "SOPInstanceUID": f"1.9.{sop}", "ContentTime": at}
    return sr.as_file(sr.report(*items, **{"DeviceSerialNumber": "4711"} | own | attributes))


def of_source(name: str, *items: Dataset, concept: str) -> Dataset:
    return sr.content("CONTAINER", concept, sr.text("113832", name), *items)


def summary(uid: str, source: str, *items: Dataset) -> Dataset:
    span = (sr.date_time("111526", "20240304080910"), sr.date_time("111527", "20240304080914"))
    return of_source(source, sr.uid("113769", uid), *span, sr.coded("113721", *FLUOROSCOPY), *items, concept="130501")


LEFT = sr.coded(sr.code("272741003", "SCT"), "80248007", "SCT")
ONE, TWO, THREE = exposure("1.8.21", "1"), exposure("1.8.22", "2"), exposure("1.8.23", "3")
MOVED, STAYING = exposure("1.8.31", "1"), exposure("1.8.32", "2")

FILES = {
    "biplane": report(
        "1",
        "1",
        totals("1", plane="113620"),
        totals("3", "20", plane="113621"),
        exposure("1.8.1", "1", FLUOROSCOPY, "113620"),
        exposure("1.8.1", "1", FLUOROSCOPY, "113621"),
        exposure("1.8.2", "2", ROTATION, "113621"),
    ),
    "all_planes": report(
        "2",
        "2",
        totals("3", "20", plane="113890"),
        exposure("1.8.3", "1", FLUOROSCOPY, "113620"),
        exposure("1.8.4", "2", FLUOROSCOPY, "113621"),
    ),
    "enhanced": report(
        "3",
        "3",
        sr.coded("121058", "113704"),
        of_source("A", sr.num("113722", "5", "Gy.cm2"), sr.num("113730", "8", "s"), concept="130500"),
        of_source("B", sr.num("113722", "7", "Gy.cm2"), sr.num("113730", "2", "s"), concept="130500"),
        summary("1.8.5", "A", sr.num("113738", "30", "mGy")),
        summary("1.8.6", "B", sr.num("113738", "40", "mGy")),
        SOPClassUID=ENHANCED,
    ),
    "mammography": report(
        "4",
        "4",
        sr.accumulated(sr.num("111637", "1.3", "mGy", LEFT)),
        exposure("1.8.7", "0.1", STATIONARY, "113622", sr.num("111631", "1.3", "mGy", LEFT)),
    ),
    "radiography": report("5", "5", totals("0.5"), exposure("1.8.8", "0.5", STATIONARY)),
    "ct": report(
        "6",
        "6",
        sr.date_time("113809", "20240304070000"),
        sr.content("CONTAINER", "113811", sr.num("113813", "300", "mGycm")),
        sr.content("CONTAINER", "113819", sr.uid("113769", "1.8.9"), sr.coded("113820", "113805")),
    ),
    "cumulative_1": report("7", "7", totals("1"), ONE, at="090000"),
    "cumulative_2": report("7", "8", totals("3"), ONE, TWO, at="091000"),
    "continued": report("7", "9", totals("4"), THREE, at="092000"),
    "corrected_old": report("8", "10", totals("9"), exposure("1.8.10", "9"), at="090000"),
    "corrected_new": report("8", "10", totals("8"), exposure("1.8.10", "8"), at="091000"),
    "wrong_patient": report("9", "11", totals("3"), MOVED, STAYING, at="090000"),
    "right_patient": report("10", "12", totals("1"), MOVED, at="100000", PatientID=" test "),
    "copy": report("11", "13", totals("1"), MOVED, at="080000"),
    "nameless_1": report("12", "14", totals("1"), StudyInstanceUID=None),
    "nameless_2": report("12", "15", totals("2"), StudyInstanceUID=None),
    "private": report("13", "16", totals("1"), title=("C-10", "99SMS_RADSUM"), SOPClassUID=ENHANCED[:-2] + "22"),
    "pharmaceutical": report("14", "17", totals("1"), SOPClassUID=ENHANCED[:-2] + "68"),
    "screenshot": report("15", "18", totals("1"), SOPClassUID="1.2.840.10008.5.1.4.1.1.7"),
}


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    site = make_site(tmp_path_factory.mktemp("kinds") / "site", site=SITE, kap_calibration=CALIBRATION)
    for name, content in FILES.items():
        write(site, f"inbox/dose_reports/{name}", content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOSELEDGER_KEY", KEY["DOSELEDGER_KEY"])
        result = run_nightly(site, date(2024, 3, 31), silent)
    assert result.folder, result.reasons
    with duckdb.connect(str(result.folder / "warehouse.duckdb"), read_only=True) as con:
        yield con


def one(con: duckdb.DuckDBPyConnection, columns: str, study: str, table: str = "fct_procedure") -> tuple[Any, ...]:
    [row] = con.execute(f"select {columns} from marts.{table} where study_instance_uid = '1.{study}'").fetchall()
    return tuple(round(value, 9) if isinstance(value, float) else value for value in row)


def hidden_name(name: str) -> str:
    """The published name of a file that is no readable dose report: its own name could be a patient's."""
    return the_key().path_key(f"inbox/dose_reports/{name}".encode())[:DIGITS]


def test_files(published: duckdb.DuckDBPyConnection) -> None:
    found = published.execute("select parse_filename(path), status, reason from ledger.file where kind = 'dose_report'")
    status = {name: (status, reason or "") for name, status, reason in found.fetchall()}
    for name in ("private", "pharmaceutical", "screenshot"):
        status[name] = status.pop(hidden_name(name))
    assert set(status) == set(FILES)
    replaced = {"cumulative_1": "cumulative_2", "corrected_old": "corrected_new", "copy": "right_patient"}
    for name, other in replaced.items():
        assert status[name][0] == ("duplicate" if name == "copy" else "superseded")
        assert other in status[name][1]
    assert status["private"][0] == "quarantined"
    assert "99SMS_RADSUM" in status["private"][1]
    assert status["pharmaceutical"] == (
        "not_dose",
        "no X-ray dose report but: Radiopharmaceutical Radiation Dose SR Storage",
    )
    assert status["screenshot"][0] == "not_dose"
    others = set(FILES) - set(replaced) - {"private", "pharmaceutical", "screenshot"}
    assert {status[name][0] for name in others} == {"loaded"}


def test_planes(published: duckdb.DuckDBPyConnection) -> None:
    """KAP of plane B is calibrated and adds; air kerma is that of the higher plane; both events of one UID count."""
    columns = "kap_gy_cm2, kap_source, ka_r_mgy, ka_r_plane_a_mgy, ka_r_plane_b_mgy, irradiation_events, fluoro_time_s"
    assert one(published, columns, "1") == (1 + 3.3, "accumulated", 20, 10, 20, 3, 8)
    assert one(published, columns, "2") == (3, "accumulated", 10, 10, 10, 2, 8)
    assert one(published, columns, "3") == (5 + 7.7, "accumulated", 40, 30, 40, 2, 10)


def test_modalities(published: duckdb.DuckDBPyConnection) -> None:
    def dose(study: str) -> tuple[Any, ...]:
        return one(published, "modality, kap_gy_cm2, dlp_mgy_cm, agd_mgy, agd_left_mgy", study, "fct_study_dose")

    assert dose("4") == ("MG", 0.1, None, 1.3, 1.3)
    assert dose("5") == ("DX", 0.5, None, None, None)
    assert dose("6") == ("CT", None, 300, None, None)
    started = "select started_at::varchar from marts.fct_irradiation_event where irradiation_event_uid = '1.8.9'"
    published.execute("set TimeZone = 'UTC'")
    assert published.execute(started).fetchall() == [("2024-03-04 06:00:00+00",)]


def test_cumulative_continued_and_corrected_reports(published: duckdb.DuckDBPyConnection) -> None:
    columns = "kap_gy_cm2, kap_source, kap_event_sum_gy_cm2, irradiation_events"
    assert one(published, columns, "7") == (3 + 4, "accumulated", 6, 3)
    assert one(published, columns, "8") == (8, "accumulated", 8, 1)


def test_an_event_of_two_studies_is_in_the_later_one(published: duckdb.DuckDBPyConnection) -> None:
    columns = "kap_gy_cm2, kap_source, irradiation_events, patient_key is null"
    assert one(published, columns, "9") == (2, "events", 1, False)
    assert one(published, columns, "10") == (1, "accumulated", 1, True)  # and its patient's ID is a placeholder
    assert published.execute(
        "select count(*) from marts.fct_procedure where study_instance_uid = '1.11'"
    ).fetchall() == [(0,)]


def test_reports_that_name_no_study_are_not_put_together(published: duckdb.DuckDBPyConnection) -> None:
    found = published.execute(
        "select modality, kap_gy_cm2 from marts.fct_study_dose where study_instance_uid is null order by kap_gy_cm2"
    )
    assert found.fetchall() == [("DX", 1.0), ("DX", 2.0)]
