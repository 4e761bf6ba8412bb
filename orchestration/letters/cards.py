"""Findings in the order in which they are read: one card a procedure, an operator, or a kind of fault in the data.

Pure wording and grouping; what a single finding says is in finding_words.py.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace

from ingest.site.reference import ALERT_ID_CHARACTERS
from orchestration.figures.open_findings import Finding
from orchestration.figures.procedures import Details, OwnDose, Procedure, SkinFollowup
from orchestration.figures.wording import NO_BREAK_SPACE, Wording
from orchestration.letters.dose_range import MSV_STEP, range_text
from orchestration.letters.finding_words import (
    PROJECTED,
    SEVERITIES,
    SEVERITY_COLOURS,
    Advise,
    explanation,
    finding_text,
    in_msv,
    kind_name,
    limit_name,
    limit_remarks,
    received_share,
    rule_name,
    short_rule_name,
)

# Sections of the digest in the order in which they are read, and the rules that each has. A rule that is in none is a
# habit if it is about an operator, else a matter of the data.
PATIENTS, LIMITS, HABITS, DATA = SECTIONS = ("patients", "limits", "habits", "data")
SECTION_OF_RULE = {
    "patient_dose": PATIENTS,
    "dose_limit": LIMITS,
    "monthly_dose": LIMITS,
    "reference_level": HABITS,
    "data_quality": DATA,
}

# Findings that name the procedure at which they fired, and are about the ones before it.
OF_SEVERAL_PROCEDURES = frozenset({"persistent"})
# Rules whose name says less than the explanation of the quantity.
OF_MANY_KINDS = frozenset({"data_quality"})


@dataclass(frozen=True, slots=True)
class Line:
    """One finding, or one procedure with its findings, in one line; ``more`` and ``quoted`` are below it."""

    text: str
    more: str = ""
    quoted: str | None = None
    identifier: str = ""


@dataclass(frozen=True, slots=True)
class Card:
    """What belongs together: a title, facts that all its lines share, its lines and one advice."""

    severity_word: str
    colour: str
    title: str
    lines: tuple[Line, ...]
    advice: str
    facts: tuple[str, ...] = ()
    left_out: int = 0
    identifier: str = ""


def section_of(finding: Finding) -> str:
    """The section of the digest that a finding is in."""
    return SECTION_OF_RULE.get(finding.rule, HABITS if finding.operator_id else DATA)


def is_of_one_procedure(finding: Finding) -> bool:
    """Tell whether a finding is about a single procedure."""
    return finding.procedure_id is not None and finding.rule not in OF_SEVERAL_PROCEDURES


def gravest_first(findings: Iterable[Finding]) -> list[Finding]:
    """Order findings: by severity, then by how far they are above their threshold."""
    return sorted(findings, key=lambda finding: (SEVERITIES.index(finding.severity), -_excess(finding)))


def grouped(findings: Sequence[Finding], key: Callable[[Finding], Hashable]) -> list[list[Finding]]:
    """Group findings; the group with the gravest one first, among equals the one with more findings."""
    groups: dict[Hashable, list[Finding]] = {}
    for finding in gravest_first(findings):
        groups.setdefault(key(finding), []).append(finding)
    return sorted(groups.values(), key=lambda group: (SEVERITIES.index(group[0].severity), -len(group)))


def patient_card(findings: Sequence[Finding], details: Details, words: Wording, advise: Advise) -> Card:
    """A procedure for the physicist: what the RIS finds it by, what the patient received, each finding in a line."""
    first = findings[0]
    procedure = details.procedures.get(first.procedure_id or "")
    title = ", ".join((place(first, procedure, words), *_accession(procedure, words)))
    lines = tuple(finding_line(finding, words) for finding in findings)
    card = _card(findings, words, title, lines, advise(first))
    identifier = f"procedure:{first.procedure_id}" if procedure else ""
    facts = (*patient_facts(procedure, words), *followup_facts(details.followups.get(first.procedure_id or ""), words))
    return replace(card, facts=facts, identifier=identifier)


def own_card(findings: Sequence[Finding], details: Details, words: Wording, advise: Advise) -> Card:
    """A procedure for the operator: when, where, the own dose and what explains it, each finding in a line."""
    first = findings[0]
    procedure = details.procedures.get(first.procedure_id or "")
    own = details.doses.get((first.procedure_id or "", first.operator_id or ""))
    lines = tuple(finding_line(finding, words) for finding in findings)
    card = _card(findings, words, place(first, procedure, words), lines, advise(first))
    return replace(card, facts=(*dose_facts(own, procedure, words), *(_factors(own, words) if own else ())))


def operator_card(
    findings: Sequence[Finding], details: Details, words: Wording, advise: Advise, most_lines: int
) -> Card:
    """An operator: how many procedures have a finding of which kind, the gravest of them in a line each."""
    of_procedures = grouped([f for f in findings if is_of_one_procedure(f)], lambda f: f.procedure_id)
    of_limits = grouped([finding for finding in findings if finding.limit], _limit)
    lines = [limit_line(group, words) for group in of_limits]
    lines += [finding_line(f, words) for f in findings if not f.limit and not is_of_one_procedure(f)]
    lines += [procedure_line(group, details, words) for group in of_procedures]
    title = words.say("where.operator", value=findings[0].operator_id)
    card = _card(findings, words, title, tuple(lines[:most_lines]), _commonest_advice(findings, advise))
    facts = (_counted(of_procedures, words),) if of_procedures else ()
    return replace(card, facts=facts, left_out=len(lines[most_lines:]))


def kind_card(findings: Sequence[Finding], words: Wording, advise: Advise, most_lines: int) -> Card:
    """A kind of finding: what was found, each place in a line."""
    first = findings[0]
    of_limits = grouped([finding for finding in findings if finding.limit], _limit)
    lines = [limit_line(group, words, names_dose=False) for group in of_limits]
    lines += [finding_line(finding, words, says_kind=False) for finding in findings if not finding.limit]
    title, explained = rule_name(first.rule, words), explanation(first, words)
    if first.rule in OF_MANY_KINDS and explained:
        title, explained = explained, ""
    card = _card(findings, words, title, tuple(lines[:most_lines]), _commonest_advice(findings, advise))
    return replace(card, facts=(explained,) if explained else (), left_out=len(lines[most_lines:]))


def advice_once(cards: Iterable[Card], words: Wording) -> tuple[Card, ...]:
    """Write each advice out in the first card that has it; the others name that card."""
    first: dict[str, str] = {}
    made = []
    for card in cards:
        title = first.setdefault(card.advice, card.title)
        is_repeated = card.advice and title != card.title
        made.append(replace(card, advice=words.say("findings.as_for", title=title)) if is_repeated else card)
    return tuple(made)


def finding_line(finding: Finding, words: Wording, *, says_kind: bool = True) -> Line:
    """One finding in one line: its kind or, where its card says that, its place; value and threshold."""
    text = finding_text(finding, words, names_operator=False)
    head = kind_name(finding, words) if says_kind else ", ".join(text.where) or words.say("where.site")
    return Line(
        words.say("line.finding", head=head, value=text.value, threshold=text.threshold),
        text.sentence,
        text.quoted,
        finding.alert_id[:ALERT_ID_CHARACTERS],
    )


def limit_line(findings: Sequence[Finding], words: Wording, *, names_dose: bool = True) -> Line:
    """The findings about one limit in one line: what was received, what is projected, each with its threshold.

    Args:
        findings: about the same limit of the same operator.
        words: the reader's language.
        names_dose: name dose, limit and dates, too; not beside a table that has them.
    """
    limit = findings[0].limit
    assert limit is not None  # noqa: S101  # for the type checker: the findings are about a limit
    received = received_share(limit, words)
    if names_dose:
        received = words.say(
            "line.received",
            dose=range_text(limit.dose_msv, limit.high_msv, words, "mSv", MSV_STEP),
            limit=in_msv(limit.limit_msv, words),
            begin=words.day(limit.window_begin),
            end=words.day(limit.window_end),
            share=received,
        )
    projected = []
    for finding in findings:
        text = finding_text(finding, words)
        if finding.detail == PROJECTED:
            value = words.say("line.projected", share=text.value)
            projected.append(words.say("line.judged", value=value, threshold=text.threshold))
        else:
            received = words.say("line.judged", value=received, threshold=text.threshold)
    return Line(
        words.say("line.pair", label=limit_name(limit, words), value="; ".join((received, *projected))),
        " ".join(limit_remarks(limit, words)),
        identifier=", ".join(finding.alert_id[:ALERT_ID_CHARACTERS] for finding in findings),
    )


def _limit(finding: Finding) -> Hashable:
    """What tells the limits of one operator apart."""
    return finding.limit and (finding.operator_id, finding.limit.quantity, finding.limit.limit_rule)


def procedure_line(findings: Sequence[Finding], details: Details, words: Wording) -> Line:
    """All findings about one operator in one procedure in one line."""
    first = findings[0]
    procedure = details.procedures.get(first.procedure_id or "")
    own = details.doses.get((first.procedure_id or "", first.operator_id or ""))
    judged = [
        words.say("line.finding", head=short_rule_name(finding.rule, words), value=text.value, threshold=text.threshold)
        for finding in findings
        for text in (finding_text(finding, words),)
    ]
    compared = () if own is None else tuple(_compared(own, words))
    return Line(
        f"{place(first, procedure, words)}: {'; '.join([*judged, *compared])}",
        identifier=f"procedure:{first.procedure_id}",
    )


def open_line(finding: Finding, details: Details, words: Wording) -> Line:
    """An urgent finding in one line, with the follow-up of the patient's skin."""
    procedure = details.procedures.get(finding.procedure_id or "") if section_of(finding) == PATIENTS else None
    text = finding_text(finding, words)
    where = (place(finding, procedure, words), *_accession(procedure, words)) if procedure else text.where
    head = ", ".join((*where, kind_name(finding, words)))
    said = words.say("line.finding", head=head, value=text.value, threshold=text.threshold)
    followup = details.followups.get(finding.procedure_id or "") if procedure else None
    said = "; ".join((said, *followup_facts(followup, words)))
    return Line(said, text.sentence, identifier=finding.alert_id[:ALERT_ID_CHARACTERS])


