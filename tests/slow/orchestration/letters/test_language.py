"""The letters of a whole night in French and Spanish: a native reader finds no English word and no identifier."""

from __future__ import annotations

import re
from datetime import date
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import pytest
from support.english_words import english_in
from support.published_sites import PublishedSites

from ingest.site.config import load_site
from orchestration.letters.delivery import deliver

# What is quoted as the site has it: paths, names of columns, codes of findings.
OF_THE_SITE = re.compile(r"\S*/\S+|'[^']*'|\[[^\]]*\]")


@pytest.mark.parametrize("language", ["fr", "es"])
def test_no_letter_of_a_night_has_english_in_it(language: str, published_sites: PublishedSites, tmp_path: Path) -> None:
    root = published_sites.site("tiny-paper")
    site = load_site(root).config.model_copy(update={"language": language})
    deliver((root / "data" / "published" / "current").resolve(), site, tmp_path, {}, date(2026, 12, 1))
    letters = [text_of(path) for path in (tmp_path / "outbox").iterdir()]
    of_language = [text for spoken, text in letters if spoken == language]
    assert len(of_language) >= 2  # the digest, and an operator's
    sources = "|".join(sorted(path.stem for path in (root / "sources").glob("*.yaml")))
    of_the_site = re.compile(rf"{OF_THE_SITE.pattern}|\b({sources})\b")
    for text in of_language:
        english = {
            line: found for line in text.splitlines() if (found := english_in(of_the_site.sub("", line), language))
        }
        assert english == {}


def text_of(path: Path) -> tuple[str, str]:
    """Language and plain text of a letter."""
    letter = message_from_bytes(path.read_bytes(), policy=SMTP)
    assert isinstance(letter, EmailMessage)
    body = letter.get_body(("plain",))
    assert body is not None
    # The first two lines are the names of hospital and operator.
    return str(letter["Content-Language"]), body.get_content().split("\n", 1)[1]
