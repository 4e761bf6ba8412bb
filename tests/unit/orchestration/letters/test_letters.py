"""Letters: complete in every language, right in numbers, safe for names in any script, whole without the network."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
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
from support import paths
from support.english_words import english_in

from orchestration.figures.digest import (
    Advice,
    Balance,
    DayBalance,
    HighShareClass,
    MonthSummary,
    Publication,
    QuarantinedFile,
    UnlinkedReason,
    last_whole_month,
)
from orchestration.figures.habits import Habit, Protection, habit_of
from orchestration.figures.open_findings import Finding, LimitShare, UnconfirmedLimit
from orchestration.figures.operator import ClassQuartiles, OperatorMonth, OwnProcedure, Personal
from orchestration.figures.procedures import Details, OwnDose, Procedure, SkinFollowup
from orchestration.figures.wording import LANGUAGES, wording
from orchestration.letters.advice import SCREEN_IN_THE_WAY
from orchestration.letters.finding_words import QUOTED, SEVERITIES, finding_groups, finding_text, kind_name
from orchestration.letters.letter import Envelope, News, is_shown_in_full, linked, share
from orchestration.letters.occupational_physician import restricted_letter
from orchestration.letters.operations import STEPS, Trouble, operations_letter
from orchestration.letters.operator import operator_letter
from orchestration.letters.physicist import chart_days, digest_letter

AS_OF = date(2026, 3, 2)
TEMPLATES = paths.ROOT / "orchestration" / "letters" / "templates"

SEEDS = paths.DBT_PROJECT / "seeds"

# From the output contract; pregnancy is restricted and in the confidential letter only.
RULES = [
    "pregnancy",
    "dose_limit",
    "procedure_dose",
    "dose_per_kap",
    "dose_to_c_arm",
    "absolute_dose",
    "persistent",
    "monthly_dose",
    "badge_not_worn",
    "badge_mismatch",
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
    audience="operator",
    operator_id="CD01",
    procedure_id="b" * 32,
    procedure_type="coronary angioplasty",
    room_id="CATH1",
    occurred_on=date(2026, 3, 1),
    quantity="hp10",
    value=70.03399999,
    threshold=27.07447222,
    unit="uSv",
    n_reference=23,
    message="hp10 above Q3",
    advice_code="shield",
    step="q3",
    third_quartile=27.07447222,
    floor=20.0,
    decided_by="third_quartile",
    role_group="first_operator",
)
DETAILS = Details(
    {
        "b" * 32: Procedure(
            "b" * 32,
            "pci",
            "CATH1",
            date(2026, 3, 1),
            datetime(2026, 3, 1, 8, 14, tzinfo=UTC),
            "ACC1",
            1234.5,
            67.8,
            754.0,
        )
    },
    {("b" * 32, "CD01"): OwnDose(70.03399999, 700.0, 2.34, "protection")},
)
NAMES_OF_CLASSES = {
    "en": {"pci": "Percutaneous coronary intervention", "tips": "Portosystemic shunt"},
    "fr": {"pci": "Angioplastie coronaire", "tips": "Shunt porto-systémique"},
    "es": {"pci": "Intervención coronaria percutánea", "tips": "Derivación portosistémica"},
}
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
    build_id="b1",
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
    advice={
        ("shield", language): Advice(f"published advice in {language}", is_of_site=False) for language in LANGUAGES
    },
    last_month=MonthSummary(
        date(2026, 2, 1),
        370,
        (
            OperatorMonth("CD01", 43, 42, 2281.29, 97.03, 97.03, 2281.29, 0.8894),
            OperatorMonth("CD02", 0, 0, None, None, None, None, None),
        ),
        (("procedure_dose", 78), ("local_rule", 2)),
    ),
    class_names=NAMES_OF_CLASSES,
)
SITE = "Hospital Clínico San Telmo"
WRITTEN_ON = date(2026, 3, 3)
PERSONAL = Personal(
    "CD01",
    date(2026, 2, 1),
    date(2026, 2, 28),
    OperatorMonth("CD01", 43, 42, 2281.29, 97.03, 97.03, 2281.29, 0.8894),
    (LimitShare("lens", "calendar_year", "annual_20", date(2026, 1, 1), AS_OF, 17.79, 17.79, 20.0, 0.8894, 1.188),),
    (OwnProcedure("pci", 12.5), OwnProcedure("pci", 0.0), OwnProcedure("tips", 402.0)),
    (ClassQuartiles("pci", 544, 4.37, 11.7, 33.8),),
    Habit(20, 11, "protection", 7, (Protection("first_operator", 120, 2.1, 1.9, 2.3, 17100.0, 8800.0, True),)),
)
ENVELOPE = Envelope(
    "DoseLedger <doseledger@hospital.example>",
    "mpe@hospital.example",
    "<1@hospital.example>",
    datetime(2026, 3, 3, 4, 5, tzinfo=UTC),
)


def digest(
    findings: tuple[Finding, ...] = (FINDING,),
    older: int = 0,
    month: date | None = None,
    language: str = "en",
    site: str = SITE,
    publication: Publication = PUBLICATION,
) -> EmailMessage:
    news = News(findings, older, month)
    page = Path("/data/data_docs/b1.html")
    return digest_letter(news, publication, DETAILS, site, language, WRITTEN_ON, ENVELOPE, page)


def own(
    findings: tuple[Finding, ...] = (FINDING,),
    language: str = "en",
    name: str | None = "Ana",
    personal: Personal = PERSONAL,
    month: date | None = date(2026, 2, 1),
    advice: dict[tuple[str, str], Advice] | None = None,
) -> EmailMessage:
    news = News(findings, 3, month)
    return operator_letter(
        news, personal, DETAILS, name, advice or {}, NAMES_OF_CLASSES, SITE, language, AS_OF, ENVELOPE
    )


def confidential(language: str = "en") -> EmailMessage:
    pregnancy = replace(FINDING, rule="pregnancy", audience="restricted", quantity="hp10_under_apron", unit="%")
    return restricted_letter(News((pregnancy,), 1), PUBLICATION.advice, SITE, language, AS_OF, ENVELOPE)


def trouble(language: str = "en", *steps: str, sentence: str = "3 rows of marts.fct_procedure") -> EmailMessage:
    troubles = [Trouble(step, (sentence,)) for step in steps or ("gate",)]
    return operations_letter(troubles, SITE, language, AS_OF, ENVELOPE)


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


def seed(name: str) -> list[dict[str, str]]:
    with (SEEDS / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def audience_of(rule: str) -> str:
    return next(row["audience"] for row in seed("alert_rules") if row["rule"] == rule and row["audience"])


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
        keys |= set(re.findall(r'say\("([a-z_.0-9]+)"', template.read_text(encoding="utf-8")))
    keys |= {f"operations.steps.{step}.{part}" for step in (*STEPS, "other") for part in ("name", "todo")}
    for limit in seed("dose_limits"):
        if limit["quantity"] != "skin":  # no badge measures it, and no letter is about it
            keys |= {f"quantities.{limit['quantity']}", f"windows.{limit['dose_window']}"}
    for rule in seed("advice_rule"):
        if audience_of(rule["rule"]) == "operator":
            keys.add(f"own.advice.{rule['advice_code']}")
    assert {key for key in keys if not words.knows(key)} == set()


def test_no_text_is_left_in_english() -> None:
    english = texts(wording("en").texts)
    # The bare placeholders, and words that are spelled alike.
    alike = {
        "where.procedure_type",
        "where.date",
        "limit.named",
        "severity.urgent",
        "unlinked.dose",
        "own.classes.n",
        "own.classes.class_range",
        "own.limits.dose",
        "line.pair",
        "line.finding",
        "line.judged",
        "line.begin",
        "rules.patient_dose.kinds.ka_r",
        "silent.source",
    }
    for language in ("fr", "es"):
        same = {key for key, text in texts(wording(language).texts).items() if text == english[key]}
        assert same <= alike


def test_a_language_without_letters_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="not in 'de'"):
        wording("de")


@pytest.mark.parametrize(
    ("language", "number", "day", "share"),
    [
        ("en", "3,373", "2 March 2026", "98.8\u00a0%"),
        ("fr", "3\u202f373", "2 mars 2026", "98,8\u00a0%"),
        ("es", "13.373", "2 de marzo de 2026", "98,8\u00a0%"),
    ],
)
def test_numbers_and_dates_are_written_in_the_language(language: str, number: str, day: str, share: str) -> None:
    words = wording(language)
    assert words.day(AS_OF) == day
    assert words.percent(Decimal("0.98799")) == share
    assert words.number(Decimal(13373 if language == "es" else 3373)) == number


def test_nearly_all_is_not_all() -> None:
    assert linked(Decimal("0.99999"), wording("en")) == "99.9\u00a0%"
    assert linked(Decimal(1), wording("en")) == "100.0\u00a0%"


@pytest.mark.parametrize(
    ("part", "written"),
    [(0.00699, "0.7"), (0.0065, "0.6"), (0.0075, "0.8"), (0.00749, "0.7"), (0.99999, "100.0"), (1.19, "119.0")],
)
def test_a_share_of_a_limit_is_rounded_half_even(part: float, written: str) -> None:
    assert share(part, wording("en")) == f"{written}\u00a0%"


@given(st.decimals(min_value=0, max_value=10**9, places=9))
def test_a_written_number_is_within_half_a_percent(value: Decimal) -> None:
    written = Decimal(wording("en").number(value).replace(",", ""))
    assert abs(written - value) <= value / 200


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_no_number_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="cannot be written"):
        wording("en").number(value)


def test_a_finding_says_who_where_when_how_much_and_against_what() -> None:
    text = finding_text(FINDING, wording("en"))
    assert text.where == ("Operator CD01", "Room CATH1", "coronary angioplasty", "1 March 2026")
    assert text.value == "70\u00a0µSv"
    assert text.quoted is None


@pytest.mark.parametrize(
    ("decided_by", "threshold", "said"),
    [
        (
            "third_quartile",
            27.1,
            "above the third quartile of first operators in 23 procedures of this kind, 27.1 µSv; floor 20 µSv",
        ),
        (
            "floor",
            20.0,
            "above the floor, 20 µSv; third quartile of first operators in 23 procedures of this kind 3.2 µSv",
        ),
        ("cap", 30.0, "above the cap, 30 µSv; third quartile of first operators in 23 procedures of this kind 48 µSv"),
        (None, 100.0, "threshold 100 µSv"),
    ],
)
def test_both_thresholds_are_written_and_which_decided(decided_by: str | None, threshold: float, said: str) -> None:
    third_quartile = {"third_quartile": 27.1, "floor": 3.2, "cap": 48.0, None: None}[decided_by]
    finding = replace(FINDING, threshold=threshold, third_quartile=third_quartile, decided_by=decided_by)
    assert finding_text(finding, wording("en")).threshold.replace("\u00a0", " ") == said


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("decided_by", ["third_quartile", "floor", "cap"])
def test_a_third_quartile_names_whose_it_is(decided_by: str, language: str) -> None:
    """First and assisting operators of one class have a third quartile each."""
    words = wording(language)
    texts_of_groups = {
        finding_text(replace(FINDING, decided_by=decided_by, role_group=group), words).threshold
        for group in ("first_operator", "assisting")
    }
    assert len(texts_of_groups) == 2
    assert all(
        words.say(f"role_groups.{group}") in " ".join(texts_of_groups) for group in ("first_operator", "assisting")
    )


def test_a_value_just_above_its_threshold_is_written_apart_from_it() -> None:
    text = finding_text(replace(FINDING, value=20.0041234, threshold=20.0, decided_by=None), wording("fr"))
    assert (text.value, text.threshold) == ("20,004\u00a0µSv", "seuil 20\u00a0µSv")


def test_what_is_not_known_is_a_dash_and_never_zero() -> None:
    unknown = replace(FINDING, value=None, threshold=None, operator_id=None, decided_by=None)
    text = finding_text(unknown, wording("en"))
    assert (text.value, text.threshold) == ("—", "threshold —")
    assert text.where[0] == "Room CATH1"


def test_a_rule_without_words_is_told_by_its_code_and_message() -> None:
    text = finding_text(replace(FINDING, rule="local_rule", unit="furlong"), wording("es"))
    quoted = wording("es").say("findings.quoted", message="hp10 above Q3")
    assert (text.sentence, text.quoted, text.value) == ("", quoted, "70\u00a0furlong")
    (group,) = finding_groups([replace(FINDING, rule="local_rule")], wording("es"), lambda _: "", names_operator=True)
    assert (group.rule, group.explanation) == ("local_rule", "")


# Every kind of finding that a rule can have: (rule, quantity, what tells it apart), after the models of its findings.
KINDS: list[tuple[str, str, dict[str, str]]] = [
    *(("dose_limit", quantity, {}) for quantity in ("effective", "lens", "extremity", "effective_dose_equivalent")),
    *(("monthly_dose", quantity, {}) for quantity in ("hp10", "effective")),
    *(("badge_not_worn", quantity, {}) for quantity in ("c_arm_dose", "kap", "hp10")),
    *(("badge_mismatch", step, {"step": step}) for step in ("passive_low", "electronic_low", "under_above_over")),
    ("badge_mismatch", "passive_low", {"step": "passive_low", "detail": "left_hand"}),
    *(("patient_dose", quantity, {"step": quantity}) for quantity in ("ka_r", "kap", "fluoro_time", "effective_dose")),
    *(("patient_dose", quantity, {"step": f"{quantity}_of_days"}) for quantity in ("ka_r", "kap", "fluoro_time")),
    *(("patient_dose", "ka_r", {"step": step}) for step in ("ka_r_notice", "ka_r_notice_of_days", "ka_r_year")),
    *(
        ("reference_level", quantity, {"detail": "pci"})
        for quantity in ("kap", "ka_r", "fluoro_time", "ctdi_vol", "dlp")
    ),
    ("data_quality", "unlinked", {"detail": "c_arm"}),
    ("data_quality", "unlinked", {"detail": "staff"}),
    ("data_quality", "unknown_hub", {"detail": "rates/BASE.1"}),
    *(
        ("data_quality", row["step"], {"detail": "rates/10.1"})
        for row in seed("alert_rules")
        if row["rule"] == "data_quality" and row["step"] not in ("", "unlinked", "unknown_hub")
    ),
]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("rule", "quantity", "apart"), KINDS)
def test_every_kind_of_finding_is_told_in_the_language_of_the_letter(
    rule: str, quantity: str, apart: dict[str, str], language: str
) -> None:
    words = wording(language)
    finding = kind(rule, quantity, apart)
    (group,) = finding_groups([finding], words, lambda _: "", names_operator=True)
    assert group.explanation == words.say(f"rules.{rule}.quantities.{quantity}")
    (text,) = group.findings
    quoted = words.say("findings.quoted", message="The published English.")
    assert text.quoted == (quoted if ("data_quality", quantity) in QUOTED else None)
    if rule in ("patient_dose", "reference_level", "monthly_dose"):
        assert text.sentence


@pytest.mark.parametrize(("rule", "quantity", "apart"), KINDS)
def test_no_letter_takes_a_step_apart(rule: str, quantity: str, apart: dict[str, str]) -> None:
    finding = kind(rule, quantity, apart)
    longer = replace(finding, step=f"{finding.step}/CANARY/pci")
    if rule != "patient_dose":  # whose whole step names the sentence: of one procedure, or of several days
        assert finding_text(longer, wording("en")) == finding_text(finding, wording("en"))
    assert "CANARY" not in str(finding_text(longer, wording("en")))


def kind(rule: str, quantity: str, apart: dict[str, str]) -> Finding:
    finding = replace(FINDING, rule=rule, quantity=quantity, days=60.0, message="The published English.")
    return replace(finding, step=apart.get("step", "1"), detail=apart.get("detail"))


CAUSES = ("none", "mixed", "radiation", "geometry", "c_arm_badge_or_room", "protection")
GROUPS = ("first_operator", "assisting", "nurse", "technologist", "other")


def codes() -> set[str]:
    """Every identifier of a rule, step, quantity, class, window, role and cause, as databases have them."""
    found = {row[column] for row in seed("alert_rules") for column in ("rule", "step")}
    found |= {code for rule, quantity, more in KINDS for code in (rule, quantity, more.get("step", ""))}
    found |= {row[column] for row in seed("dose_limits") for column in ("quantity", "dose_window")}
    found |= {row["procedure_class"] for row in seed("procedure_class")}
    found |= {row["role"] for row in seed("operator_roles")}
    found |= {*CAUSES, *GROUPS, "third_quartile", "floor", "cap", "unclassified"}
    return {code for code in found if code and not code.isdigit()}


@pytest.mark.parametrize("language", ["fr", "es"])
def test_no_english_identifier_is_in_a_french_or_spanish_letter(language: str) -> None:
    names = {language: {row["procedure_class"]: row[f"name_{language}"] for row in seed("procedure_class")}}
    classes = list(names[language])
    findings, procedures, doses = [], {}, {}
    for number, (rule, quantity, more) in enumerate([*KINDS, *((rule, "hp10", {"step": "1"}) for rule in RULES)]):
        finding = about(number, rule, quantity=quantity, procedure_id=f"{number:032x}", **more)
        findings.append(replace(finding, operator_id=f"CD{number % 9}", room_id="CATH1", message="no message"))
        procedures[f"{number:032x}"] = Procedure(f"{number:032x}", classes[number % len(classes)], "CATH1", AS_OF)
        doses[f"{number:032x}", f"CD{number % 9}"] = OwnDose(70.0, 700.0, 2.3, CAUSES[number % len(CAUSES)])
    details = Details(procedures, doses)
    publication = replace(
        PUBLICATION,
        class_names=names,
        findings=tuple(findings),
        high_share_classes=tuple(HighShareClass(name, group, 20, 14.2) for name in classes for group in GROUPS),
        advice={},
    )
    letters = [digest_letter(News(tuple(findings), 3, AS_OF), publication, details, SITE, language, AS_OF, ENVELOPE)]
    for begin in range(0, len(findings), 5):  # five procedures a letter
        own_findings = tuple(findings[begin : begin + 5])
        personal = replace(
            PERSONAL,
            procedures=tuple(OwnProcedure(classes[(begin + n) % len(classes)], 1.0, GROUPS[n]) for n in range(5)),
            limits=tuple(
                replace(
                    PERSONAL.limits[0],
                    quantity=row["quantity"],
                    limit_rule=row["quantity"] + row["dose_window"],
                    dose_window=row["dose_window"],
                )
                for row in seed("dose_limits")
                if row["quantity"] != "skin"  # listed, and judged by no badge
            ),
            habit=habit_of([CAUSES[begin % len(CAUSES)]] * 20),
        )
        letters.append(
            operator_letter(
                News(own_findings, 0, AS_OF), personal, details, "Ana", {}, names, SITE, language, AS_OF, ENVELOPE
            )
        )
    shown = {
        code
        for letter in letters
        for text in parts(letter)
        for code in codes()
        if re.search(rf"(?<![\w./-]){re.escape(code)}(?![\w/:-])", Page(text).text)
    }
    assert shown <= {"protection"}  # a French word, too


@pytest.mark.parametrize("language", ["fr", "es"])
def test_no_text_of_a_letter_has_an_english_word_or_an_identifier(language: str) -> None:
    """The letter to operations is for the engineer, who types commands."""
    of_letters = {
        key: re.sub(r"\{\w+\}", "", text)
        for key, text in texts(wording(language).texts).items()
        if not key.startswith("operations.")
    }
    of_letters |= {row["advice_code"]: row["sentence"] for row in seed("advice") if row["language"] == language}
    assert {key: found for key, text in of_letters.items() if (found := english_in(text, language))} == {}


def test_a_quantity_of_a_later_version_is_told_by_what_its_rule_watches() -> None:
    words = wording("en")
    (group,) = finding_groups(
        [replace(FINDING, rule="dose_limit", quantity="later", step=None)], words, lambda _: "", names_operator=True
    )
    assert group.explanation == words.say("rules.dose_limit.threshold")


def test_sentences_say_how_many_how_long_and_what() -> None:
    def sentence(rule: str, quantity: str, **apart: str) -> str:
        return finding_text(kind(rule, quantity, apart), wording("en")).sentence

    assert sentence("patient_dose", "ka_r", step="ka_r_of_days") == (
        "In 23 procedures of one patient within 60 days, in one region of the body."
    )
    assert sentence("reference_level", "kap", detail="pci") == "pci: median of 23 procedures."
    assert sentence("data_quality", "unknown_hub", detail="rates/BASE.1") == "Source and hub: rates, BASE.1."
    assert sentence("data_quality", "feed_silent", step="feed_silent", detail="room/IR1") == "Silent: room IR1."
    assert sentence("data_quality", "unlinked", detail="staff") == "Badges of the staff, March 2026."
    assert sentence("absolute_dose", "hp10", step="1") == ""


LENS = replace(PERSONAL.limits[0], is_estimate=True, other_window="rolling_12_months", other_fraction=0.8951)


@pytest.mark.parametrize(
    ("language", "sentence"),
    [
        (
            "en",
            "17.8 mSv received from 1 January 2026 to 2 March 2026: 88.9 % of the limit of 20 mSv (Lens of the eye,"
            " calendar year). In the other window (12 months): 89.5 %.",
        ),
        (
            "fr",
            "17,8 mSv reçus du 1 janvier 2026 au 2 mars 2026 : 88,9 % de la limite de 20 mSv (Cristallin,"
            " année civile). Dans l’autre fenêtre (12 mois) : 89,5 %.",
        ),
        (
            "es",
            "17,8 mSv recibidos del 1 de enero de 2026 al 2 de marzo de 2026: 88,9 % del límite de 20 mSv (Cristalino,"
            " año natural). En la otra ventana (12 meses): 89,5 %.",
        ),
    ],
)
def test_a_finding_about_a_limit_begins_with_what_was_received(language: str, sentence: str) -> None:
    """Issue 23, row 8: 17.8 of 20 mSv are 88.9 %, not the projected 119 %."""
    finding = replace(FINDING, rule="dose_limit", quantity="lens", limit=LENS)
    text = finding_text(finding, wording(language)).sentence.replace("\u00a0", " ").replace("1er", "1")
    assert text == sentence


def test_the_projection_is_a_finding_of_its_own() -> None:
    words = wording("en")
    finding = replace(FINDING, rule="dose_limit", quantity="lens", detail="projected_100", limit=LENS)
    text = finding_text(replace(finding, value=118.8), words).sentence
    assert "88.9\u00a0%" in text
    assert text.endswith(words.say("limit.projected", share="118.8\u00a0%"))
    assert kind_name(finding, words) == "Lens of the eye, calendar year, projected to 31 December"


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_estimate_and_a_limit_that_is_not_confirmed_are_named_so(language: str) -> None:
    words = wording(language)
    limit = replace(LENS, fraction=1.0, status="must_confirm", citation="RD 1029/2022, Art. 11")
    finding = replace(FINDING, rule="dose_limit", quantity="lens", limit=limit)
    text = finding_text(finding, words).sentence
    assert words.say("limit.estimate") in text
    assert words.say("limit.unconfirmed", citation="RD 1029/2022, Art. 11") in text
    measured = finding_text(replace(finding, limit=replace(limit, is_estimate=False, status="confirmed")), words)
    assert words.say("limit.estimate") not in measured.sentence
    assert "RD 1029/2022" not in measured.sentence


@pytest.mark.parametrize("language", LANGUAGES)
def test_letters_list_the_limits_to_confirm(language: str) -> None:
    words = wording(language)
    unconfirmed = (UnconfirmedLimit("lens", 20.0, "RD 1029/2022, Art. 11"),)
    for letter in (
        digest(language=language, publication=replace(PUBLICATION, unconfirmed_limits=unconfirmed)),
        own(language=language, personal=replace(PERSONAL, unconfirmed_limits=unconfirmed)),
    ):
        for text in (parts(letter)[0], Page(parts(letter)[1]).text):
            assert words.say("quantities.lens") in text
            assert "RD 1029/2022, Art. 11" in text
    assert words.say("limit.to_confirm.heading") not in parts(digest(language=language))[0]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_letter_about_a_pregnancy_names_quantity_and_covered_days(language: str) -> None:
    """Issue 23, row 13: data to 30 April are not a dose to 25 December."""
    words = wording(language)
    limit = LimitShare(
        "effective",
        "pregnancy",
        "pregnancy_1",
        date(2024, 3, 20),
        date(2024, 12, 25),
        0.21,
        0.21,
        1.0,
        0.21,
        None,
        covered_days=42,
        covered_to=date(2024, 4, 30),
        is_begin_unknown=True,
    )
    finding = replace(FINDING, rule="pregnancy", quantity="hp10_under_apron", step="1/pregnancy_1", limit=limit)
    text = finding_text(replace(finding, occurred_on=date(2024, 6, 30)), words).sentence
    assert "Hp(10)" in text
    assert words.day(date(2024, 6, 30)) in text
    assert words.day(date(2024, 12, 25)) not in text
    assert words.say("limit.covered", count=42, last=words.day(date(2024, 4, 30))) in text
    assert words.say("limit.before_declaration") in text
    assert words.say("quantities.effective") not in text
    for step, value in (("no_foetal_badge", 8.0), ("foetal_badge_overdue", 77.0)):
        told = finding_text(replace(finding, step=step, value=value, limit=None), words).sentence
        assert told == words.say(f"rules.pregnancy.sentences.{step}", value=words.number(value))


# ------------------------------------------------------------------------------------- what is read in which order


def about(number: int, rule: str = "procedure_dose", **differs: Any) -> Finding:
    """A finding of its own."""
    return replace(FINDING, alert_id=f"{number:08x}" + "a" * 24, rule=rule, **differs)


PATIENT = about(
    1, "patient_dose", severity="urgent", audience="medical_physics", operator_id=None, quantity="ka_r", value=6390.0,
    threshold=5000.0, unit="mGy", decided_by=None, advice_code="skin",
)  # fmt: skip
LIMIT = about(
    2, "dose_limit", severity="notice", procedure_id=None, quantity="lens", unit="%", decided_by=None,
    limit=PERSONAL.limits[0],
)  # fmt: skip
CLOCK = about(
    3, "data_quality", severity="notice", audience="medical_physics", operator_id=None, procedure_id=None,
    quantity="clock_step", unit="s", value=9.3, threshold=5.0, decided_by=None, step="clock_step", advice_code=None,
)  # fmt: skip


def test_the_digest_goes_from_patients_over_limits_and_habits_to_the_data() -> None:
    text = parts(digest((CLOCK, FINDING, LIMIT, PATIENT)))[0]
    headings = [wording("en").say(f"sections.{name}").upper() for name in ("patients", "limits", "habits", "data")]
    assert [line for line in text.splitlines() if line in headings] == headings
    assert "accession number ACC1" in text.split("NEAR A LIMIT")[0]
    assert "Ka,r 1,234 mGy; KAP 67.8 Gy·cm²; fluoroscopy 12.6 min" in text


def test_a_procedure_with_many_findings_is_one_card_of_its_operator() -> None:
    rules = ("procedure_dose", "dose_per_kap", "dose_to_c_arm", "absolute_dose")
    findings = tuple(about(number, rule) for number, rule in enumerate(rules))
    text = parts(digest(findings))[0]
    assert text.count("1 March 2026, 08:14") == 1
    assert text.count("2.3 times the usual dose, mostly less protection") == 1
    assert text.count("Operator CD01 [") == 1
    assert "1 procedure with a finding: dose above a fixed step\u00a01, dose per KAP\u00a01, " in text
    own_text = parts(own(findings))[0]
    assert own_text.count("1 March 2026, 08:14") == 1
    assert own_text.count("2.3 times the usual dose, mostly less protection") == 1
    assert all(finding.alert_id[:8] in own_text for finding in findings)


def test_an_urgent_finding_is_in_every_digest_until_it_is_answered() -> None:
    """It is 41 days old and was told in an earlier letter: row 18 of the issue."""
    old = replace(PATIENT, occurred_on=AS_OF - timedelta(days=41))
    open_ones = replace(PUBLICATION, findings=(old, FINDING))
    text = parts(digest((FINDING,), publication=open_ones))[0]
    line = next(line for line in text.splitlines() if old.alert_id[:8] in line)
    assert "accession number ACC1" in line
    assert "6,390" in line
    assert old.alert_id[:8] not in parts(digest((FINDING,)))[0]  # answered: it is not open any more


def test_an_operator_reads_the_month_the_limits_the_comparison_five_procedures_and_a_habit() -> None:
    words = wording("en")
    findings = tuple(about(number, procedure_id=f"{number:032x}") for number in range(9))
    text = parts(own((*findings, LIMIT)))[0]
    headings = [
        words.say("own.month.heading", month="February 2026"),
        words.say("own.limits.heading"),
        words.say("own.classes.heading"),
        words.say("own.findings"),
        words.say("own.habit.heading"),
    ]
    assert [line for line in text.splitlines() if line in map(str.upper, headings)] == [h.upper() for h in headings]
    assert sum(finding.alert_id[:8] in text for finding in findings) == 5
    assert words.say("own.left_out", count=4) in text
    assert "11 were clearly above usual; in 7 of these the reason was mostly less protection" in text
    assert "Your protection factor is 2.1 times your colleagues' (95 % 1.9 to 2.3" in text
    assert "about 8.8 mSv less of 17" in text


@pytest.mark.parametrize(
    ("causes", "cause", "above"),
    [
        (["protection"] * 6 + ["none"] * 14, "protection", 6),
        (["protection"] * 4 + ["none"] * 16, None, 4),  # fewer than a quarter
        (["mixed"] * 20, None, 20),
        (["geometry", "radiation"] * 10, "geometry", 20),  # the later of two
    ],
)
def test_a_habit_is_what_a_quarter_of_the_last_procedures_have(
    causes: list[str], cause: str | None, above: int
) -> None:
    habit = habit_of(causes)
    assert habit
    assert (habit.cause, habit.above_usual, habit.explained) == (cause, above, 20)
    assert habit_of(causes[:9]) is None


def test_a_letter_gives_no_digits_of_what_is_below_detection() -> None:
    """0.00483 mSv, 0.0 %: the badge under the apron was below detection, its limit 0.1 mSv."""
    limit = replace(PERSONAL.limits[0], dose_msv=0.00483, high_msv=0.05483, fraction=0.00483 / 20)
    month = OperatorMonth("CD01", 43, 42, 101.4, 4.83, 54.83, 101.4, 0.2)
    text = parts(own(language="en", personal=replace(PERSONAL, month=month, limits=(limit,))))[0]
    text = text.replace("\u00a0", " ")
    assert "< 0.06 of 20 mSv, < 0.3 %" in text
    assert "5 µSv, at most 55" in text
    assert "0.00483" not in text
    unknown = replace(PERSONAL, limits=(replace(limit, high_msv=None),))
    assert "below detection (limit not stated) of 20 mSv, —" in parts(own(language="en", personal=unknown))[0]


@pytest.mark.parametrize("language", LANGUAGES)
def test_where_a_screen_is_in_the_way_other_protection_is_advised(language: str) -> None:
    words = wording(language)
    finding = replace(FINDING, procedure_type="nephrostomy")
    quiet = replace(PERSONAL, habit=None)
    text = parts(own((finding,), language, personal=quiet))[0]
    assert words.say("own.advice.shield_beside_beam") in text
    assert words.say("own.advice.shield") not in text
    assert words.say("advice.shield_beside_beam") in parts(digest((finding,), language=language))[0]
    site = {("shield", language): Advice("Ask Ana.", is_of_site=True)}
    assert "Ask Ana." in parts(own((finding,), language, personal=quiet, advice=site))[0]


def test_classes_with_the_screen_in_the_way_are_classes() -> None:
    assert {row["procedure_class"] for row in seed("procedure_class")} >= SCREEN_IN_THE_WAY


def test_persistence_is_told_beside_what_is_usual() -> None:
    finding = about(
        1, "persistent", quantity="procedures_with_finding", value=11.0, threshold=9.0, n_reference=20, usual=3.61,
        unit="procedures", decided_by=None, step="rows",
    )  # fmt: skip
    told = "11 of the last 20 procedures have a finding; 3.6 are usual for these procedures."
    assert told in parts(own((finding,)))[0].split("ONE HABIT")[1]
    assert told in parts(digest((finding,)))[0]


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_advice_is_written_out_once_and_every_further_card_names_where(language: str) -> None:
    words = wording(language)
    procedures = {f"{n:032x}": replace(DETAILS.procedures["b" * 32], room_id=f"ROOM{n}") for n in range(4)}
    findings = tuple(about(n, procedure_id=f"{n:032x}", advice_code="shield") for n in range(4))
    letter = operator_letter(
        News(findings), replace(PERSONAL, habit=None), Details(procedures), "Ana", {}, NAMES_OF_CLASSES, SITE, language,
        AS_OF, ENVELOPE,
    )  # fmt: skip
    text = parts(letter)[0]
    assert text.count(words.say("own.advice.shield")) == 1
    (title,) = {line.split(" [")[0] for line in text.splitlines() if "ROOM0" in line and "[" in line}
    assert text.count(words.say("findings.as_for", title=title)) == 3


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_card_about_a_patient_has_its_advice(language: str) -> None:
    """It may be handed on alone, and concerns each of them."""
    findings = tuple(replace(PATIENT, alert_id=f"{n:032x}", procedure_id=f"{n:032x}") for n in range(3))
    publication = replace(PUBLICATION, advice={("skin", language): Advice("See the skin.", is_of_site=False)})
    text = parts(digest(findings, language=language, publication=publication))[0]
    assert text.count("See the skin.") == 3


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("rule", ["procedure_dose", "dose_per_kap", "dose_to_c_arm", "absolute_dose"])
def test_the_advice_never_contradicts_the_dose_on_its_card(rule: str, language: str) -> None:
    """0.64 times the usual dose, and beside it «more dose than usual»: no cause is the reason then."""
    advised = {row["evidence"]: row["advice_code"] for row in seed("advice_rule") if row["rule"] == rule}
    code = advised.get("none", advised[""])
    own_dose = OwnDose(6.64, 77.9, 0.64, "none", 0.36, 1.32, 1.347)
    details = Details(DETAILS.procedures, {("b" * 32, "CD01"): own_dose})
    letter = operator_letter(
        News((replace(FINDING, rule=rule, advice_code=code),)), replace(PERSONAL, habit=None), details, "Ana", {},
        NAMES_OF_CLASSES, SITE, language, AS_OF, ENVELOPE,
    )  # fmt: skip
    text = parts(letter)[0]
    assert wording(language).say(f"own.advice.{code}") in text
    more_than_usual = {"en": "than usual", "fr": "que d’habitude", "es": "de lo habitual"}[language]
    assert more_than_usual not in text
    published = next(r["sentence"] for r in seed("advice") if (r["advice_code"], r["language"]) == (code, language))
    assert more_than_usual not in wording(language).typeset(published)
    # The factors whose product the 0.64 is.
    assert (
        wording(language).say("facts.factors", **dict(zip(("kap", "scatter", "share"), factors(language), strict=True)))
        in text
    )


def factors(language: str) -> tuple[str, str, str]:
    return ("0.36", "1.3", "1.3") if language == "en" else ("0,36", "1,3", "1,3")


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_received_and_projected_of_a_limit_share_a_line_and_a_rounding(language: str) -> None:
    words = wording(language)
    received = replace(LIMIT, limit=replace(LENS, other_fraction=0.8894), value=88.94, threshold=60.0)
    projected = replace(received, alert_id="c" * 32, detail="projected_100", value=118.83, threshold=100.0)
    dose_of_limit = "17.8" if language == "en" else "17,8"
    for letter in (digest((received, projected), language=language), own((received, projected), language)):
        lines = [line for line in parts(letter)[0].splitlines() if received.alert_id[:8] in line]
        assert len(lines) == 1
        (line,) = lines
        assert line.count(words.say("quantities.lens")) == 1
        assert words.percent(Decimal("0.8894")) in line
        assert words.say("line.projected", share=words.percent(Decimal("1.1883"))) in line
        assert not re.search(r"(?<![\d.,])119(?!\d)", line)
        assert projected.alert_id[:8] in line
        assert words.say("windows.rolling_12_months") not in line  # its share is the same
    assert dose_of_limit in parts(digest((received, projected), language=language))[0].split(received.alert_id[:8])[0]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_new_urgent_finding_is_not_called_unanswered(language: str) -> None:
    words = wording(language)
    new = tuple(replace(PATIENT, alert_id=f"{n:08x}" + "d" * 24, procedure_id=f"{n:032x}") for n in range(10))
    old = replace(PATIENT, alert_id="e" * 32)
    text = parts(digest(new, language=language, publication=replace(PUBLICATION, findings=(*new, old))))[0]
    before, after = text.split(words.say("sections.still_open"))
    assert all(finding.alert_id[:8] in before for finding in new)
    assert old.alert_id[:8] in after
    assert words.say("sections.urgent") in before


@pytest.mark.parametrize(
    ("as_of", "month"),
    [
        (date(2024, 9, 30), date(2024, 9, 1)),
        (date(2024, 9, 29), date(2024, 8, 1)),
        (date(2024, 2, 29), date(2024, 2, 1)),
        (date(2025, 1, 1), date(2024, 12, 1)),
    ],
)
def test_the_month_of_a_letter_is_the_last_that_is_over(as_of: date, month: date) -> None:
    assert last_whole_month(as_of) == month


@pytest.mark.parametrize("language", LANGUAGES)
def test_letters_say_why_they_are_about_this_month(language: str) -> None:
    words = wording(language)
    reason = words.say("month.reason", as_of=words.day(AS_OF))
    for letter in (digest(month=date(2026, 2, 1), language=language), own(language=language)):
        assert all(reason in " ".join(text.split()) for text in (parts(letter)[0], Page(parts(letter)[1]).text))


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_badge_that_registered_next_to_nothing_is_below_its_resolution(language: str) -> None:
    doses = tuple(OwnProcedure("pci", usv) for usv in (0.0, 0.0, 12.5))
    classes = (ClassQuartiles("pci", 544, 0.0, 0.129, 0.404),)
    month = replace(PERSONAL.month, lens_usv=0.0) if PERSONAL.month else None
    personal = replace(PERSONAL, month=month, procedures=doses, classes=classes)
    text = parts(own((), language, personal=personal))[0].replace("\u00a0", " ")
    assert not re.search(r"(?<![\d.,])0([.,]\d+)? µSv", text)
    assert text.count("< 1 µSv") == 4  # the month's lens, the own median, the class's median and its range


FOLLOWUPS = [
    (SkinFollowup("examine", "open", date(2026, 3, 29)), "due.examine"),
    (SkinFollowup("examine", "overdue", date(2026, 3, 1)), "overdue.examine"),
    (SkinFollowup("examine", "informed", date(2026, 3, 29), date(2026, 3, 2)), "due.examine"),
    (SkinFollowup("inform", "open", date(2026, 3, 15)), "due.inform"),
    (SkinFollowup("inform", "overdue", date(2026, 3, 1)), "overdue.inform"),
    (SkinFollowup("examine_twice", "seen", date(2027, 3, 1), date(2026, 3, 2), date(2026, 3, 20)), "due.second"),
]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("followup", "next_step"), FOLLOWUPS)
def test_a_card_about_a_patient_says_what_is_done_for_the_skin(
    followup: SkinFollowup, next_step: str, language: str
) -> None:
    words = wording(language)
    details = replace(DETAILS, followups={"b" * 32: followup})
    publication = replace(PUBLICATION, findings=(PATIENT,))
    assert followup.due_on
    said = [words.say(f"skin.{next_step}", day=words.day(followup.due_on))]
    if done := followup.seen_on or followup.informed_on:
        said.append(words.say("skin.seen" if followup.seen_on else "skin.informed", day=words.day(done)))
    for news in (News((PATIENT,)), News((FINDING,))):  # on its card, and in the line of one that is not answered
        letter = digest_letter(news, publication, details, SITE, language, WRITTEN_ON, ENVELOPE)
        assert all(text in parts(letter)[0] for text in said)


# A site of the size of the paper preset in its first month: 19 operators, 5 rooms, 40 procedures with a finding each.
@pytest.mark.parametrize("language", LANGUAGES)
def test_letters_of_a_full_month_are_short(language: str) -> None:
    rules = ("procedure_dose", "dose_per_kap", "dose_to_c_arm", "absolute_dose")
    operators = [f"CD{number:02}" for number in range(19)]
    habits = [
        about(1000 * o + 10 * p + r, rule, operator_id=operator, procedure_id=f"{1000 * o + p:032x}")
        for o, operator in enumerate(operators)
        for p in range(12)
        for r, rule in enumerate(rules)
    ]
    limits = [about(50_000 + n, "dose_limit", **{**_limit(), "operator_id": name}) for n, name in enumerate(operators)]
    patients = [replace(PATIENT, alert_id=f"p{n:031x}", procedure_id=f"{n:032x}") for n in range(12)]
    kinds = [
        row["step"]
        for row in seed("alert_rules")
        if row["rule"] == "data_quality" and row["step"] not in ("", "refused_source")
    ]
    data = [
        replace(CLOCK, alert_id=f"d{room}{kind}", quantity=kind, step=kind, room_id=f"CATH{room}")
        for kind in kinds
        for room in range(5)
    ]
    month = replace(
        PUBLICATION.last_month or MonthSummary(AS_OF, 0, (), ()),
        operators=tuple(OperatorMonth(name, 43, 42, 2281.29, 97.03, 97.03, 2281.29, 0.8894) for name in operators),
    )
    findings = (*habits, *limits, *patients, *data)
    publication = replace(PUBLICATION, findings=findings, last_month=month)
    text = parts(digest(findings, 1916, date(2026, 2, 1), language, publication=publication))[0]
    assert len(text.splitlines()) <= 300
    mine = tuple(finding for finding in findings if finding.operator_id == "CD01")
    classes = tuple(OwnProcedure(f"class {n}", 12.5) for n in range(12))
    text = parts(own(mine, language, personal=replace(PERSONAL, procedures=classes)))[0]
    assert len(text.splitlines()) <= 80


def _limit() -> dict[str, Any]:
    kept = ("severity", "procedure_id", "quantity", "unit", "decided_by", "limit")
    return {name: getattr(LIMIT, name) for name in kept}


def test_old_findings_are_counted_and_those_of_day_31_are_listed() -> None:
    def aged(days: int) -> Finding:
        return replace(FINDING, occurred_on=AS_OF - timedelta(days=days))

    assert is_shown_in_full(aged(31), AS_OF)
    assert not is_shown_in_full(aged(32), AS_OF)
    assert is_shown_in_full(replace(FINDING, occurred_on=None), AS_OF)
    assert is_shown_in_full(replace(aged(41), severity="urgent"), AS_OF)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_letter_says_the_same_in_html_and_in_plain_text(language: str) -> None:
    words = wording(language)
    plain, html = parts(digest(language=language, older=4, month=date(2026, 2, 1)))
    page = Page(html)
    for fact in (
        "Hospital Clínico San Telmo",
        words.number(3373),
        words.day(AS_OF),
        words.day(WRITTEN_ON),
        "CD01",
        "CATH1",
        "procedure:" + "b" * 32,
        "23",
        words.say("findings.older", count=4, days=31),
        words.say("claim"),
        linked(PUBLICATION.staff.linked_share, words),
        words.say("unlinked.not_occupational"),
        "inbox/dosimeters/cath/2026-03-01.csv",
        "Column Basis is neither mapped nor ignored.",
        PUBLICATION.run_id,
        words.say("figures.checks_page", file="/data/data_docs/b1.html"),
        words.say("rules.procedure_dose.short"),
        f"published advice in {language}",
        words.say("month.heading", month=words.month(date(2026, 2, 1))),
        words.number(2281.29),
    ):
        assert fact in str(page.text)
        assert fact.casefold() in plain.casefold()  # headings are in capitals there


def test_the_headers_are_those_of_an_automatic_letter() -> None:
    letter = digest()
    assert letter["Subject"] == "Hospital Clínico San Telmo: 1 new finding, data up to 2 March 2026"
    assert letter["To"] == "mpe@hospital.example"
    assert letter["Message-ID"] == "<1@hospital.example>"
    assert letter["Date"] == "Tue, 03 Mar 2026 04:05:00 +0000"
    assert letter["Auto-Submitted"] == "auto-generated"
    assert b"Cl\xc3\xadnico" not in letter.as_bytes().split(b"\r\n\r\n")[0]


def test_html_needs_no_network_and_its_picture_is_in_the_letter() -> None:
    letter = digest()
    page = Page(parts(letter)[1])
    assert not {"script", "link", "a", "style", "iframe", "form"} & set(page.tags)
    sources = [value for name, value in page.attributes if name in ("src", "href", "background")]
    (picture,) = [part for part in letter.walk() if part.get_content_type() == "image/png"]
    assert sources == ["cid:" + str(picture["Content-ID"]).strip("<>")]
    assert picture.get_content().startswith(b"\x89PNG")
    assert not any("url(" in (value or "") for _, value in page.attributes)


EVERY_LETTER = [digest, own, confidential, trouble]


def test_the_subject_counts_what_the_letter_lists() -> None:
    month = date(2026, 2, 1)
    assert digest((FINDING, FINDING), older=500)["Subject"] == f"{SITE}: 2 new findings, data up to 2 March 2026"
    assert digest((), older=5)["Subject"] == f"{SITE}: older findings seen for the first time, data up to 2 March 2026"
    assert digest((), month=month)["Subject"] == f"{SITE}: summary of February 2026"
    assert digest((), month=month, language="fr")["Subject"] == f"{SITE} : bilan de février 2026"


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_operators_letter_says_the_same_in_html_and_in_plain_text(language: str) -> None:
    words = wording(language)
    plain, html = parts(own(language=language))
    page = Page(html)
    for fact in (
        words.say("own.dates", name="Ana", id="CD01", as_of=words.day(AS_OF)),
        words.say("own.month.heading", month=words.month(date(2026, 2, 1))),
        words.say("own.advice.shield"),
        words.say("own.older", count=3, days=31),
        words.say("quantities.lens"),
        words.say("windows.calendar_year"),
        words.number(17.79),
        words.number(544),
        f"{words.number(4.37)}–{words.number(33.8)}",
        FINDING.alert_id[:8],
        NAMES_OF_CLASSES[language]["pci"],
        words.time(datetime(2026, 3, 1, 8, 14, tzinfo=UTC)),
    ):
        assert fact in str(page.text)
        assert fact.casefold() in plain.casefold()
    assert str(FINDING.procedure_id) not in str(plain) + html
    assert "CD01" not in "".join(finding_text(FINDING, words, names_operator=False).where)


def test_a_class_of_too_few_procedures_is_not_compared() -> None:
    assert "Portosystemic shunt: 1 of yours, median 402 µSv; too few to compare" in parts(own())[0]


def test_the_advice_that_the_site_wrote_wins() -> None:
    site = {("shield", "en"): Advice("Ask Ana about the screens.", is_of_site=True)}
    assert "Ask Ana about the screens." in parts(own(advice=site))[0]
    assert "published advice" not in parts(own(advice=dict(PUBLICATION.advice)))[0]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_confidential_letters_subject_tells_nothing(language: str) -> None:
    letter = confidential(language)
    words = wording(language)
    assert words.say("rules.pregnancy.name") in parts(letter)[0]
    headers = letter.as_bytes().split(b"\r\n\r\n")[0].decode()
    assert not any(word in headers.casefold() for word in ("cd01", "pregnan", "grossesse", "embarazo"))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("step", [*STEPS, "some_new_step"])
def test_the_letter_to_operations_says_step_sentence_and_what_to_do(step: str, language: str) -> None:
    words = wording(language)
    known = step if step in STEPS else "other"
    plain, html = parts(trouble(language, step))
    for fact in (words.say(f"operations.steps.{known}.todo"), "3 rows of marts.fct_procedure"):
        assert fact in plain
        assert fact in Page(html).text


@pytest.mark.parametrize(
    ("steps", "subject"),
    [
        (["pull"], "dose reports are missing on 2 March 2026"),
        (["letters"], "the letters of 2 March 2026 failed"),
        (["letters", "charts"], "the letters of 2 March 2026 failed"),
        (["charts"], "the pictures of 2 March 2026 failed"),
        (["run"], "the run of 2 March 2026 was interrupted"),
        (["charts", "publication"], "the run of 2 March 2026 failed"),
        (["gate"], "the run of 2 March 2026 failed"),
        (["pull", "gate"], "the run of 2 March 2026 failed"),
    ],
)
def test_operations_hear_first_whether_there_is_a_publication(steps: list[str], subject: str) -> None:
    assert trouble("en", *steps)["Subject"] == f"{SITE}: {subject}"


@pytest.mark.parametrize("letter", EVERY_LETTER)
def test_no_letter_needs_the_network(letter: Callable[[], EmailMessage]) -> None:
    page = Page(parts(letter())[1])
    assert not {"script", "link", "a", "style", "iframe", "form"} & set(page.tags)
    sources = [value or "" for name, value in page.attributes if name in ("src", "href", "background")]
    assert all(source.startswith("cid:") for source in sources)
    assert not any("url(" in (value or "") for _, value in page.attributes)


def test_a_site_without_recent_dose_has_no_picture() -> None:
    publication = replace(PUBLICATION, days=(DayBalance(AS_OF, False, Balance()),), as_of=AS_OF)
    letter = digest(publication=publication)
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
    letter = digest(site=site, publication=publication, findings=findings)
    page = Page(parts(letter)[1])
    plain = Page(parts(digest(publication=publication))[1])
    assert page.tags == plain.tags
    assert f"Operator {operator}" in page.text
    assert path in page.text
    assert "\n" not in str(letter["Subject"])


@settings(max_examples=30, deadline=None)
@given(name=NAMES, sentence=NAMES)
def test_names_and_sentences_in_the_other_letters_are_text_too(name: str, sentence: str) -> None:
    quiet = replace(PERSONAL, procedures=())
    page = Page(parts(own(name=name, personal=quiet))[1])
    assert page.tags == Page(parts(own(personal=quiet))[1]).tags
    assert " ".join(name.split()) in page.text
    page = Page(parts(trouble("fr", "gate", sentence=sentence))[1])
    assert page.tags == Page(parts(trouble("fr", "gate"))[1]).tags


def test_markup_and_line_breaks_in_a_name_stay_harmless() -> None:
    name = 'A & B <script>alert("x")</script>\r\nBcc: thief@example.org'
    letter = digest(site=name)
    arrived = message_from_bytes(letter.as_bytes(), policy=SMTP)
    assert arrived["Bcc"] is None
    assert "script" not in Page(parts(letter)[1]).tags
    assert "A & B <script>" in Page(parts(letter)[1]).text


@pytest.mark.parametrize(
    ("language", "first"),
    [
        ("en", "The newest 3 files of rates were all refused: nothing of them is in the figures."),
        ("fr", "Les 3 derniers fichiers de rates ont tous été refusés\u00a0: rien n’en figure dans les chiffres."),
        ("es", "Los 3 archivos más recientes de rates fueron todos rechazados: nada de ellos está en las cifras."),
    ],
)
def test_the_letter_begins_with_a_source_whose_newest_files_were_all_refused(language: str, first: str) -> None:
    finding = replace(
        FINDING,
        rule="data_quality",
        audience="medical_physics",
        quantity="refused_source",
        step="refused_source/rates",
        detail="rates",
        value=3.0,
        message="in English",
    )
    letter = digest(language=language, publication=replace(PUBLICATION, findings=(finding,)))
    plain = letter.get_body(("plain",))
    assert plain is not None
    assert plain.get_content().splitlines()[0] == first
