"""A file is written whole or not at all, and stays what it was otherwise: its mode, its group, and a link a link."""

from __future__ import annotations

import os
import resource
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.whole_file import write_whole


@given(old=st.none() | st.binary(), new=st.binary(), mode=st.sampled_from([0o600, 0o640, 0o664]))
def test_the_file_is_the_new_content_with_the_mode_of_the_old(
    tmp_path_factory: pytest.TempPathFactory, old: bytes | None, new: bytes, mode: int
) -> None:
    folder = tmp_path_factory.mktemp("folder")
    file = folder / "file"
    if old is not None:
        file.write_bytes(old)
        file.chmod(mode)
        os.link(file, folder / "opened")
    write_whole(file, new, 0o604)
    assert file.read_bytes() == new
    assert stat.S_IMODE(file.stat().st_mode) == (0o604 if old is None else mode)
    if old is not None:
        assert (folder / "opened").read_bytes() == old  # readers of the former file keep it whole
    assert {path.name for path in folder.iterdir()} == {"file"} | ({"opened"} if old is not None else set())


def test_a_failed_write_leaves_the_file_and_nothing_beside_it(tmp_path: Path) -> None:
    """A limit of the size of files stands for a full disk."""
    file = tmp_path / "file"
    file.write_bytes(b"before")
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, usual[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_whole(file, b"x" * 1000, 0o600)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    assert file.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [file]


def test_what_a_killed_process_left_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / ".file.tmp").write_bytes(b"a part, longer than the new content")
    write_whole(tmp_path / "file", b"new", 0o600)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"new"]


def test_a_link_leads_to_the_new_content(tmp_path: Path) -> None:
    (tmp_path / "place").mkdir()
    (tmp_path / "place" / "file").write_bytes(b"old")
    (tmp_path / "link").symlink_to("place/file")
    write_whole(tmp_path / "link", b"new", 0o600)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "place" / "file").read_bytes() == b"new"


@pytest.mark.parametrize(("old", "new"), [(0o644, 0o600), (0o666, 0o600), (0o400, 0o400)])
def test_private_content_is_not_left_open_by_the_mode_of_an_old_file(tmp_path: Path, old: int, new: int) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"old")
    file.chmod(old)
    write_whole(file, b"new", 0o600, at_most=0o600)
    assert stat.S_IMODE(file.stat().st_mode) == new


def test_a_group_that_cannot_be_kept_gives_its_rights_to_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system call is replaced: an account that may not keep a group cannot be had where the tests run as root."""

    def refuse(*_: int) -> None:
        raise PermissionError

    file = tmp_path / "file"
    file.write_bytes(b"old")
    file.chmod(0o664)
    monkeypatch.setattr(os, "fchown", refuse)
    write_whole(file, b"new", 0o600)
    assert stat.S_IMODE(file.stat().st_mode) == 0o604


def test_a_link_in_the_place_of_the_part_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"kept")
    (tmp_path / ".file.tmp").symlink_to(victim)
    with pytest.raises(OSError, match="symbolic link"):
        write_whole(tmp_path / "file", b"new", 0o600)
    assert victim.read_bytes() == b"kept"
