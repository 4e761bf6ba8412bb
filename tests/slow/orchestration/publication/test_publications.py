"""Publications on disk: going back to an earlier one and on again, and which are removed."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from support.small_build import add_build, change, make_build, pass_gate
from support.small_site import KEY, make_site
from typer.testing import CliRunner

from ingest.problems import UserError
from orchestration.cli import app
from orchestration.publication import publish as publish_module
from orchestration.publication.history import (
    CURRENT,
    GRACE,
    ROLLED_BACK_FROM,
    UNFINISHED,
    Clock,
    PublishRefused,
    current_publication,
    keep_wanted,
    point,
    prune,
    publications,
    roll_back,
    rolled_back_from,
    take_back_all,
)
from orchestration.publication.publish import NothingNew, Publication, publish

FIRST_NIGHT = datetime(2024, 4, 1, 3, 0, tzinfo=UTC)
LATER = Clock(datetime(2024, 12, 1, tzinfo=UTC), date(2024, 12, 1))


class Nights:
    """A build that is published night after night, each time from new input."""

    def __init__(self, folder: Path) -> None:
        self.published = folder / "published"
        self.build = make_build(folder / "build" / "doseledger.duckdb")
        self.count = 0

    def next(self, keep: int = 30) -> Publication:
        """The next night's publication."""
        self.count += 1
        build_id = f"night {self.count}"
        add_build(self.build, build_id, fingerprint=build_id)
        pass_gate(self.build, build_id)
        now = FIRST_NIGHT + timedelta(days=self.count)
        outcome = publish(self.build, self.published, keep=keep, now=now)
        assert isinstance(outcome, Publication)
        return outcome

    def current(self) -> str:
        """The run that readers see."""
        current = current_publication(self.published)
        assert current is not None
        return current.run_id

    def told(self, run_id: str, table: str, columns: str) -> set[tuple[object, ...]]:
        """Rows of a table of the ledger, as a publication tells it."""
        file = self.published / "runs" / run_id / "restricted" / "restricted.duckdb"
        with duckdb.connect(file, read_only=True) as con:
            return set(con.execute(f"select {columns} from ledger.{table}").fetchall())

    def on_disk(self) -> list[str]:
        """The runs that are there, newest first."""
        return [one.run_id for one in publications(self.published)]


@pytest.fixture
def nights(tmp_path: Path) -> Nights:
    return Nights(tmp_path)


# --- a publication that is killed between its two renames ------------------------------------------------------------


def publish_and_die(nights: Nights, before: str) -> str:
    """Publishes in another process that kills itself when it would point this link; the run that it left behind."""
    known = {folder.name for folder in nights.published.glob("runs/*")}

    def point_or_die(link: Path, run_id: str) -> None:
        if link.name == before:
            os.kill(os.getpid(), signal.SIGKILL)
        point(link, run_id)

    def die() -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(publish_module, "point", point_or_die)
            nights.next()

    process = multiprocessing.get_context("fork").Process(target=die)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    (left,) = {folder.name for folder in nights.published.glob("runs/*")} - known
    return left


@pytest.mark.parametrize("has_one_before", [True, False])
def test_a_publication_killed_before_the_switch_is_none_and_is_removed_by_name(
    nights: Nights, *, has_one_before: bool
) -> None:
    before = [nights.next().run_id] if has_one_before else []
    left = publish_and_die(nights, CURRENT)
    assert (nights.published / "runs" / left / "warehouse.duckdb").exists()
    assert [entry.run_id for entry in filter(None, [current_publication(nights.published)])] == before
    assert nights.on_disk() == before
    with pytest.raises(UserError, match=r"is not there or cannot be read|names no publication"):
        roll_back(nights.published, LATER, left)
    after = nights.next()
    assert after.removed == left
    assert nights.on_disk() == [after.run_id, *before]
    assert {path.name for path in (nights.published / "runs").iterdir()} == {after.run_id, *before}
    assert nights.told(after.run_id, "publication", "run_id") == {(run_id,) for run_id in [*before, after.run_id]}
    assert nights.next().removed is None
    assert {path.name for path in nights.published.iterdir()} == {"runs", "current"}


def test_a_publication_that_is_killed_before_it_gets_its_name_leaves_nothing(nights: Nights) -> None:
    one = nights.next().run_id
    left = publish_and_die(nights, UNFINISHED)
    assert left.startswith(".")
    assert nights.on_disk() == [one]
    after = nights.next()
    assert after.removed is None
    assert {path.name for path in (nights.published / "runs").iterdir()} == {one, after.run_id}


def test_a_publication_that_was_switched_stays_wherever_the_run_was_killed_then(nights: Nights) -> None:
    one, two = nights.next().run_id, nights.next().run_id
    point(nights.published / UNFINISHED, two)  # killed before it could be removed
    assert nights.on_disk() == [two, one]
    roll_back(nights.published, LATER)
    assert nights.on_disk() == [two, one]
    three = nights.next()
    assert three.removed is None
    assert nights.on_disk() == [three.run_id, two, one]


# --- rollback ------------------------------------------------------------------------------------------------------


