"""nginx and Apache with the generated configuration: each login sees its own pages, and nobody anything else."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from slow.orchestration.pages.conftest import Night
from support import paths
from support.browser import POLICY, chromium
from support.small_site import make_site
from support.web_servers import (
    IS_ROOT,
    Answer,
    Visitor,
    free_port,
    give,
    needs,
    readable_folder,
    running,
    write_certificate,
    write_passwords,
)
from typer.testing import CliRunner

from orchestration.cli import app
from orchestration.figures.operator import page_folder
from orchestration.publication.history import point

ODD = "Zoë / 1"  # the folder of this operator is a hash
FIRST, SECOND = "20240430T010000Z-aaaaaa", "20240501T010000Z-bbbbbb"
DENIED = {400, 403, 404}  # 400 and 404: a path that Apache or nginx refuses before it looks who asks
KINDS = (".html", ".css", ".js", ".csv")


@dataclass(frozen=True)
class Hospital:
    """A server in front of two publications, of which ``current`` names one."""

    server: str
    published: Path
    port: int
    folders: dict[str, tuple[str, ...]]  # what each login is to see, as this test understands the contract
    visitors: dict[str | None, Visitor] = field(default_factory=dict)

    def get(self, login: str | None, path: str, method: str = "GET") -> Answer:
        """What a login gets for a path; None: without a login."""
        if login not in self.visitors:
            self.visitors[login] = Visitor(self.port, login, f"password of {login}")
        return self.visitors[login].get(path, method)

    @property
    def current(self) -> Path:
        """The link that names a publication."""
        return self.published / "current"

    def files(self) -> list[str]:
        """Paths of all files of the current publication."""
        here = self.current.resolve()
        return sorted(path.relative_to(here).as_posix() for path in here.rglob("*") if path.is_file())


def publish(night: Night, published: Path, operators: list[str]) -> None:
    """Two publications of one night, the second with other pages; in both what must not be served though it is near."""
    for run_id in (FIRST, SECOND):
        folder = published / "runs" / run_id
        shutil.copytree(night.folder, folder)
        shutil.copytree(folder / "pages/operators" / operators[0], folder / "pages/operators" / page_folder(ODD))
        for page in folder.rglob("*.html"):
            page.write_text(f"{page.read_text('utf-8')}<!-- {run_id} {page.relative_to(folder)} -->", "utf-8")
        own = folder / "pages/operators" / operators[0]
        for name in ("letter.eml", "copy.duckdb", "index.html.parquet", ".hidden.html", "html"):
            (own / name).write_text("not a page", "utf-8")
        (own / "link.html").symlink_to(f"../{operators[1]}/index.html")
        (own / "linked").symlink_to("../../../restricted/pages")
        (own / "empty").mkdir()
    point(published / "current", FIRST)


@pytest.fixture(scope="module", params=["nginx", "apache"])
def hospital(request: pytest.FixtureRequest, night: Night) -> Iterator[Hospital]:
    needs(request.param)
    with readable_folder() as root:
        operators = sorted(path.name for path in (night.folder / "pages/operators").iterdir())[:2]
        rows = "".join(f'"{operator}",x,consultant\n' for operator in [*operators, ODD])
        logins = f'ana,{operators[0]},\nbea.x-1,{operators[1]},\nzoe@h,"{ODD}",\nphys,,physics\n'
        site = make_site(
            root / "a site",
            operators=f"operator_id,name,grade\n{rows}",
            dosimeters="dosimeter_serial,worn_at,operator_id,room_id,valid_from,valid_to\n",
            page_logins=f"login,operator_id,role\n{logins}occ,,occupational_physician\nhead,,department\n",
        )
        publish(night, site / "data/published", operators)
        give(site)
        folders = {
            "ana": (f"pages/operators/{operators[0]}/",),
            "bea.x-1": (f"pages/operators/{operators[1]}/",),
            "zoe@h": (f"pages/operators/{page_folder(ODD)}/",),
            "phys": ("pages/physics/", "pages/operators/"),
            "occ": ("restricted/pages/",),
            "head": ("department/pages/",),
            "stranger": (),
            "ANA": (),
            "ana2": (),
            "beaxx-1": (),
        }
        write_passwords(root / "passwords", {login: f"password of {login}" for login in folders})
        port = free_port()
        command = ["pages", "--site", str(site), "--server", request.param, "--port", str(port)]
        where = ["--password-file", str(root / "passwords"), "-o", str(root / "pages.conf")]
        made = CliRunner().invoke(app, [*command, *where])
        assert made.exit_code == 0, made.output
        (root / "pages.conf").chmod(0o644)
        with running(request.param, root / "server", root / "pages.conf", port):
            yield Hospital(request.param, site / "data/published", port, folders)


def may_see(hospital: Hospital, login: str, path: str) -> bool:
    return path.startswith(hospital.folders[login]) and path.endswith(KINDS) and "/." not in path


def test_each_login_gets_its_own_pages_and_no_other_file(hospital: Hospital) -> None:
    files = [path for path in hospital.files() if "/link" not in path]
    assert {Path(path).suffix for path in files} >= {".html", ".css", ".js", ".csv", ".duckdb", ".parquet", ".eml"}
    n_seen = dict.fromkeys(hospital.folders, 0)
    for login in hospital.folders:
        for path in files:
            answer = hospital.get(login, f"/{path}")
            if may_see(hospital, login, path):
                assert answer.status == 200, (login, path)
                assert answer.body == (hospital.current / path).read_bytes(), (login, path)
                n_seen[login] += 1
            else:
                assert answer.status == 403, (login, path)
    assert {login for login, number in n_seen.items() if number == 0} == {"stranger", "ANA", "ana2", "beaxx-1"}


def test_a_folder_shows_its_index(hospital: Hospital) -> None:
    for login, folders in hospital.folders.items():
        for folder in {folder for folders in hospital.folders.values() for folder in folders}:
            has_index = (hospital.current / folder / "index.html").exists()
            answer = hospital.get(login, f"/{folder}")
            assert answer.status == (200 if folder in folders and has_index else 403) or (
                login == "phys" and folder.startswith("pages/operators/")
            ), (login, folder)
        for path in ("/", "/pages/", "/restricted/", "/parquet/", f"/{hospital.folders['ana'][0]}empty/"):
            assert hospital.get(login, path).status == 403, (login, path)
    assert hospital.get("phys", f"/{hospital.folders['ana'][0]}").status == 200


def test_without_login_or_with_a_wrong_password_every_path_is_the_same(hospital: Hospital) -> None:
    wrong = [
        None,
        Visitor(hospital.port, "ana", "wrong"),
        Visitor(hospital.port, "nobody", "x"),
        Visitor(hospital.port, "", ""),
    ]
    files = [path for path in hospital.files() if "/link" not in path]
    for path in [*files, "pages/operators/", hospital.folders["ana"][0], "nothing", "", "icons/README"]:
        for visitor in wrong:
            answer = visitor.get(f"/{path}") if visitor else hospital.get(None, f"/{path}")
            assert answer.status == 401, path
            assert answer.headers["WWW-Authenticate"].startswith("Basic ")


def tricks(own: str, foreign: str) -> list[str]:
    """Ways to write the path of a foreign file, some of them by way of an own folder."""
    up = "../" * own.count("/")
    return [
        f"/{foreign}",
        f"//{foreign}",
        f"/{foreign.replace('/', '//')}",
        f"/./{foreign}",
        f"/{foreign}?/{own}index.html",
        f"/{foreign}?user=phys",
        f"/{foreign};/{own}index.html",
        f"/{own}../{'/'.join(foreign.split('/')[-2:])}",
        f"/{own}{up}{foreign}",
        f"/{own}index.html/{up}../{foreign}",
        f"/{own}{up.replace('..', '%2e%2e')}{foreign}",
        f"/{own}{up.replace('..', '%2E.')}{foreign}",
        f"/{own}{up.replace('/', '%2f')}{foreign}",
        f"/{own}{up.replace('../', '%2e%2e%2f')}{foreign}",
        f"/{own}{up.replace('../', '%252e%252e%252f')}{foreign}",
        f"/{own}{up.replace('../', '..;/')}{foreign}",
        f"/{own}{up.replace('../', '%c0%ae%c0%ae/')}{foreign}",
        f"/{own}{up.replace('/', chr(92))}{foreign}",
        f"/{own}{up.replace('/', '%5c')}{foreign}",
        f"/{foreign.replace('/', '%2f')}",
        f"/{''.join(f'%{ord(sign):02x}' for sign in foreign)}",
        f"/{foreign}%00.html",
        f"/{own}%00/../{foreign}",
        f"/{own}index.html%0a/{foreign}",
        f"/{foreign}%0a",
        f"/{foreign}/",
        f"/{foreign}/index.html",
        f"/{foreign}%20",
        f"/{foreign}.",
        f"/{foreign.upper()}",
        f"/{foreign.swapcase()}",
        f"http://127.0.0.1/{foreign}",
        f"http://other.example/{own}../../../{foreign}",
    ]


def test_no_trick_opens_what_belongs_to_somebody_else(hospital: Hospital) -> None:
    ana, bea = (hospital.folders[login][0] for login in ("ana", "bea.x-1"))
    foreign = [
        f"{bea}index.html",
        "pages/physics/index.html",
        "pages/physics/worklist.csv",
        "restricted/pages/index.html",
        "restricted/restricted.duckdb",
        "department/pages/index.html",
        "warehouse.duckdb",
        next(path for path in hospital.files() if path.endswith(".parquet")),
    ]
    for target in foreign:
        assert (hospital.current / target).exists()
        for trick in [*tricks(ana, target), *tricks(ana, f"../runs/{FIRST}/{target}")]:
            for login in ("ana", "stranger", None):
                answer = hospital.get(login, trick)
                allowed = DENIED if login else {400, 401, 404}
                assert answer.status in allowed, (login, trick, answer.status)


def test_nothing_but_pages_is_served_from_an_own_folder_and_no_link_is_followed(hospital: Hospital) -> None:
    own = hospital.folders["ana"][0]
    hidden = [
        "letter.eml",
        "copy.duckdb",
        "index.html.parquet",
        ".hidden.html",
        "html",
        "link.html",
        "linked/index.html",
    ]
    for name in [*hidden, "no.html", "linked/", "empty", "static", "index.html%0a", "index.html/", "index.html/x.html"]:
        for login in ("ana", "phys"):
            assert hospital.get(login, f"/{own}{name}").status in {403, 404}, (login, name)


def test_what_the_server_offers_by_itself_is_closed(hospital: Hospital) -> None:
    for path in (
        "/server-status",
        "/server-info",
        "/icons/README",
        "/icons/",
        "/cgi-bin/",
        "/nginx_status",
        "/.htaccess",
    ):
        assert hospital.get("ana", path).status == 403, path
        assert hospital.get(None, path).status == 401, path


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "get"])
def test_other_methods_read_and_change_nothing(hospital: Hospital, method: str) -> None:
    own = hospital.folders["ana"][0]
    for path in (f"{own}index.html", f"{own}new.html", "warehouse.duckdb"):
        assert hospital.get("ana", f"/{path}", method).status in {400, 403, 405, 501}, path
    assert hospital.get("ana", f"/{own}index.html").status == 200
    assert not (hospital.current / own / "new.html").exists()


def test_head_and_a_query_are_as_get(hospital: Hospital) -> None:
    own = hospital.folders["ana"][0]
    page = hospital.get("ana", f"/{own}index.html")
    head = hospital.get("ana", f"/{own}index.html", "HEAD")
    assert (head.status, head.body, head.headers["Content-Type"]) == (200, b"", "text/html; charset=utf-8")
    assert hospital.get("ana", f"/{own}index.html?a=b").body == page.body


def test_each_answer_has_the_policy_and_is_kept_nowhere(hospital: Hospital) -> None:
    own = hospital.folders["ana"][0]
    answers = [hospital.get("ana", f"/{own}index.html"), hospital.get("ana", "/nothing"), hospital.get(None, "/")]
    assert [answer.status for answer in answers] == [200, 403, 401]
    for answer in answers:
        assert answer.headers.get_all("Content-Security-Policy") == [POLICY]
        assert answer.headers.get_all("Cache-Control") == ["no-store"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
    types = {
        name: hospital.get("phys", f"/pages/physics/{name}").headers["Content-Type"]
        for name in ("worklist.csv", "static/style.css", "static/tables.js")
    }
    assert list(types.values()) == [
        "text/csv; charset=utf-8",
        "text/css; charset=utf-8",
        "text/javascript; charset=utf-8",
    ]


def test_the_publications_rename_is_followed_without_a_reload(hospital: Hospital) -> None:
    path = f"/{hospital.folders['ana'][0]}index.html"
    try:
        for run_id in (SECOND, FIRST, SECOND):
            assert hospital.get("ana", path).status == 200
            point(hospital.current, run_id)
            for _ in range(8):  # whichever worker answers
                assert f"<!-- {run_id} ".encode() in Visitor(hospital.port, "ana", "password of ana").get(path).body
            assert f"<!-- {run_id} ".encode() in hospital.get("ana", path).body
    finally:
        point(hospital.current, FIRST)


def test_the_guides_tls_in_front_passes_on_what_each_login_may_see(hospital: Hospital) -> None:
    guide = (paths.ROOT / "docs/operations/web.md").read_text("utf-8")
    (front,) = re.findall(rf"^```{hospital.server}\n(.*?)^```$", guide, re.MULTILINE | re.DOTALL)
    own, other = (f"/{hospital.folders[login][0]}index.html" for login in ("ana", "bea.x-1"))
    with readable_folder() as folder:
        certificate, key, port = folder / "certificate.pem", folder / "key.pem", free_port()
        write_certificate(certificate, key)
        for written, here in (
            (r"(\*:)?\b443\b", f"127.0.0.1:{port}"),
            (r"\b8085\b", str(hospital.port)),
            (r"/etc/ssl/\S+\.pem", str(certificate)),
            (r"/etc/ssl/\S+\.key", str(key)),
        ):
            front, number = re.subn(written, here, front)
            assert number == 1, written
        (folder / "front.conf").write_text(front if hospital.server == "nginx" else f"Listen 127.0.0.1:{port}\n{front}")
        give(folder)
        with running(hospital.server, folder / "server", folder / "front.conf", port):
            ana = Visitor(port, "ana", "password of ana", certificate)
            page = ana.get(own)
            assert page.body == (hospital.current / own[1:]).read_bytes()
            assert page.headers.get_all("Content-Security-Policy") == [POLICY]
            assert page.headers.get_all("Cache-Control") == ["no-store"]
            assert ana.get(other).status == 403
            assert Visitor(port, certificate=certificate).get(own).status == 401
            for trick in tricks(own.removesuffix("index.html")[1:], other[1:]):
                assert ana.get(trick).status in DENIED, trick
            point(hospital.current, SECOND)
            try:
                assert f"<!-- {SECOND} ".encode() in ana.get(own).body
            finally:
                point(hospital.current, FIRST)


def test_a_browser_opens_pages_through_the_server_without_complaint(hospital: Hospital, tmp_path: Path) -> None:
    with chromium(tmp_path) as browser:
        for login, path in (("phys", "pages/physics/index.html"), ("ana", f"{hospital.folders['ana'][0]}index.html")):
            browser.call("Network.clearBrowserCache")
            browser.open(f"http://{login}:password%20of%20{login}@127.0.0.1:{hospital.port}/{path}")
            assert browser.evaluate("document.querySelector('main') !== null"), path
            assert browser.evaluate("getComputedStyle(document.body).marginTop") == "0px"
    assert browser.logs == []
    assert len(browser.requests) >= 4


@pytest.mark.skipif(
    not IS_ROOT, reason="only root can start a server that is in the group of the data and not its owner"
)
def test_a_server_that_is_only_in_the_group_cannot_open_restricted_pages(hospital: Hospital) -> None:
    give(hospital.published, is_owner=False)
    try:
        assert hospital.get("occ", "/restricted/pages/index.html").status == 403
        for login, path in (
            ("phys", "/pages/physics/"),
            ("head", "/department/pages/"),
            ("ana", f"/{hospital.folders['ana'][0]}"),
        ):
            assert hospital.get(login, path).status == 200
    finally:
        give(hospital.published)