def place(finding: Finding, procedure: Procedure | None, words: Wording) -> str:
    """Name a procedure by its class, local begin and room; a finding about none by what it names itself."""
    if procedure is None:
        return ", ".join(finding_text(finding, words, names_operator=False).where)
    begin = words.day(procedure.day)
    if procedure.started_at:
        begin = words.say(
            "line.begin", day=words.day(procedure.started_at.date()), time=words.time(procedure.started_at)
        )
    return ", ".join(
        (words.class_name(procedure.procedure_type), begin, words.say("where.room", value=procedure.room_id))
    )


def _accession(procedure: Procedure | None, words: Wording) -> tuple[str, ...]:
    """What the RIS finds the procedure by."""
    if procedure is None or not procedure.accession_number:
        return ()
    return (words.say("where.accession", value=procedure.accession_number),)


def patient_facts(procedure: Procedure | None, words: Wording) -> tuple[str, ...]:
    """What the patient received."""
    if procedure is None:
        return ()
    figures = {"ka_r": procedure.ka_r_mgy, "kap": procedure.kap_gy_cm2, "fluoro_time": procedure.fluoro_time_s}
    return tuple(
        words.say(f"facts.{name}", value=words.number(value / 60 if name == "fluoro_time" else value))
        for name, value in figures.items()
        if value is not None
    )


