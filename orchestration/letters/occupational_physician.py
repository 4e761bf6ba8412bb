"""The confidential letter to the occupational physician: findings of audience restricted, and nothing else.

Pure: News in, an EmailMessage out. Its subject tells neither a rule nor a person, and no other letter tells of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from email.message import EmailMessage

from orchestration.figures.digest import Advice
from orchestration.figures.open_findings import Finding
from orchestration.figures.wording import wording
from orchestration.letters.finding_words import finding_groups
from orchestration.letters.letter import TOLD_IN_FULL_DAYS, Envelope, News, one_line, write_letter


def restricted_letter(
    news: News,
    advice: Mapping[tuple[str, str], Advice],
    site_name: str,
    language: str,
    as_of: date,
    envelope: Envelope,
) -> EmailMessage:
    """Write the confidential letter in the site's language."""
    words = wording(language)

    def advise(finding: Finding) -> str:
        published = advice.get((finding.advice_code or "", language))
        return words.typeset(published.sentence) if published else ""

    context = {
        "site_name": one_line(site_name),
        "as_of": words.day(as_of),
        "groups": finding_groups(news.findings, words, advise, names_operator=True),
        "older": news.older,
        "told_in_full_days": TOLD_IN_FULL_DAYS,
    }
    subject = words.say("restricted.subject", site=site_name)
    return write_letter("restricted", envelope, subject, words, context)
