"""A site folder may have any name that a file system takes: a night works there, or `check` says that it cannot."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from support.small_site import KEY, RATES, export, make_site, write
from typer.testing import CliRunner, Result

from ingest.site.config import check_site
from orchestration.cli import app

ODD = r"""Hôpital d'Été [bold] "a" {b} {{c}} ;x \y $z & * (1)"""
UNUSABLE = ["a%20b", "a?b", "a#b", "100%", "a\nb"]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOSELEDGER_KEY", KEY["DOSELEDGER_KEY"])
    monkeypatch.delenv("DOSELEDGER_SMTP_URL", raising=False)


def call(command: str, root: Path, *more: str) -> Result:
    result = CliRunner().invoke(app, [command, "--site", str(root), *more])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_a_whole_night_and_what_looks_at_it(tmp_path: Path) -> None:
    root = make_site(tmp_path / ODD)
    write(root, f"{RATES}/d'été.csv", export(1, 2))
    for _ in range(2):  # the second carries the history of the first on
        ran = call("run", root, "--as-of", "2024-03-31")
        assert ran.exit_code == 0, ran.output
        write(root, f"{RATES}/more.csv", export(3, day=6))
    assert "[bold]" in ran.output  # a path is text, no markup
    current = (root / "data/published/current").resolve()
    with duckdb.connect(current / "restricted/restricted.duckdb", read_only=True) as con:
        assert con.execute("select count(*) from ledger.publication").fetchone() == (2,)
    for command in ("check", "status", "publications", "rollback"):
        assert call(command, root).exit_code == 0, command
    assert "✗" not in call("doctor", root).output


@pytest.mark.parametrize("name", UNUSABLE)
def test_a_name_that_cannot_be_is_refused_before_anything(tmp_path: Path, name: str) -> None:
    root = make_site(tmp_path / name)
    for command in ("check", "run", "doctor", "ui"):
        refused = call(command, root)
        assert refused.exit_code == 1
        assert "field data_dir: the path" in " ".join(refused.output.split())
    assert not (root / "data").exists()


@pytest.mark.parametrize("name", UNUSABLE)
def test_with_its_data_elsewhere_the_site_itself_may_have_that_name(tmp_path: Path, name: str) -> None:
    assert check_site(make_site(tmp_path / name, site=f"site_id: small\ndata_dir: {tmp_path}/data\n")) == []
