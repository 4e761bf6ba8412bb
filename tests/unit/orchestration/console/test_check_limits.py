"""`check` about dose limits: a lens regime that is not in force is an error, a missing birth date a warning."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from support.small_site import make_site
from typer.testing import CliRunner

from ingest.site.config import load_site
from orchestration.cli import app
from orchestration.console.check_limits import limit_warnings, regime_problems


def site(root: Path, jurisdiction: str, regime: str, **files: str) -> Path:
    lines = (
        f"site_id: small\nname: Small\ntimezone: Europe/Madrid\njurisdiction: {jurisdiction}\nlens_regime: {regime}\n"
    )
    return make_site(root / "site", site=lines, **files)


@pytest.mark.parametrize(
    ("jurisdiction", "regime", "as_of", "is_wrong"),
    [
        ("fr", "five_year_100", date(2024, 4, 30), True),  # issue 23, row 5
        ("fr", "five_year_100", date(2023, 6, 30), False),
        ("fr", "annual_20", date(2023, 6, 30), True),
        ("fr", "annual_20", date(2024, 4, 30), False),
        ("fr", "null", date(2024, 4, 30), False),
        ("no", "five_year_100", date(2024, 4, 30), True),
        ("us", "annual_20", date(2024, 4, 30), True),
        ("us", "null", date(2024, 4, 30), False),
        ("eu", "five_year_100", date(2024, 4, 30), False),
    ],
)
def test_a_regime_is_one_of_the_jurisdiction_on_as_of(
    tmp_path: Path, jurisdiction: str, regime: str, as_of: date, is_wrong: bool
) -> None:
    problems = regime_problems(load_site(site(tmp_path, jurisdiction, regime)), as_of)
    assert [(problem.file, problem.field) for problem in problems] == [("site.yaml", "lens_regime")] * is_wrong
    assert all(as_of.isoformat() in problem.message for problem in problems)


def test_check_fails_on_a_regime_that_is_not_in_force(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOSELEDGER_KEY", "0123456789abcdef0123456789abcdef")
    root = str(site(tmp_path, "fr", "five_year_100"))
    refused = CliRunner().invoke(app, ["check", "--site", root, "--as-of", "2024-04-30"])
    told = " ".join(refused.output.split())
    assert refused.exit_code == 1
    assert "lens_regime" in told
    assert "fr does not have five_year_100 on 2024-04-30; it has annual_20." in told
    assert CliRunner().invoke(app, ["check", "--site", root]).exit_code == 1
    assert CliRunner().invoke(app, ["check", "--site", root, "--as-of", "2022-04-30"]).exit_code == 0


def test_an_apprentice_without_a_birth_date_is_named(tmp_path: Path) -> None:
    operators = "operator_id,worker_category,birth_date\nOP1,apprentice,\nOP2,apprentice,2007-01-01\nOP3,A,\n"
    dosimeters = (
        "dosimeter_serial,worn_at,operator_id,room_id,valid_from,valid_to\nB1,over_apron_collar,OP1,,2024-01-01,\n"
    )
    loaded = load_site(site(tmp_path, "eu", "null", operators=operators, dosimeters=dosimeters))
    (warning,) = limit_warnings(loaded, date(2024, 4, 30))
    assert "OP1" in warning


def test_a_date_without_known_limits_is_named(tmp_path: Path) -> None:
    (warning,) = limit_warnings(load_site(site(tmp_path, "de", "null")), date(2015, 4, 30))
    assert "reference/limits.csv" in warning
