"""An operator's letter with the own page in it, as a mail server gets it: the own page whole, and nothing of others."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from email.message import EmailMessage
from pathlib import Path

import pytest
from slow.orchestration.pages.conftest import Changed, Night
from slow.orchestration.pages.test_operator_page import EXPLAINED, SECRETS, values
from slow.orchestration.pages.test_procedure_file import needs_no_other_file
from support.mail_server import FreePortController, Server

from orchestration.figures.operator import page_folder, read_addressees
from orchestration.letters.delivery import deliver

TODAY = date(2024, 5, 1)
MAIN = re.compile("<main.*</main>", re.DOTALL)
Sent = Callable[..., dict[str, EmailMessage]]


@pytest.fixture
def sent(tmp_path: Path) -> Sent:
    """Let a real mail server take the letters of a publication; return them by recipient."""

    def send(night: Night, *, attach_page: bool) -> dict[str, EmailMessage]:
        mail = night.site.mail.model_copy(update={"attach_page": attach_page, "medical_physics": ["mpe@x.example"]})
        server = Server()
        controller = FreePortController(server, hostname="127.0.0.1", port=0)
        controller.start()
        try:
            url = {mail.smtp_url_env: f"smtp://127.0.0.1:{controller.port}"}
            site = night.site.model_copy(update={"mail": mail})
            deliver(night.folder, site, tmp_path / f"data_{attach_page}", url, TODAY)
        finally:
            controller.stop()
        return dict(server.taken)

    return send


def attached(letter: EmailMessage) -> list[str]:
    return [str(part.get_content()) for part in letter.iter_attachments()]


def test_each_operator_gets_the_own_page_and_no_byte_of_others(changed: Changed, sent: Sent) -> None:
    night = changed(EXPLAINED)
    people = read_addressees(night.folder / "restricted/restricted.duckdb")
    letters = sent(night, attach_page=True)
    secrets = {secret for table, column in SECRETS for secret in values(night, table, column)}
    assert len(secrets) > 100
    compared = 0
    for person in people:
        if person.address not in letters:  # without news no letter
            continue
        compared += 1
        (html,) = attached(letters[person.address])
        published = night.folder / "pages" / "operators" / page_folder(person.operator_id) / "index.html"
        assert MAIN.findall(html) == MAIN.findall(published.read_text("utf-8"))
        assert needs_no_other_file(html)
        assert person.operator_id in html
        strange = secrets | {other.operator_id for other in people if other != person}
        assert [one for one in strange if re.search(rf"\b{re.escape(one)}\b", html)] == []
    assert compared > 1


def test_a_letter_names_the_attached_file_in_its_language(night: Night, sent: Sent) -> None:
    letters = sent(night, attach_page=True)
    words = {"en": "Your page is attached", "fr": "Votre page est jointe", "es": "Su página va adjunta"}
    languages = set()
    for address, letter in letters.items():
        plain, html = letter.get_body(("plain",)), letter.get_body(("html",))
        assert plain is not None
        assert html is not None
        sentence = f"{words[letter['Content-Language']]} (doseledger_2024-05-01.html)"
        texts = [" ".join(str(body.get_content()).split()) for body in (plain, html)]
        assert [sentence in text for text in texts] == [address != "mpe@x.example"] * 2
        names = [part.get_filename() for part in letter.iter_attachments()]
        assert names == (["doseledger_2024-05-01.html"] if address != "mpe@x.example" else [])
        languages.add(letter["Content-Language"])
    assert len(languages) > 1


def test_no_page_is_attached_unless_the_site_wants_it(night: Night, sent: Sent) -> None:
    letters = sent(night, attach_page=False)
    assert len(letters) > 1
    assert all(attached(letter) == [] for letter in letters.values())
    with_page = sent(night, attach_page=True)
    assert {to: letter["Message-ID"] for to, letter in letters.items()} == {
        to: letter["Message-ID"] for to, letter in with_page.items()
    }
