"""Real dose reports from files to publication: what is published is what an independent reading of them found.

The values are those of the manifest beside the reports (read by code value, agreed with their sources' own tests).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import date
from typing import Any

import duckdb
import pytest
from support import paths
from support.real_reports import WHY_MISSING, present
from support.small_site import KEY, make_site

from orchestration.nightly import run_nightly
from orchestration.resources import silent

REAL = paths.REAL_REPORTS
# A doctored copy: another study UID, but the events of RF-RDSR-Siemens-Zee.dcm.
DOCTORED = "RF-RDSR-Siemens-Zee_adjusted.dcm"


def manifest() -> dict[str, dict[str, str]]:
    return {row["file"]: row for row in present("manifest.csv")}


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    if not REAL.exists():
        pytest.skip(WHY_MISSING)
    site = make_site(tmp_path_factory.mktemp("real") / "site")
    inbox = site / "inbox" / "dose_reports"
    inbox.mkdir(parents=True)
    for report in REAL.glob("*.dcm"):
        shutil.copy(report, inbox)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOSELEDGER_KEY", KEY["DOSELEDGER_KEY"])
        result = run_nightly(site, date(2024, 12, 31), silent)
    assert result.folder, result.reasons
    with duckdb.connect(str(result.folder / "warehouse.duckdb"), read_only=True) as con:
        yield con


def rows(con: duckdb.DuckDBPyConnection, query: str) -> list[tuple[Any, ...]]:
    return con.execute(query).fetchall()


def test_all_fluoroscopy_reports_but_the_doctored_copy_are_procedures(published: duckdb.DuckDBPyConnection) -> None:
    fluoroscopy = [file for file, row in manifest().items() if row["modality"] == "RF"]
    assert len(fluoroscopy) >= 10
    assert rows(published, "select count(*) from marts.fct_procedure") == [(len(fluoroscopy) - 1,)]
    (status, reason) = rows(published, f"select status, reason from ledger.file where path like '%{DOCTORED}'")[0]
    assert status == "duplicate"
    assert "RF-RDSR-Siemens-Zee.dcm" in reason


def test_totals_counts_and_times_are_those_of_the_manifest(published: duckdb.DuckDBPyConnection) -> None:
    expected = sorted(
        (
            int(row["n_events"]),
            round(float(row["total_dap_gym2"]) * 1e4, 6),
            round(float(row["total_dose_rp_gy"]) * 1e3, 6),
            round(float(row["total_fluoro_time_s"]), 3),
            round(float(row["fluoro_dap_gym2"]) * 1e4, 6),
            round(float(row["acq_dap_gym2"]) * 1e4, 6),
        )
        for file, row in manifest().items()
        if row["modality"] == "RF" and file != DOCTORED
    )
    found = rows(
        published,
        "select irradiation_events, round(kap_gy_cm2, 6), round(ka_r_mgy, 6), round(fluoro_time_s, 3), "
        "round(kap_fluoro_gy_cm2, 6), round(kap_acquisition_gy_cm2, 6) from marts.fct_procedure "
        "where kap_source = 'accumulated' order by all",
    )
    assert found == expected


def test_a_cumulative_series_is_its_last_report(published: duckdb.DuckDBPyConnection) -> None:
    series = "select path, status from ledger.file where path like '%Siemens-Multi-%' order by path"
    assert [status for _, status in rows(published, series)] == ["superseded", "superseded", "loaded"]
    assert rows(published, "select dlp_mgy_cm from marts.fct_study_dose where dlp_mgy_cm = 236.09") == [(236.09,)]


def test_modalities_are_by_content(published: duckdb.DuckDBPyConnection) -> None:
    found = dict(rows(published, "select modality, count(*) from marts.fct_study_dose group by all"))
    kinds = [row["modality"] for row in manifest().values() if row["kind"].startswith("X-ray")]
    # Three CT reports are one study, and the doctored fluoroscopy copy is none.
    expected = {
        "XA": kinds.count("RF") - 1,
        "CT": kinds.count("CT") - 2,
        "MG": kinds.count("MG"),
        "DX": kinds.count("DX"),
    }
    assert found == expected


def test_negatives_are_refused_with_a_reason(published: duckdb.DuckDBPyConnection) -> None:
    for row in manifest().values():
        if row["kind"].startswith("negative"):
            # By content: a path is freed of the patient's name, and one of these patients is called like its file.
            [(status, reason)] = rows(
                published, f"select status, reason from ledger.file where sha256 = '{row['sha256']}'"
            )
            assert status == "not_dose"
            assert reason
