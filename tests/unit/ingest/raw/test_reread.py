"""Reading loaded exports again under a changed description: from the inbox or the archive, all of a source or none."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from support.small_site import KEY, RATES, SOURCE, content, export, files, make_site, rows, run, the_key, write
from typer.testing import CliRunner, Result

from ingest.problems import UserError
from ingest.raw.build_db import open_build
from ingest.raw.file_ledger import due, whats_new
from ingest.raw.loader import load_dosimeters
from ingest.raw.reference_load import load_reference
from ingest.raw.reread import Reread, RereadBlocked, reread, reread_changed
from ingest.site.config import load_site
from orchestration.cli import app

IN_MSV = SOURCE.replace("uSv/h", "mSv/h")
WITH_NAMES = SOURCE.replace("hubs:", "ignored_columns: [Person]\nhubs:")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_site(tmp_path / "site")


def night(root: Path) -> list[Reread]:
    """What a night does with exports."""
    site = load_site(root)
    with open_build(site, the_key()) as con:
        load_reference(con, site)
        done = reread_changed(con, site, the_key())
        load_dosimeters(con, site, the_key())
    return done


def accepted(root: Path, source_id: str = "rates") -> Reread:
    site = load_site(root)
    with open_build(site, the_key()) as con:
        return reread(con, site, the_key(), source_id, due(con, site)[source_id], accept=True)


def in_force(root: Path) -> list[tuple[object, ...]]:
    query = """
        select path, status, order_seq, coalesce(sum(value_usv), 0)
        from raw.file left join raw.dose_record using (load_seq)
        where superseded_by is null
        group by all order by order_seq, path
    """
    return rows(root, query)


def empty_inbox(root: Path) -> None:
    for path in (root / RATES).iterdir():
        path.unlink()


def with_names(*rates: float, name: str = "Quinferez") -> str:
    lines = [f"B1;2024-03-05T10:00:{second:02};{name};{rate};BASE" for second, rate in enumerate(rates)]
    return "\n".join(["Badge;Time;Person;Rate;Hub", *lines, ""])


def copies(root: Path) -> list[Path]:
    return sorted((root / "data/archive").rglob("*.gz"))


@pytest.mark.parametrize("is_emptied", [False, True])
def test_a_unit_that_is_corrected_after_loading_changes_the_doses(root: Path, *, is_emptied: bool) -> None:
    write(root, f"{RATES}/a.csv", export(36))
    write(root, f"{RATES}/b.csv", export(72, day=6))
    night(root)
    if is_emptied:
        empty_inbox(root)
    write(root, "sources/rates.yaml", IN_MSV)
    assert whats_new(load_site(root), the_key()).reread == 2
    (done,) = night(root)
    assert str(done) == (
        "sources/rates.yaml has changed: 2 loaded files were read again; 2 rows, hp10 0.030 µSv before, "
        "2 rows, hp10 30.000 µSv now."
    )
    assert in_force(root) == [(f"{RATES}/a.csv", "loaded", 1, 10), (f"{RATES}/b.csv", "loaded", 2, 20)]
    assert rows(root, "select load_seq, superseded_by from raw.file order by load_seq")[:2] == [(1, 3), (2, 4)]
    assert not whats_new(load_site(root), the_key())
    before = content(root)
    assert night(root) == []
    assert content(root) == before


@pytest.mark.parametrize(
    "change",
    [
        ("timezone: Europe/Madrid", "timezone: Europe/London"),
        ("dst: true", "dst: false"),
        ("sample_seconds: 1", "sample_seconds: 2"),
        ('decimal: "."', 'decimal: "."\nbelow_lod_tokens: [M]'),
        ('decimal: "."', 'decimal: "."\nfooter_pattern: "^Sum"'),
        ("hubs:", 'unused_tokens: ["-"]\nhubs:'),
    ],
)
def test_what_changes_the_meaning_of_a_row_is_read_again(root: Path, change: tuple[str, str]) -> None:
    write(root, f"{RATES}/a.csv", export(36))
    night(root)
    changed = SOURCE.replace(*change)
    write(
        root,
        "sources/rates.yaml",
        changed.replace("{hp10: uSv/h}", "{hp007: uSv/h}") if "hp007" in changed else changed,
    )
    assert len(night(root)) == 1


@pytest.mark.parametrize(
    "change",
    [
        ("BASE: CATH1", "BASE: CATH1, OTHER: CATH1"),
        ('"*.csv"', '"a*"'),
        ("hubs:", "records_when_idle: true\nhubs:"),
        ("hubs:", "ignored_columns: [Battery]\nhubs:"),
        ("layout: rate_samples", "# a remark\nlayout: rate_samples"),
        ("dst: true", "dst: true\nskip_rows: 0"),
    ],
)
def test_what_does_not_change_it_is_not(root: Path, change: tuple[str, str]) -> None:
    write(root, f"{RATES}/a.csv", export(36))
    night(root)
    write(root, "sources/rates.yaml", SOURCE.replace(*change))
    assert whats_new(load_site(root), the_key()).reread == 0
    assert night(root) == []


def test_a_file_that_would_be_refused_blocks_and_changes_nothing(root: Path) -> None:
    write(root, f"{RATES}/a.csv", export(36))
    write(root, f"{RATES}/b.csv", export(36, day=6).replace("Rate", "Rate 2"))
    write(root, "sources/rates.yaml", SOURCE.replace("hubs:", 'ignored_columns: ["Rate 2"]\nhubs:'))
    night(root)
    write(root, f"{RATES}/c.csv", export(36, day=7))
    write(root, "sources/rates.yaml", IN_MSV.replace("hp10: Rate", "hp10: Dose"))
    before = content(root)
    with pytest.raises(RereadBlocked, match=r"1 of 1 loaded files cannot .* b?.*a\.csv would be refused .*--accept"):
        night(root)
    after = content(root)
    assert (after["file"], after["dose_record"]) == (before["file"], before["dose_record"])
    done = accepted(root)
    assert done.left
    assert in_force(root)[0][:2] == (f"{RATES}/a.csv", "quarantined")
    write(root, "sources/rates.yaml", IN_MSV)  # corrected: what was refused is read again, also from the archive
    empty_inbox(root)
    night(root)
    assert in_force(root)[0] == (f"{RATES}/a.csv", "loaded", 1, 10)


def test_fewer_rows_block(root: Path) -> None:
    write(root, f"{RATES}/a.csv", export("1.5", "2"))
    night(root)
    write(root, "sources/rates.yaml", SOURCE.replace('decimal: "."', 'decimal: ","'))
    with pytest.raises(RereadBlocked, match="1 of 2 readable rows fewer"):
        night(root)
    accepted(root)
    assert rows(root, "select rows_loaded from raw.file where superseded_by is null") == [(1,)]
    assert night(root) == []


def test_a_file_that_is_gone_blocks_and_keeps_its_doses_if_accepted(root: Path) -> None:
    write(root, f"{RATES}/a.csv", export(36))
    night(root)
    empty_inbox(root)
    for copy in copies(root):
        copy.write_bytes(copy.read_bytes()[:40])
    write(root, "sources/rates.yaml", IN_MSV)
    with pytest.raises(RereadBlocked, match=r"cannot be found .*damaged"):
        night(root)
    accepted(root)
    assert in_force(root) == [(f"{RATES}/a.csv", "loaded", 1, Decimal("0.01"))]
    assert night(root) == []
    write(root, "sources/rates.yaml", SOURCE)
    assert night(root) == [], "it has been read under this one"


def test_a_file_that_was_renamed_is_found_by_its_bytes(root: Path) -> None:
    path = write(root, f"{RATES}/a.csv", export(36))
    night(root)
    path.rename(path.with_name("b.csv"))
    for copy in copies(root):
        copy.unlink()
    write(root, "sources/rates.yaml", IN_MSV)
    night(root)
    assert in_force(root) == [(f"{RATES}/a.csv", "loaded", 1, 10), (f"{RATES}/b.csv", "duplicate", 3, 0)]
    assert rows(root, "select duplicate_of from raw.file where status = 'duplicate'") == [(2,)]


def test_copies_of_a_file_follow_its_new_reading(root: Path) -> None:
    for name in "ab":
        write(root, f"{RATES}/{name}.csv", export(36))
    night(root)
    write(root, "sources/rates.yaml", IN_MSV)
    night(root)
    assert rows(root, "select load_seq, status, duplicate_of from raw.file where superseded_by is null order by 1") == [
        (2, "duplicate", 3),
        (3, "loaded", None),
    ]


def test_one_source_that_blocks_does_not_keep_another_from_being_read(root: Path) -> None:
    write(root, "sources/other.yaml", SOURCE.replace("source_id: rates", "source_id: other"))
    write(root, f"{RATES}/a.csv", export(36))
    write(root, "inbox/dosimeters/other/a.csv", export(36, badge="B2"))
    night(root)
    write(root, "sources/rates.yaml", IN_MSV)
    write(root, "sources/other.yaml", SOURCE.replace("source_id: rates", "source_id: other").replace("Rate,", "Dose,"))
    with pytest.raises(UserError, match=r"sources/other\.yaml"):
        night(root)
    assert {path: usv for path, _, _, usv in in_force(root)} == {
        f"{RATES}/a.csv": 10,
        "inbox/dosimeters/other/a.csv": Decimal("0.01"),
    }


# --- the archive -----------------------------------------------------------------------------------------------------


def test_copies_are_private_and_without_the_cells_of_ignored_columns(root: Path) -> None:
    write(root, "sources/rates.yaml", WITH_NAMES)
    write(root, f"{RATES}/a.csv", with_names(36, 72))
    night(root)
    (copy,) = copies(root)
    assert (copy.stat().st_mode & 0o777, copy.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert (root / "data/archive").stat().st_mode & 0o777 == 0o700
    assert gzip.decompress(copy.read_bytes()).decode() == with_names(36, 72, name="")
    assert copy.name == rows(root, "select sha256 || '.gz' from raw.file")[0][0]
    empty_inbox(root)
    write(root, "sources/rates.yaml", WITH_NAMES.replace("uSv/h", "mSv/h"))
    night(root)
    assert in_force(root) == [(f"{RATES}/a.csv", "loaded", 1, 30)]


def test_a_column_that_was_ignored_cannot_be_read_from_a_copy(root: Path) -> None:
    write(
        root,
        "sources/rates.yaml",
        SOURCE.replace("Rate, hub", "Rate, hub").replace("hubs:", "ignored_columns: [Skin]\nhubs:"),
    )
    text = export(36).replace("Hub", "Hub;Skin").replace("BASE", "BASE;72")
    write(root, f"{RATES}/a.csv", text)
    night(root)
    mapped = SOURCE.replace("hp10: Rate,", "hp10: Rate, hp007: Skin,").replace("uSv/h}", "uSv/h, hp007: uSv/h}")
    write(root, "sources/rates.yaml", mapped)
    empty_inbox(root)
    with pytest.raises(RereadBlocked, match="lacks a column that was ignored"):
        night(root)
    write(root, f"{RATES}/a.csv", text)
    night(root)
    assert rows(root, "select count(*) from raw.dose_record where load_seq > 1") == [(2,)]


def test_of_a_growing_export_only_the_newest_content_is_kept(root: Path) -> None:
    contents = [export(*range(1, n + 1)) for n in (2, 4, 6)]
    for text in contents:
        write(root, f"{RATES}/a.csv", text)
        night(root)
    (copy,) = copies(root)
    assert gzip.decompress(copy.read_bytes()).decode() == contents[-1]
    write(root, f"{RATES}/a.csv", export(9, 9, day=7))  # begins anew
    night(root)
    assert len(copies(root)) == 2
    empty_inbox(root)
    write(root, "sources/rates.yaml", IN_MSV)
    (done,) = night(root)
    assert (done.files, done.before.rows, done.after.rows) == (4, 14, 14)
    assert done.after.usv["hp10"] == pytest.approx(1000 * done.before.usv["hp10"], rel=Decimal("1e-6"))


def test_copies_are_removed_after_the_days_that_the_site_states(root: Path) -> None:
    write(root, f"{RATES}/a.csv", export(36))
    night(root)
    write(root, "site.yaml", "site_id: small\nname: Small\narchive: {keep_days: 10}\n")
    night(root)
    assert len(copies(root)) == 1
    site = load_site(root)
    with open_build(site, the_key()) as con:
        con.execute("update raw.archived_export set archived_at = archived_at - interval 11 day")
    night(root)
    assert copies(root) == []
    assert rows(root, "select count(*) from raw.archived_export") == [(0,)]


def test_refused_files_and_copies_of_loaded_ones_are_not_kept(root: Path) -> None:
    write(root, f"{RATES}/a.csv", "Badge;Colour\n")
    write(root, f"{RATES}/b.csv", export(1))
    write(root, f"{RATES}/c.csv", export(1))
    run(root)
    assert [status for status, _ in files(root).values()] == ["quarantined", "loaded", "duplicate"]
    assert len(copies(root)) == 1


def test_withdrawn_files_are_left_alone_until_they_are_back(root: Path) -> None:
    write(root, f"{RATES}/a.csv", export(36))
    night(root)
    (sha256,) = rows(root, "select sha256 from raw.file")[0]
    empty_inbox(root)
    for copy in copies(root):
        copy.unlink()
    write(root, "reference/withdrawn_files.csv", f"sha256,by,on,reason\n{sha256},Ana,2024-04-01,wrong hospital\n")
    write(root, "sources/rates.yaml", IN_MSV)
    assert night(root) == []
    (root / "reference/withdrawn_files.csv").unlink()
    with pytest.raises(RereadBlocked):
        night(root)


# --- the command line ------------------------------------------------------------------------------------------------


def command(root: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments, "--site", str(root)], env=KEY)


def test_check_says_what_will_be_read_again_and_reread_does_it(root: Path) -> None:
    write(root, f"{RATES}/a.csv", export("1.5", "2"))
    night(root)
    assert "read again" not in command(root, "check").output
    write(root, "sources/rates.yaml", SOURCE.replace('decimal: "."', 'decimal: ","'))
    checked = command(root, "check")
    assert checked.exit_code == 0
    assert "sources/rates.yaml has changed: 1 loaded files will be read again by the next run." in checked.output
    refused = command(root, "reread", "rates")
    assert refused.exit_code == 1
    assert f"{RATES}/a.csv has 1 of 2 readable rows fewer" in refused.output
    done = command(root, "reread", "rates", "--accept")
    assert done.exit_code == 0
    assert "1 loaded files were read again" in done.output
    assert "Nothing of rates is to be read again." in command(root, "reread", "rates").output
    assert "There is no sources/rate.yaml; there are: rates." in command(root, "reread", "rate").output


def test_check_names_files_that_are_misplaced_or_empty(root: Path) -> None:
    misplaced = ["inbox/dosimeters/lost.csv", "inbox/dosimeters/nobody/a.csv", f"{RATES}/a.txt"]
    empty = [f"{RATES}/empty.csv", "inbox/dose_reports/empty.dcm"]
    for name in misplaced:
        write(root, name, export(1))
    for name in [*empty, f"{RATES}/Thumbs.db"]:
        write(root, name, "")
    write(root, f"{RATES}/good.csv", export(1))
    output = command(root, "check").output
    assert [name for name in [*misplaced, *empty] if name not in output] == []
    assert "Thumbs.db" not in output
    assert "good.csv" not in output
    for number in range(30):
        write(root, f"inbox/dosimeters/{number}.csv", "x")
    assert "15 more files would be refused" in command(root, "check").output


# --- siblings --------------------------------------------------------------------------------------------------------


def test_a_description_that_is_broken_after_loading_changes_nothing(root: Path) -> None:
    write(root, f"{RATES}/a.csv", export(36))
    night(root)
    before = content(root)
    write(root, "sources/rates.yaml", SOURCE.replace("uSv/h", "uSw/h"))
    with pytest.raises(UserError):
        night(root)
    write(root, "sources/rates.yaml", SOURCE)
    assert night(root) == []
    assert content(root) == before


KILLED = """
import os, signal, sys
from pathlib import Path
import ingest.raw.reread
from ingest.raw.build_db import open_build
from ingest.dosimeters.reader import read_export
from ingest.pseudonymise import load_key
from ingest.site.config import load_site
files = []
def killed(path, source):
    files.append(path)
    if len(files) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return read_export(path, source)
ingest.raw.reread.read_export = killed
site = load_site(Path(sys.argv[1]))
key = load_key("small", os.environ)
with open_build(site, key) as con:
    ingest.raw.reread.reread_changed(con, site, key)
"""


def test_a_run_that_is_killed_while_it_reads_again_ends_as_if_it_was_not(root: Path) -> None:
    for number in range(3):
        write(root, f"{RATES}/{number}.csv", export(36, 72, day=number + 1))
    night(root)
    empty_inbox(root)
    write(root, "sources/rates.yaml", IN_MSV)
    process = subprocess.run([sys.executable, "-c", KILLED, str(root)], env={**os.environ, **KEY}, check=False)
    assert process.returncode == -signal.SIGKILL
    assert rows(root, "select count(*) from raw.file where superseded_by is not null") == [(0,)]
    night(root)
    assert [usv for *_, usv in in_force(root)] == [30, 30, 30]
    loaded = [load_seq for (load_seq,) in rows(root, "select distinct load_seq from raw.dose_record order by 1")]
    assert loaded == [*range(1, 7)]
    assert not (root / "data/build/reread.csv").exists()
