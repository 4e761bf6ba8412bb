"""The doctor's looks at a site where one thing is wrong: which line says it, and that nothing is made by looking."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest
from aiosmtpd.controller import Controller
from support.small_site import KEY, make_site, run
from typer.testing import CliRunner

from orchestration.cli import app
from orchestration.console import doctor
from orchestration.console.doctor import Finding, examine


def found(root: Path, environ: Mapping[str, str] = KEY, now: datetime | None = None) -> dict[str, Finding]:
    """The findings by topic; the worst of several."""
    looks = examine(
        root, environ, now or datetime.now(UTC)
    )  # not of the import's moment: a test may come minutes later
    order = {"ok": 0, "warn": 1, "fail": 2}
    return {finding.topic: finding for finding in sorted(looks, key=lambda one: order[one.state])}


def with_mail(root: Path) -> Path:
    return make_site(root, site="site_id: small\nname: Small\nmail: {smtp_url_env: MAIL}\n")


TAKES = "takes letters from doseledger@hospital.example to all addresses of the site"


class Mailbox:
    """Counts letters: the doctor sends none."""

    letters = 0

    async def handle_DATA(self, *_: object) -> str:  # noqa: N802 - aiosmtpd's name
        """A letter came."""
        self.letters += 1
        return "250 OK"


class FreePortController(Controller):
    """A server on port 0: the port that the system gave is known only once it listens."""

    def _trigger_server(self) -> None:
        assert isinstance(self.server, asyncio.Server)
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


def test_a_new_site_has_nothing_wrong_and_nothing_is_made(tmp_path: Path) -> None:
    site = make_site(tmp_path / "site")
    (site / "inbox/dosimeters/rates").mkdir(parents=True)
    (site / "inbox/dose_reports").mkdir()
    before = sorted(tmp_path.rglob("*"))
    findings = found(site, {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")})
    assert {topic for topic, finding in findings.items() if finding.state == "fail"} == set()
    assert {topic for topic, finding in findings.items() if finding.state == "warn"} == {"key", "build", "publication"}
    assert sorted(tmp_path.rglob("*")) == before


def test_a_site_that_cannot_be_read_is_said_and_ends_it(tmp_path: Path) -> None:
    findings = found(make_site(tmp_path, site="site_id: small\ntimezon: UTC\n"))
    assert "timezon" in findings["site"].sentence
    assert set(findings) == {"versions", "site"}
    result = CliRunner().invoke(app, ["doctor", "--site", str(tmp_path)])
    assert result.exit_code == 1
    assert "✗ site" in result.output


def test_another_version_than_the_pinned_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(doctor, "version", lambda name: "0.1" if name == "duckdb" else "99")
    finding = found(make_site(tmp_path))["versions"]
    assert finding.state == "fail"
    assert "duckdb is 0.1 (wanted ==" in finding.sentence


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"DOSELEDGER_KEY": "short"}, "too short"),
        ({"DOSELEDGER_KEY_FILE": "/nowhere/key"}, "cannot be read"),
        ({"DOSELEDGER_KEY": "another key, which is long enough"}, "was made with the pseudonymisation key"),
    ],
)
def test_a_key_that_does_not_fit(tmp_path: Path, environ: dict[str, str], words: str) -> None:
    run(make_site(tmp_path))
    findings = found(tmp_path, environ)
    assert any(finding.state == "fail" and words in finding.sentence for finding in findings.values())


def test_a_key_file_that_others_can_read(tmp_path: Path) -> None:
    site, key = make_site(tmp_path / "site"), tmp_path / "key"
    key.write_text("a key that is long enough")
    key.chmod(0o640)
    finding = found(site, {"DOSELEDGER_KEY_FILE": str(key)})["key"]
    assert finding.state == "fail"
    assert f"chmod 600 {key}" in finding.sentence
    key.chmod(0o600)
    assert found(site, {"DOSELEDGER_KEY_FILE": str(key)})["key"].state == "ok"


def test_a_lost_key_is_not_made_again_unsaid(tmp_path: Path) -> None:
    run(make_site(tmp_path / "site"))
    finding = found(tmp_path / "site", {"XDG_CONFIG_HOME": str(tmp_path / "config")})["key"]
    assert finding.state == "fail"
    assert "bring the former one back" in finding.sentence


def test_a_build_of_another_schema(tmp_path: Path) -> None:
    run(make_site(tmp_path))
    with duckdb.connect(tmp_path / "data/build/doseledger.duckdb") as con:
        con.execute("update raw.warehouse set schema_version = 1")
    assert "schema version 1" in found(tmp_path)["build"].sentence


def test_a_clock_that_went_back(tmp_path: Path) -> None:
    run(make_site(tmp_path))
    assert found(tmp_path)["clock"].state == "ok"
    finding = found(tmp_path, now=datetime(2001, 1, 1, tzinfo=UTC))["clock"]
    assert finding.state == "fail"
    assert "set it" in finding.sentence


def test_a_source_without_its_folder(tmp_path: Path) -> None:
    finding = found(make_site(tmp_path))["inbox"]
    assert finding.state == "warn"
    assert "inbox/dosimeters/rates" in finding.sentence


def test_a_disk_that_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(make_site(tmp_path))
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000})())
    finding = found(tmp_path)["disk"]
    assert finding.state == "fail"
    assert "Make room" in finding.sentence


def test_a_mail_server_that_answers_gets_no_letter(tmp_path: Path) -> None:
    mailbox = Mailbox()
    controller = FreePortController(mailbox, hostname="127.0.0.1", port=0)
    controller.start()
    try:
        finding = found(with_mail(tmp_path), KEY | {"MAIL": f"smtp://127.0.0.1:{controller.port}"})["mail"]
    finally:
        controller.stop()
    assert finding == Finding("mail", "ok", f"127.0.0.1:{controller.port} {TAKES}")
    assert mailbox.letters == 0


def test_a_mail_server_that_is_down_and_a_wrong_address(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    finding = found(with_mail(tmp_path), KEY | {"MAIL": f"smtp://127.0.0.1:{port}"})["mail"]
    assert finding.state == "fail"
    assert f"The mail server 127.0.0.1:{port} does not take letters now" in finding.sentence
    finding = found(with_mail(tmp_path), KEY | {"MAIL": "smtp://me:hunter2@host:25"})["mail"]
    assert finding.state == "fail"
    assert "hunter2" not in finding.sentence


def test_servers_that_are_not_there(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    reports = f"{{dicomweb: {{url: 'http://127.0.0.1:{port}/dicom-web'}}, receive: {{port: {port}}}}}"
    findings = found(make_site(tmp_path, site=f"site_id: small\nname: Small\ndose_reports: {reports}\n"))
    assert findings["pacs"].state == findings["receiver"].state == "fail"
    assert "no connection" in findings["pacs"].sentence


def test_a_wrong_number_of_publications_to_keep(tmp_path: Path) -> None:
    finding = found(make_site(tmp_path), KEY | {"DOSELEDGER_KEEP_PUBLICATIONS": "all"})["publication"]
    assert finding.state == "fail"