def test_the_list_is_newest_first_and_names_the_current(nights: Nights) -> None:
    runs = [nights.next().run_id for _ in range(3)]
    listed = publications(nights.published)
    assert [one.run_id for one in listed] == runs[::-1]
    assert [one.is_current for one in listed] == [True, False, False]
    assert listed[0].entry is not None
    assert listed[0].entry.checks_passed == 30
    assert listed[0].size_bytes > 100_000


def test_back_and_the_next_night_publishes_with_the_whole_history(nights: Nights) -> None:
    one = nights.next().run_id
    new_finding = "select 'NEW' as alert_id, * exclude alert_id from alerts.alert where alert_id = 'A0'"
    change(nights.build, f"insert into alerts.alert by name {new_finding}")
    two = nights.next().run_id
    assert roll_back(nights.published, LATER).run_id == one
    assert nights.current() == one
    assert nights.on_disk() == [two, one]

    # What was taken back is not "nothing new": the same build is published again, once.
    again = publish(nights.build, nights.published, now=FIRST_NIGHT + timedelta(days=2, hours=9))
    assert isinstance(again, Publication)
    assert again.previous_run_id == one
    assert isinstance(publish(nights.build, nights.published), NothingNew)
    assert nights.current() == again.run_id
    assert nights.told(again.run_id, "publication", "run_id") == {(one,), (two,), (again.run_id,)}
    assert ("NEW", two, again.run_id) in nights.told(again.run_id, "alert_history", "alert_id, first_run, last_run")
    assert not (nights.published / ROLLED_BACK_FROM).is_symlink()


def test_back_twice_and_on_again(nights: Nights) -> None:
    one, two, three = (nights.next().run_id for _ in range(3))
    roll_back(nights.published, LATER)
    assert nights.current() == two
    roll_back(nights.published, LATER)
    assert nights.current() == one
    current = current_publication(nights.published)
    assert rolled_back_from(nights.published, current) == three  # history never goes back
    roll_back(nights.published, LATER, three)
    assert nights.current() == three
    assert not (nights.published / ROLLED_BACK_FROM).is_symlink()
    assert nights.told(nights.next().run_id, "publication", "run_id") >= {(one,), (two,), (three,)}


def test_a_crash_between_switch_and_clean_up_loses_no_history(nights: Nights) -> None:
    one, two = nights.next().run_id, nights.next().run_id
    roll_back(nights.published, LATER)
    three = nights.next().run_id
    (nights.published / ROLLED_BACK_FROM).symlink_to(Path("runs") / two)  # killed before it could be removed
    assert rolled_back_from(nights.published, current_publication(nights.published)) is None
    four = nights.next().run_id
    assert nights.told(four, "publication", "run_id") == {(one,), (two,), (three,), (four,)}


def test_what_cannot_be_gone_back_to(nights: Nights) -> None:
    one = nights.next()
    with pytest.raises(UserError, match="nothing before"):
        roll_back(nights.published, LATER)
    two = nights.next()
    with pytest.raises(UserError, match="doseledger publications"):
        roll_back(nights.published, LATER, "20200101T000000Z-abcdef")
    (one.folder / "warehouse.duckdb").unlink()
    with pytest.raises(UserError, match=f"{one.run_id} is not there or cannot be read; nothing was changed"):
        roll_back(nights.published, LATER)
    assert nights.current() == two.run_id


def test_a_damaged_current_can_be_left(nights: Nights) -> None:
    one, two, three = (nights.next() for _ in range(3))
    (three.folder / "restricted" / "restricted.duckdb").write_bytes(b"damaged")
    with pytest.raises(PublishRefused, match="doseledger rollback"):
        publish(nights.build, nights.published)
    with pytest.raises(UserError, match="say which one"):
        roll_back(nights.published, LATER)
    roll_back(nights.published, LATER, one.run_id)
    four = nights.next().run_id
    assert nights.told(four, "publication", "run_id") == {(one.run_id,), (two.run_id,), (four,)}


def test_the_command_line_lists_and_goes_back(tmp_path: Path) -> None:
    site = make_site(tmp_path / "site")
    nights = Nights(site / "data")
    one, two = nights.next().run_id, nights.next().run_id
    listed = CliRunner().invoke(app, ["publications", "--site", str(site)], env=KEY)
    assert listed.exit_code == 0, listed.output
    first, second = listed.output.splitlines()[1:]
    assert first.split()[0] == two
    assert first.rstrip().endswith("current")
    assert second.split()[:4] == [one, "2024-04-02", "05:00", "2024-03-31"]  # the site's clock
    back = CliRunner().invoke(app, ["rollback", "--site", str(site)], env=KEY)
    assert back.exit_code == 0, back.output
    assert f"current is {one}" in back.output
    assert nights.current() == one
    refused = CliRunner().invoke(app, ["rollback", "nowhere", "--site", str(site)], env=KEY)
    assert refused.exit_code == 1
    assert "nothing was changed" in refused.output


# --- a publication of a time to come -------------------------------------------------------------------------------


