"""The whole way of answers: worklist, filled in, imported, then the next night's tables, pages and letters."""

from __future__ import annotations

import csv
import re
from datetime import timedelta
from email import message_from_bytes
from email.policy import SMTP
from pathlib import Path

import duckdb
import pytest
from support.published_sites import AS_OF, PublishedSites, publish
from support.small_site import KEY
from unit.orchestration.console.test_cli import call

ACTIONS = {"closed": "closed", "false_alarm": "closed", "explained": "acknowledged", "acknowledged": "acknowledged"}
PHYSICIST, NEW = "mpe@hospital.example", "new@hospital.example"


def filled_in(worklist: Path, file: Path) -> dict[str, str]:
    """Answer four of five rows, as a spreadsheet with semicolons saves them; return the states to come."""
    with worklist.open(encoding="utf-8-sig", newline="") as text:
        rows = list(csv.DictReader(text))
    actions = [*ACTIONS, ""]
    for number, row in enumerate(rows):
        row["action"] = actions[number % len(actions)]
        row |= {"by": "Ana", "comment": "looked at; done"} if row["action"] else {}
    with file.open("w", encoding="utf-8-sig", newline="") as text:
        writer = csv.DictWriter(text, list(rows[0]), delimiter=";")
        writer.writeheader()
        writer.writerows(rows)
    return {row["alert_id"]: ACTIONS[row["action"]] for row in rows if row["action"]}


def letters_to(outbox: Path, address: str) -> list[str]:
    letters = [message_from_bytes(file.read_bytes(), policy=SMTP) for file in outbox.glob("*.eml")]
    bodies = [letter.get_body(("plain",)) for letter in letters if letter["To"] == address]
    return [str(body.get_content()) for body in bodies if body]


def test_the_answers_of_a_worklist_are_in_the_next_night(
    published_sites: PublishedSites, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOSELEDGER_KEY", KEY["DOSELEDGER_KEY"])
    site = published_sites.copy("tiny-paper", tmp_path / "site")
    expected = filled_in(site / "data/published/current/pages/physics/worklist.csv", tmp_path / "filled.csv")
    assert set(expected.values()) == {"closed", "acknowledged"}
    imported = call("alert", "import", tmp_path / "filled.csv", "--site", site)
    assert f"{len(expected)} answers added, 0 were there already" in " ".join(imported.output.split())
    # A reader who was never told anything gets all that is open, so that what is left out is left out for its answer.
    config = (site / "site.yaml").read_text("utf-8")
    (site / "site.yaml").write_text(config.replace(f"[{PHYSICIST}]", f"[{PHYSICIST}, {NEW}]"), "utf-8")

    publish(site, AS_OF["tiny-paper"] + timedelta(days=1))

    folder = site / "data/published/current"
    with duckdb.connect(folder / "warehouse.duckdb", read_only=True) as con:
        states = dict(con.execute("select alert_id, state from alerts.alert").fetchall())
        ((run_id,),) = con.execute("select max_by(run_id, published_at) from ledger.publication").fetchall()
        history = con.execute(
            "select alert_id from ledger.alert_history where last_run = ? and withdrawn_run is null", [run_id]
        ).fetchall()
    assert {alert_id: states[alert_id] for alert_id in expected} == expected
    assert set(expected) <= {alert_id for (alert_id,) in history}
    still_open = {alert_id for alert_id, state in states.items() if state == "open"}
    assert still_open

    pages = folder / "pages" / "physics"
    with (pages / "worklist.csv").open(encoding="utf-8-sig", newline="") as text:
        assert {row["alert_id"] for row in csv.DictReader(text)} == still_open
    html = "".join(page.read_text("utf-8") for page in pages.rglob("*.html"))
    named = set(re.findall(r"<code>([0-9a-f]{8})</code>", html))
    assert named
    assert named <= {alert_id[:8] for alert_id in still_open}

    (letter,) = letters_to(site / "data/outbox", NEW)
    told = set(re.findall(r"\[([0-9a-f]{8})\]", letter))
    assert told
    assert told <= {alert_id[:8] for alert_id in still_open}
