"""`check` names serials that exports of several sources state on the same days, before anything is loaded."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.small_site import DOSIMETERS, KEY, RATES, SOURCE, export, make_site, run, write
from typer.testing import CliRunner

from orchestration.cli import app
from orchestration.console import check_badges as badge_check

LOG = """\
source_id: {source_id}
layout: counter_log
encoding: utf-8
delimiter: ";"
decimal: "."
timezone: Europe/Madrid
dst: true
datetime_format: iso8601
columns: {{dosimeter_serial: Badge, started_at: Time, hp10: Total}}
units: {{hp10: uSv}}
"""
NAMED = "dosimeter_serial,worn_at,operator_id,room_id,valid_from,valid_to,source_id\n"


def readings(*values: float, day: int = 5, badge: str = "B1") -> str:
    rows = [f"{badge};2024-03-{day:02}T{8 + hour:02}:00:00;{value}" for hour, value in enumerate(values)]
    return "\n".join(["Badge;Time;Total", *rows, ""])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two readers of counters, each with a badge B1."""
    root = make_site(tmp_path / "site")
    for source_id in ("ward", "lab"):
        write(root, f"sources/{source_id}.yaml", LOG.format(source_id=source_id))
    write(root, "inbox/dosimeters/ward/a.csv", readings(0.2, 2.0))
    write(root, "inbox/dosimeters/lab/a.csv", readings(1000, 1000))
    return root


def check(root: Path) -> tuple[int, str]:
    result = CliRunner(env=KEY).invoke(app, ["check", "--site", str(root)])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.output


def test_a_serial_of_two_counters_on_one_day_is_refused_in_one_sentence(root: Path) -> None:
    code, output = check(root)
    assert code == 1
    assert (
        "reference/dosimeters.csv, field source_id: badge B1 is in exports of the sources lab and ward on the same "
        "days (2024-03-05); if it is one badge, name both sources in its row"
    ) in output
    assert output.count("✗") == 1


def test_what_is_loaded_is_still_named(root: Path) -> None:
    run(root)
    assert check(root)[0] == 1


@pytest.mark.parametrize(
    "rows",
    [
        "B1,over_apron_collar,OP1,,2024-01-01,,ward lab\n",
        "B1,over_apron_collar,OP1,,2024-01-01,,ward\nB1,over_apron_collar,OP2,,2024-01-01,,lab\n",
    ],
)
def test_an_assignment_that_names_the_sources_decides(root: Path, rows: str) -> None:
    write(root, "reference/dosimeters.csv", NAMED + rows)
    assert check(root)[0] == 0


def test_an_assignment_decides_only_while_it_is_in_force(root: Path) -> None:
    row = "B1,over_apron_collar,OP1,,{},,ward lab\n"
    write(root, "reference/dosimeters.csv", NAMED + row.format("2024-03-06"))
    assert check(root)[0] == 1


def test_other_days_or_badges_are_no_ambiguity(root: Path) -> None:
    write(root, "inbox/dosimeters/lab/a.csv", readings(1000, 1000, day=6) + readings(1, badge="B2")[17:])
    assert check(root)[0] == 0


def test_rate_samples_and_hourly_totals_are_of_one_badge(tmp_path: Path) -> None:
    root = make_site(tmp_path / "site", dosimeters=DOSIMETERS)
    hours = SOURCE.replace("source_id: rates", "source_id: hours").replace("rate_samples", "hourly_totals")
    hours = hours.replace("sample_seconds: 1", "counter: increment").replace("uSv/h", "uSv")
    write(root, "sources/hours.yaml", hours)
    write(root, "inbox/dosimeters/rates/a.csv", export(1, 2))
    write(root, "inbox/dosimeters/hours/a.csv", export(1))
    assert check(root)[0] == 0


def test_it_reads_a_bounded_amount_and_says_so(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(badge_check, "MOST_BYTES", 100)
    code, output = check(root)
    assert code == 0
    assert "Large exports that were not read for badges of several sources: 1." in output


CORRECTIONS = "dosimeter_serial,from,to,kind,by,reason\n"
LINKS = "procedure_id,dosimeter_serial,from,to,by,reason\n"
SPAN = "2024-03-05T08:00,2024-03-05T09:00"


def test_a_row_about_a_badge_that_nothing_knows_is_named_with_line_and_field(tmp_path: Path) -> None:
    root = make_site(
        tmp_path / "site",
        corrections=CORRECTIONS + f"B1,{SPAN},not_occupational,me,\nB01,{SPAN},not_occupational,me,\n",
        links=LINKS + f"P1,0001,{SPAN},me,\n",
    )
    write(root, f"{RATES}/a.csv", export(1, 2, badge="SPARE"))
    code, output = check(root)
    assert code == 1
    assert (
        "reference/corrections.csv line 3, field dosimeter_serial: badge 'B01' is in no row of dosimeters.csv and in "
        "no export that was read, so this row changes nothing; correct the serial"
    ) in output
    assert "reference/links.csv line 2, field dosimeter_serial: badge '0001'" in output
    assert output.count("✗") == 2


@pytest.mark.parametrize("is_loaded", [False, True])
def test_an_unassigned_badge_that_an_export_has_is_known(tmp_path: Path, *, is_loaded: bool) -> None:
    root = make_site(tmp_path / "site", corrections=CORRECTIONS + f"SPARE,{SPAN},not_occupational,me,\n", links=LINKS)
    write(root, f"{RATES}/a.csv", export(1, 2, badge="SPARE"))
    if is_loaded:
        run(root)
        (root / RATES / "a.csv").unlink()
    assert check(root)[0] == 0
