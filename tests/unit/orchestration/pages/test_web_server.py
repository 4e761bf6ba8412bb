"""The configuration of a web server: what each row opens, and that no name or path is read as configuration."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.small_site import make_site
from typer.testing import CliRunner

from ingest.problems import SiteError, UserError
from ingest.site.config import load_site
from ingest.site.reference import PAGE_ROLES, TABLES_BY_NAME
from ingest.site.reference_reader import read_table
from orchestration.cli import app
from orchestration.figures.operator import page_folder
from orchestration.pages.web_server import FOLDERS_OF_ROLE, Grant, Server, configuration, grants_of

HEADER = "login,operator_id,role\n"
SERVERS: tuple[Server, ...] = get_args(Server)
PASSWORDS = Path("/etc/doseledger/page_passwords")


def row(login: str, operator_id: str | None = None, role: str | None = None) -> dict[str, str | None]:
    return {"login": login, "operator_id": operator_id, "role": role}


def test_a_row_opens_the_own_page_or_the_folders_of_its_role() -> None:
    rows = [row("a", "OP1"), row("b", "../OP2"), row("c", role="physics"), row("d", role="department")]
    assert grants_of(rows) == (
        Grant("a", Path("pages/operators/OP1")),
        Grant("b", Path("pages/operators") / page_folder("../OP2")),
        Grant("c", Path("pages/physics")),
        Grant("c", Path("pages/operators")),
        Grant("d", Path("department/pages")),
    )
    assert grants_of([row("e", role="occupational_physician")]) == (Grant("e", Path("restricted/pages")),)
    assert set(FOLDERS_OF_ROLE) == set(PAGE_ROLES)


@given(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=70)
    | st.from_regex(r"[a-z0-9._@-]{1,66}", fullmatch=True)
)
def test_a_login_is_plain_or_refused(login: str) -> None:
    quoted = '"' + login.replace('"', '""') + '"'
    table = read_table(TABLES_BY_NAME["page_logins"], f"{HEADER}{quoted},,physics\n".encode(), ZoneInfo("UTC"))
    is_plain = re.fullmatch("[a-z0-9][a-z0-9._@-]{0,63}", login.strip()) is not None
    assert [str(accepted["login"]) for accepted in table.rows] == ([login.strip()] if is_plain else [])
    assert bool(table.problems) is not is_plain


@pytest.mark.parametrize("server", SERVERS)
def test_each_login_is_in_the_configuration_as_it_is_and_not_as_a_pattern(tmp_path: Path, server: Server) -> None:
    site = load_site(make_site(tmp_path, page_logins=f"{HEADER}a.b,OP1,\nphys,,physics\n"))
    text = configuration(site, server, 8085, PASSWORDS)
    assert f'"{tmp_path.resolve()}/data/published/current"' in text
    assert {"nginx": "HEAD):a\\.b:/pages/operators/OP1/", "apache": 'Require user "a.b"'}[server] in text
    assert "127.0.0.1:8085" in text
    assert f'"{PASSWORDS}"' in text


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize(
    "name", ['si"te', "si$te", "si${PATH}te", "si\\te", "si*te", "si[t]e", "si;te", "si{te", "site'"]
)
def test_a_path_that_a_web_server_reads_otherwise_is_refused(tmp_path: Path, server: Server, name: str) -> None:
    logins = f"{HEADER}ana,OP1,\n"
    with pytest.raises(UserError, match="use another path"):
        configuration(load_site(make_site(tmp_path / name, page_logins=logins)), server, 8085, PASSWORDS)
    plain = load_site(make_site(tmp_path / "Größe 1, a+b", page_logins=logins))
    assert configuration(plain, server, 8085, PASSWORDS)
    with pytest.raises(UserError, match="use another path"):
        configuration(plain, server, 8085, tmp_path / name)


def test_two_sites_on_one_nginx_do_not_share_what_they_open(tmp_path: Path) -> None:
    texts = [
        configuration(
            load_site(make_site(tmp_path / name, site=f"site_id: {name}\n", page_logins=f"{HEADER}ana,OP1,\n")),
            "nginx",
            8085,
            PASSWORDS,
        )
        for name in ("one", "two")
    ]
    first, second = (set(re.findall(r"\$doseledger_\w+", text)) for text in texts)
    assert first
    assert not first & second


def test_a_refused_row_or_no_row_makes_no_configuration(tmp_path: Path) -> None:
    wrong = load_site(make_site(tmp_path / "wrong", page_logins=f"{HEADER}ana,OP1,\nana,OP2,\n"))
    with pytest.raises(SiteError, match=r"page_logins\.csv line 3, field login: repeats login ana of line 2"):
        configuration(wrong, "nginx", 8085, PASSWORDS)
    for site in (make_site(tmp_path / "none"), make_site(tmp_path / "empty", page_logins=HEADER)):
        with pytest.raises(UserError, match="names no login"):
            configuration(load_site(site), "apache", 8085, PASSWORDS)


def test_the_command_replaces_its_file_whole_and_says_who_has_no_login(tmp_path: Path) -> None:
    logins = f"{HEADER}ana,OP1,\nocc,,occupational_physician\n"
    site = make_site(tmp_path / "site", page_logins=logins)
    target = tmp_path / "pages.conf"
    command = ["pages", "--site", str(site), "--server", "nginx", "-o"]
    done = CliRunner().invoke(app, [*command, str(target)])
    assert done.exit_code == 0, done.output
    assert target.stat().st_mode & 0o777 == 0o640
    assert "2 logins; 1 of 2 operators have one." in done.output
    assert "restricted/pages" in done.output
    before = target.read_bytes()
    (site / "reference/page_logins.csv").write_text(f"{HEADER}ana,NOBODY,\n", "utf-8")
    failed = CliRunner().invoke(app, [*command, str(target)])
    assert failed.exit_code == 1
    assert "page_logins.csv line 2, field operator_id" in failed.output
    assert target.read_bytes() == before
    (site / "reference/page_logins.csv").write_text(logins, "utf-8")
    nowhere = CliRunner().invoke(app, [*command, str(tmp_path / "no" / "pages.conf")])
    assert nowhere.exit_code == 1
    assert "cannot be written" in nowhere.output


@pytest.mark.parametrize("server", SERVERS)
def test_a_folder_is_in_the_configuration_as_it_is_and_not_as_a_pattern(tmp_path: Path, server: Server) -> None:
    people = "operator_id,name,grade\nO.1,Ana,consultant\n"
    badges = "dosimeter_serial,worn_at,operator_id,room_id,valid_from,valid_to\n"
    site = make_site(tmp_path, operators=people, dosimeters=badges, page_logins=f"{HEADER}ana,O.1,\n")
    assert "/pages/operators/O\\.1/" in configuration(load_site(site), server, 8085, PASSWORDS)
