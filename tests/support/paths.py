"""Where the tests find the repository and the shared hospitals beside it."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests"
DBT_PROJECT = ROOT / "dbt_project"
TEST_DATA = TESTS / "test_data"
FETCHED_REPORTS = TEST_DATA / "real_rdsr"  # by `make test-data`
SHARED = ROOT.parent / "shared"  # real reports and hospitals with known truth; not part of the repository
REAL_REPORTS = SHARED / "real_rdsr" if (SHARED / "real_rdsr").exists() else FETCHED_REPORTS