def test_out_of_the_time_to_come_and_on(nights: Nights) -> None:
    one = nights.next().run_id
    nights.count += 3650  # a night with the clock ten years ahead
    ahead = nights.next().run_id
    nights.count = 1
    with pytest.raises(UserError, match="of a time to come; nothing was changed"):
        roll_back(nights.published, LATER, ahead)
    with pytest.raises(UserError, match="not of a time to come"):
        take_back_all(nights.published, LATER)
    assert roll_back(nights.published, LATER).run_id == one
    three = nights.next().run_id
    assert nights.current() == three
    assert nights.told(three, "publication", "run_id") == {(one,), (ahead,), (three,)}


def test_a_first_night_in_the_time_to_come_is_taken_back(nights: Nights) -> None:
    nights.count = 3650
    ahead = nights.next().run_id
    nights.count = 0
    with pytest.raises(UserError, match="every publication is of a time to come: set the clock"):
        roll_back(nights.published, LATER)
    assert nights.current() == ahead
    take_back_all(nights.published, LATER)
    assert current_publication(nights.published) is None
    one = nights.next().run_id
    assert nights.told(one, "publication", "run_id") == {(ahead,), (one,)}


def test_nothing_is_published_as_of_a_date_to_come(nights: Nights) -> None:
    one = nights.next().run_id
    add_build(nights.build, "ahead", "2034-03-20", "ahead")
    pass_gate(nights.build, "ahead")
    with pytest.raises(PublishRefused, match="later than today at the site"):
        publish(nights.build, nights.published)
    assert nights.current() == one
    assert not (nights.published / "as_of").exists()
    nights.published = nights.published.with_name("elsewhere")
    add_build(nights.build, "tonight", "2024-03-31", "tonight")
    pass_gate(nights.build, "tonight")
    late = datetime(2024, 3, 30, 23, 30, tzinfo=UTC)
    with pytest.raises(PublishRefused, match="later than today at the site"):
        publish(nights.build, nights.published, now=late)
    assert isinstance(publish(nights.build, nights.published, now=late, zone="Europe/Madrid"), Publication)


# --- retention -----------------------------------------------------------------------------------------------------


def test_the_last_ones_stay(nights: Nights) -> None:
    runs = [nights.next(keep=3).run_id for _ in range(6)]
    assert nights.on_disk() == runs[:-4:-1]
    assert len(nights.told(runs[-1], "publication", "run_id")) == 6  # what is removed stays in the ledger


def test_what_readers_may_have_just_opened_stays(nights: Nights) -> None:
    runs = [nights.next().run_id for _ in range(4)]
    last_night = FIRST_NIGHT + timedelta(days=4)
    assert prune(nights.published, 1, last_night + timedelta(minutes=1)) == [runs[1], runs[0]]
    assert nights.on_disk() == [runs[3], runs[2]]  # superseded a minute ago
    assert prune(nights.published, 1, last_night + GRACE + timedelta(minutes=1)) == [runs[2]]


def test_current_and_the_one_it_went_back_from_stay(nights: Nights) -> None:
    runs = [nights.next().run_id for _ in range(4)]
    roll_back(nights.published, LATER, runs[0])
    in_a_year = FIRST_NIGHT + timedelta(days=365)
    prune(nights.published, 1, in_a_year)
    assert nights.on_disk() == [runs[3], runs[0]]
    five = nights.next().run_id
    # What was current until a minute ago is young, however long ago it was published.
    assert prune(nights.published, 1, FIRST_NIGHT + timedelta(days=5, minutes=1)) == []
    assert nights.on_disk() == [five, runs[3], runs[0]]


def test_past_dates_and_unreadable_ones_are_left_alone(nights: Nights) -> None:
    first = nights.next()
    add_build(nights.build, "past", "2024-02-29", "past")
    pass_gate(nights.build, "past")
    past = publish(nights.build, nights.published)
    assert isinstance(past, Publication)
    assert not past.is_current
    shutil.rmtree(first.folder / "restricted")
    nights.published.joinpath("current").unlink()
    runs = [nights.next(keep=1).run_id for _ in range(3)]
    prune(nights.published, 1, FIRST_NIGHT + timedelta(days=365))
    assert nights.on_disk() == [runs[-1], first.run_id]
    assert past.folder.is_dir()


def test_a_reader_finishes_on_a_removed_publication(nights: Nights) -> None:
    old = nights.next()
    with duckdb.connect(old.folder / "warehouse.duckdb", read_only=True) as reader:
        nights.next()
        nights.next()
        assert prune(nights.published, 1, FIRST_NIGHT + timedelta(days=365))
        assert not old.folder.exists()
        assert reader.execute("select count(*) from marts.fct_procedure").fetchone() == (2,)
        assert reader.execute("select run_id from ledger.publication").fetchall() == [(old.run_id,)]


@pytest.mark.parametrize("text", ["0", "-1", "many", ""])
def test_a_wrong_number_to_keep_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="DOSELEDGER_KEEP_PUBLICATIONS must be a whole number"):
        keep_wanted({"DOSELEDGER_KEEP_PUBLICATIONS": text})