def followup_facts(followup: SkinFollowup | None, words: Wording) -> tuple[str, ...]:
    """What is done for the patient's skin, and what is to be done by which day."""
    if followup is None or followup.state == "not_needed":
        return ()
    done = {"second": followup.second_seen_on, "seen": followup.seen_on, "informed": followup.informed_on}
    latest = next((words.say(f"skin.{name}", day=words.day(day)) for name, day in done.items() if day), None)
    to_do = None
    if followup.due_on:
        need = "second" if followup.seen_on else ("inform" if followup.need == "inform" else "examine")
        key = f"skin.overdue.{need}" if followup.state == "overdue" else f"skin.due.{need}"
        to_do = words.say(key, day=words.day(followup.due_on))
    return tuple(filter(None, (latest, to_do)))


def dose_facts(own: OwnDose | None, procedure: Procedure | None, words: Wording) -> tuple[str, ...]:
    """What the operator received, how much that is against what is usual, and what explains it."""
    figures = {
        "own": own.hp10_usv if own else None,
        "c_arm": own.c_arm_dose_usv if own else None,
        "kap": procedure.kap_gy_cm2 if procedure else None,
    }
    known = [
        words.say(f"facts.{name}", value=words.number(value)) for name, value in figures.items() if value is not None
    ]
    return (*known, *(_compared(own, words) if own else ()))


def _compared(own: OwnDose, words: Wording) -> Iterable[str]:
    """«2.3 times usual, mostly less protection»: of a single procedure nothing is called avoidable."""
    if own.hp10_ratio is not None:
        ratio = words.number(own.hp10_ratio, 2)
        key = {None: "ratio", "none": "ratio", "mixed": "ratio_mixed"}.get(own.main_cause, "ratio_and_cause")
        yield words.say(f"facts.{key}", ratio=ratio, cause=words.say(f"causes.{own.main_cause or 'none'}"))


def _factors(own: OwnDose, words: Wording) -> Iterable[str]:
    """The three factors whose product the ratio is, so that a high dose per KAP of a small dose is no contradiction."""
    if own.kap_factor is not None and own.scatter_factor is not None and own.protection_factor is not None:
        factors = {"kap": own.kap_factor, "scatter": own.scatter_factor, "share": own.protection_factor}
        yield words.say("facts.factors", **{name: words.number(value, 2) for name, value in factors.items()})


def _counted(of_procedures: Sequence[Sequence[Finding]], words: Wording) -> str:
    """How many procedures have a finding, and of which kinds."""
    kinds: dict[str, int] = {}
    for procedure in of_procedures:
        for rule in dict.fromkeys(finding.rule for finding in procedure):
            kinds[rule] = kinds.get(rule, 0) + 1
    ordered = sorted(kinds, key=lambda rule: (-kinds[rule], rule))
    named = ", ".join(f"{short_rule_name(rule, words)}{NO_BREAK_SPACE}{words.number(kinds[rule])}" for rule in ordered)
    return words.say("line.procedures", count=len(of_procedures), kinds=named)


def _commonest_advice(findings: Sequence[Finding], advise: Advise) -> str:
    """The advice that most of these findings have, of equally many the gravest's."""
    sentences = [sentence for finding in findings if (sentence := advise(finding))]
    return max(sentences, key=sentences.count) if sentences else ""


def _card(findings: Sequence[Finding], words: Wording, title: str, lines: tuple[Line, ...], advice: str) -> Card:
    severity = findings[0].severity
    return Card(words.say(f"severity.{severity}"), SEVERITY_COLOURS[severity], title, lines, advice)


def _excess(finding: Finding) -> float:
    """A finding's value in thresholds."""
    if finding.value is None or not finding.threshold:
        return 0.0
    return finding.value / finding.threshold
