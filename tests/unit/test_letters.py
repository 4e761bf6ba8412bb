"""Letters: complete in every language, right in numbers, safe for names in any script, whole without the network."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP
from html.parser import HTMLParser
from pathlib import Path
from string import Formatter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.digest import (
    Balance,
    DayBalance,
    Finding,
    Publication,
    QuarantinedFile,
    UnlinkedReason,
)
from orchestration.letters import (
    SEVERITIES,
    Digest,
    Envelope,
    chart_days,
    digest_letter,
    finding_text,
    is_told_in_full,
)
from orchestration.wording import LANGUAGES, wording

AS_OF = date(2026, 3, 2)
TEMPLATES = Path(__file__).resolve().parents[2] / "orchestration" / "letter_templates"

# From the output contract; pregnancy is restricted and never in this letter.
RULES = [
    "dose_limit",
    "procedure_dose",
    "dose_per_kap",
    "dose_to_c_arm",
    "absolute_dose",
    "persistent",
    "monthly_dose",
    "badge_not_worn",
    "patient_dose",
    "reference_level",
    "data_quality",
]
UNLINKED_REASONS = [
    "no_procedure",
    "ambiguous_room",
    "ambiguous_procedure",
    "multi_procedure",
    "residual",
    "passive_period",
    "unassigned_badge",
    "room_unknown",
    "clock_unknown",
    "inside_dst_fold",
    "not_occupational",
    "below_detection",
]

FINDING = Finding(
    alert_id="a" * 32,
    rule="procedure_dose",
    severity="review",
    operator_id="CD01",
    procedure_id="b" * 32,
    procedure_type="coronary angioplasty",
    room_id="CATH1",
    occurred_on=date(2026, 3, 1),
    quantity="hp10_usv",
    value=70.03399999,
    threshold=27.07447222,
    unit="uSv",
    n_reference=23,
    message="hp10 above Q3",
)
DAYS = tuple(
    DayBalance(AS_OF - timedelta(days=n), is_c_arm, Balance(Decimal(dose), Decimal(dose) / 20, Decimal(dose) / 10))
    for n in reversed(range(40))
    for is_c_arm, dose in ((False, 40 + (n * 37) % 90), (True, 900 + (n * 211) % 700))
    if n % 7 not in (1, 2)
)
PUBLICATION = Publication(
    run_id="20260302T020000Z-1a2b",
    as_of=AS_OF,
    checks_passed=148,
    procedures=3373,
    operators=19,
    rooms=5,
    first_date=date(2025, 6, 2),
    last_date=AS_OF,
    days=DAYS,
    unlinked=(
        UnlinkedReason("no_procedure", 1204, Decimal("84.120000001")),
        UnlinkedReason("ambiguous_room", 12, Decimal("3.5")),
        UnlinkedReason("not_occupational", 3, Decimal("0.25")),
    ),
    quarantined=(
        QuarantinedFile("inbox/dosimeters/cath/2026-03-01.csv", "Column Basis is neither mapped nor ignored."),
    ),
    findings=(FINDING,),
)
DIGEST = Digest("Hospital Clínico San Telmo", "en", date(2026, 3, 3), PUBLICATION, (FINDING,), 0)
ENVELOPE = Envelope(
    "DoseLedger <doseledger@hospital.example>",
    "mpe@hospital.example",
    "<1@hospital.example>",
    datetime(2026, 3, 3, 4, 5, tzinfo=UTC),
)


class Page(HTMLParser):
    """What a mail program sees: texts, tags and attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep a tag."""
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        """Keep a text."""
        self.text += data


def parts(letter: EmailMessage) -> tuple[str, str]:
    """Return plain text and HTML as they arrive."""
    arrived = message_from_bytes(letter.as_bytes(), policy=SMTP)
    assert isinstance(arrived, EmailMessage)
    plain, html = arrived.get_body(("plain",)), arrived.get_body(("html",))
    assert plain is not None
    assert html is not None
    return plain.get_content(), html.get_content()


def texts(entry: Any, key: str = "") -> dict[str, str]:
    """Flatten a translation to dotted keys."""
    if isinstance(entry, str):
        return {key: entry}
    return {k: v for name, child in entry.items() for k, v in texts(child, f"{key}.{name}".strip(".")).items()}


def placeholders(text: str) -> set[str | None]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_the_same_texts_with_the_same_placeholders(language: str) -> None:
    english, other = texts(wording("en").texts), texts(wording(language).texts)
    assert set(other) == set(english)
    assert {key: placeholders(text) for key, text in other.items()} == {
        key: placeholders(text) for key, text in english.items()
    }
    assert all(text.strip() for text in other.values())


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_word_that_the_contract_and_the_templates_need_exists(language: str) -> None:
    words = wording(language)
    keys = {f"rules.{rule}.{part}" for rule in RULES for part in ("name", "threshold")}
    keys |= {f"unlinked.{reason}" for reason in UNLINKED_REASONS} | {f"severity.{name}" for name in SEVERITIES}
    for template in TEMPLATES.glob("*.j2"):
        keys |= set(re.findall(r'say\("([a-z_.]+)"', template.read_text(encoding="utf-8")))
    assert {key for key in keys if not words.knows(key)} == set()


def test_no_text_is_left_in_english() -> None:
    english = texts(wording("en").texts)
    # The bare placeholders, and words that are spelled alike.
    alike = {"where.procedure_type", "where.date", "severity.urgent", "unlinked.dose"}
    for language in ("fr", "es"):
        same = {key for key, text in texts(wording(language).texts).items() if text == english[key]}
        assert same <= alike


def test_a_language_without_letters_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="not in 'de'"):
        wording("de")


@pytest.mark.parametrize(
    ("language", "number", "day", "share"),
    [
        ("en", "3,373", "2 March 2026", "98.7\u00a0%"),
        ("fr", "3\u202f373", "2 mars 2026", "98,7\u00a0%"),
        ("es", "13.373", "2 de marzo de 2026", "98,7\u00a0%"),
    ],
)
def test_numbers_and_dates_are_written_in_the_language(language: str, number: str, day: str, share: str) -> None:
    words = wording(language)
    assert words.number(Decimal(13373 if language == "es" else 3373)) == number
    assert words.day(AS_OF) == day
    assert words.percent(Decimal("0.98799")) == share


def test_nearly_all_is_not_all() -> None:
    assert wording("en").percent(Decimal("0.99999")) == "99.9\u00a0%"
    assert wording("en").percent(Decimal(1)) == "100.0\u00a0%"


@given(st.decimals(min_value=0, max_value=10**9, places=9))
def test_a_written_number_is_within_half_a_percent(value: Decimal) -> None:
    written = Decimal(wording("en").number(value).replace(",", ""))
    assert abs(written - value) <= value / 200


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_no_number_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="cannot be written"):
        wording("en").number(value)


def test_a_finding_says_who_where_when_how_much_and_against_what() -> None:
    text = finding_text(FINDING, wording("en"), PUBLICATION.advice)
    assert text.rule == "High operator dose for this kind of procedure"
    assert text.where == ("Operator CD01", "Room CATH1", "coronary angioplasty", "1 March 2026")
    assert (text.value, text.threshold) == ("70\u00a0µSv", "27.1\u00a0µSv")
    assert "third quartile of 23 procedures" in text.derivation


def test_a_value_just_above_its_threshold_is_written_apart_from_it() -> None:
    text = finding_text(replace(FINDING, value=20.0041234, threshold=20.0), wording("fr"), PUBLICATION.advice)
    assert (text.value, text.threshold) == ("20,004\u00a0µSv", "20\u00a0µSv")


def test_what_is_not_known_is_a_dash_and_never_zero() -> None:
    text = finding_text(
        replace(FINDING, value=None, threshold=None, operator_id=None), wording("en"), PUBLICATION.advice
    )
    assert (text.value, text.threshold) == ("—", "—")
    assert text.where[0] == "Room CATH1"


def test_a_rule_without_words_is_told_by_its_code_and_message() -> None:
    text = finding_text(replace(FINDING, rule="local_rule", unit="furlong"), wording("es"), PUBLICATION.advice)
    assert (text.rule, text.derivation, text.message) == ("local_rule", "", "hp10 above Q3")
    assert text.value == "70\u00a0furlong"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("rule", "quantity"),
    [
        *(("dose_limit", quantity) for quantity in ("effective", "effective_dose_equivalent", "lens", "extremity")),
        *(("monthly_dose", quantity) for quantity in ("hp10", "effective")),
        *(("badge_not_worn", quantity) for quantity in ("c_arm_dose", "kap", "hp10")),
    ],
)
def test_a_rule_of_several_quantities_says_which_one_it_was(rule: str, quantity: str, language: str) -> None:
    words = wording(language)
    of_quantity = finding_text(replace(FINDING, rule=rule, quantity=quantity), words, PUBLICATION.advice)
    of_another = finding_text(replace(FINDING, rule=rule, quantity="of a later version"), words, PUBLICATION.advice)
    assert of_another.derivation == words.say(f"rules.{rule}.threshold", n=23)
    assert of_quantity.derivation not in ("", of_another.derivation)
    assert ("23" in of_quantity.derivation) == (rule == "badge_not_worn" and quantity == "hp10")


def test_old_findings_are_counted_and_those_of_day_31_are_listed() -> None:
    def aged(days: int) -> Finding:
        return replace(FINDING, occurred_on=AS_OF - timedelta(days=days))

    assert is_told_in_full(aged(31), AS_OF)
    assert not is_told_in_full(aged(32), AS_OF)
    assert is_told_in_full(replace(FINDING, occurred_on=None), AS_OF)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_letter_says_the_same_in_html_and_in_plain_text(language: str) -> None:
    words = wording(language)
    plain, html = parts(digest_letter(replace(DIGEST, language=language, older=4), ENVELOPE))
    page = Page(html)
    for fact in (
        "Hospital Clínico San Telmo",
        words.number(3373),
        words.day(AS_OF),
        words.day(DIGEST.written_on),
        "CD01",
        "CATH1",
        FINDING.alert_id,
        "23",
        words.say("findings.older", count=4, days=31),
        words.say("claim"),
        words.percent(PUBLICATION.staff.linked_share or Decimal(0)),
        words.say("unlinked.not_occupational"),
        "inbox/dosimeters/cath/2026-03-01.csv",
        "Column Basis is neither mapped nor ignored.",
        PUBLICATION.run_id,
        words.say("rules.procedure_dose.name"),
    ):
        assert fact in page.text
        assert fact in plain


def test_the_headers_are_those_of_an_automatic_letter() -> None:
    letter = digest_letter(DIGEST, ENVELOPE)
    assert letter["Subject"] == "Hospital Clínico San Telmo: 1 new finding, data up to 2 March 2026"
    assert letter["To"] == "mpe@hospital.example"
    assert letter["Message-ID"] == "<1@hospital.example>"
    assert letter["Date"] == "Tue, 03 Mar 2026 04:05:00 +0000"
    assert letter["Auto-Submitted"] == "auto-generated"
    assert b"Cl\xc3\xadnico" not in letter.as_bytes().split(b"\r\n\r\n")[0]


def test_html_needs_no_network_and_its_picture_is_in_the_letter() -> None:
    letter = digest_letter(DIGEST, ENVELOPE)
    page = Page(parts(letter)[1])
    assert not {"script", "link", "a", "style", "iframe", "form"} & set(page.tags)
    sources = [value for name, value in page.attributes if name in ("src", "href", "background")]
    (picture,) = [part for part in letter.walk() if part.get_content_type() == "image/png"]
    assert sources == ["cid:" + str(picture["Content-ID"]).strip("<>")]
    assert picture.get_content().startswith(b"\x89PNG")
    assert not any("url(" in (value or "") for _, value in page.attributes)


def test_a_site_without_recent_dose_has_no_picture() -> None:
    publication = replace(PUBLICATION, days=(DayBalance(AS_OF, False, Balance()),), as_of=AS_OF)
    letter = digest_letter(replace(DIGEST, publication=publication), ENVELOPE)
    assert chart_days(publication) == ()
    assert "img" not in Page(parts(letter)[1]).tags
    assert "—" in parts(letter)[0]  # a share of nothing is not 0 %


def test_the_picture_shows_the_staff_and_the_last_31_days() -> None:
    days = chart_days(PUBLICATION)
    assert not any(day.is_c_arm for day in days)
    assert min(day.day for day in days) >= AS_OF - timedelta(days=30)


NAMES = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=40)


@settings(max_examples=30, deadline=None)
@given(site=NAMES, operator=NAMES, path=NAMES)
def test_names_in_any_script_are_text_and_never_markup(site: str, operator: str, path: str) -> None:
    publication = replace(PUBLICATION, days=(), quarantined=(QuarantinedFile(path, operator),))
    findings = (replace(FINDING, operator_id=operator),)
    letter = digest_letter(replace(DIGEST, site_name=site, publication=publication, findings=findings), ENVELOPE)
    page = Page(parts(letter)[1])
    plain = Page(parts(digest_letter(replace(DIGEST, publication=publication), ENVELOPE))[1])
    assert page.tags == plain.tags
    assert f"Operator {operator}" in page.text
    assert path in page.text
    assert "\n" not in str(letter["Subject"])


def test_markup_and_line_breaks_in_a_name_stay_harmless() -> None:
    name = 'A & B <script>alert("x")</script>\r\nBcc: thief@example.org'
    letter = digest_letter(replace(DIGEST, site_name=name), ENVELOPE)
    arrived = message_from_bytes(letter.as_bytes(), policy=SMTP)
    assert arrived["Bcc"] is None
    assert "script" not in Page(parts(letter)[1]).tags
    assert "A & B <script>" in Page(parts(letter)[1]).text
