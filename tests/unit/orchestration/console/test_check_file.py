"""`check --file`: an export is shown as it would be read, and the site is as it was before."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.small_site import RATES, SOURCE, export, files, looking, make_site, rows, run, write
from typer.testing import CliRunner

from orchestration.cli import app


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_site(tmp_path / "site")


def check(root: Path, file: Path) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["check", "--site", str(root), "--file", str(file)])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.output


def test_first_rows_counts_and_sum_are_shown_with_units_and_instants(root: Path) -> None:
    code, said = check(root, write(root, f"{RATES}/a.csv", export(36, 18)))
    assert code == 0
    assert "2  B1     hp10      36 uSv/h  0.010000000  2024-03-05 10:00:00  2024-03-05 09:00:00" in said
    assert "2 would load, 0 would be rejected" in said
    assert "Sum of hp10: 0.015000000 µSv" in said
    assert "Nothing was loaded" in said


def test_each_problem_is_shown_with_its_line(root: Path) -> None:
    text = export(36, "x") + "B1;2024-03-05T24:00:00;1;BASE\nB1;2024-03-05"
    code, said = check(root, write(root, f"{RATES}/a.csv", text))
    assert code == 0
    assert "1 would load, 3 would be rejected" in said
    assert "line 3: hp10 is not a number" in said
    assert "line 4: started_at says hour 24" in said
    assert "line 5: is an incomplete last line" in said


def test_many_problems_are_counted_by_reason(root: Path) -> None:
    _, said = check(root, write(root, f"{RATES}/a.csv", export(1, *["x"] * 55)))
    assert said.count("hp10 is not a number") == 51
    assert "and 5 more" in said
    assert "55 × hp10 is not a number" in said


def test_what_loads_and_is_never_linked_is_a_warning(root: Path) -> None:
    text = export(1, badge="B9").replace("BASE", "BASE-9")
    _, said = check(root, write(root, f"{RATES}/a.csv", text))
    assert "Not in reference/dosimeters.csv, so of no operator: B9" in said
    assert "in no room: BASE-9" in said


def test_a_file_that_would_be_quarantined_is_exit_code_1(root: Path) -> None:
    code, said = check(root, write(root, f"{RATES}/a.csv", "Badge;Time;Dose;Hub\n"))
    assert code == 1
    assert "missing column 'Rate'; unknown column 'Dose'" in said
    assert check(root, write(root, f"{RATES}/a.txt", export(1)))[0] == 1
    assert check(root, write(root, "inbox/dosimeters/a.csv", export(1)))[0] == 1


def test_a_file_outside_the_inbox_is_of_the_one_source_that_it_fits(root: Path, tmp_path: Path) -> None:
    write(root, "sources/other.yaml", SOURCE.replace("source_id: rates", "source_id: other").replace("Rate,", "Dose,"))
    code, said = check(root, write(tmp_path, "mail/a.csv", export(1)))
    assert (code, "read by sources/rates.yaml" in said) == (0, True)
    code, said = check(root, write(tmp_path, "mail/b.csv", "Badge;Time\n"))
    assert (code, "other: the header" in said, "rates: the header" in said) == (1, True, True)
    write(root, "sources/other.yaml", SOURCE.replace("source_id: rates", "source_id: other"))
    code, said = check(root, tmp_path / "mail/a.csv")
    assert (code, "fits several sources (other, rates)" in said) == (1, True)


def test_a_file_that_is_not_there_is_one_sentence(root: Path) -> None:
    code, said = check(root, root / "nothing.csv")
    assert (code, "cannot be read" in said, said.count(".csv")) == (1, True, 1)


def test_nothing_is_touched_and_the_load_says_the_same(root: Path) -> None:
    path = write(root, f"{RATES}/a.csv", export(36, "x", 18))
    before = {file: file.stat().st_mtime_ns for file in sorted(root.rglob("*"))}
    _, said = check(root, path)
    assert {file: file.stat().st_mtime_ns for file in sorted(root.rglob("*"))} == before
    run(root)
    assert files(root) == {f"{RATES}/a.csv": ["loaded", None]}
    assert rows(root, "select rows_loaded, rows_rejected from raw.file") == [(2, 1)]
    total = rows(root, "select sum(value_usv) from raw.dose_record")[0][0]
    assert f"Sum of hp10: {total:.9f}" in said


def test_rows_within_a_day_of_a_known_procedure_are_counted(root: Path) -> None:
    """A wrong date format shows here before anything is loaded: its rows are near no procedure."""
    file = write(root, f"{RATES}/a.csv", export(1, 2) + export(1, 2, 3, day=9).partition("\n")[2])
    assert "Within a day of a known procedure: not known" in check(root, file)[1]
    run(root)
    with looking(root) as con:
        con.execute(
            "create schema marts; create table marts.fct_procedure (started_at timestamptz, ended_at timestamptz)"
        )
        con.execute("insert into marts.fct_procedure values ('2024-03-04 07:00:00+00', '2024-03-04 09:00:00+00')")
        con.execute("insert into marts.fct_procedure values ('2024-03-07 07:00:00+00', '2024-03-07 08:00:00+00')")
    _, said = check(root, file)
    # 10:00:00 in Madrid is 09:00:00 UTC: the first row is a day after the end, the second a second more.
    assert "Within a day of a known procedure: 1 of 5 rows (2 procedures are known)." in " ".join(said.split())
    far = write(root, f"{RATES}/b.csv", export(1, 2, day=29))
    assert "! Within a day of a known procedure: 0 of 2 rows" in " ".join(check(root, far)[1].split())
