"""Where the tests find the repository and the shared hospitals beside it."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests"
DBT_PROJECT = ROOT / "dbt_project"
SHARED = ROOT.parent / "shared"  # real reports and hospitals with known truth; not part of the repository
