"""The page of one procedure: why, when and from where its people got their dose, how sure that is, and how to answer.

Reading is in procedure_figures.py, drawing in procedure_charts.py; here the figures become sentences.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import duckdb

from orchestration.figures.digest import read_advice
from orchestration.letters.advice import advice_of
from orchestration.letters.finding_words import rule_name
from orchestration.pages import procedure_charts as charts
from orchestration.pages.cases import Person
from orchestration.pages.page import Frame, Page
from orchestration.pages.procedure_figures import (
    Event,
    ProcedureFigures,
    read_procedures,
    share_of,
)

UNUSUAL_RATIO = 1.5  # below it nothing needs a cause (contract, fct_dose_explanation)


def procedure_path(procedure_id: str) -> str:
    """Path of the page of a procedure in the folder of medical physics."""
    return f"procedures/{procedure_id}.html"


def procedures_with_page(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Read the procedures that have a page in this publication."""
    rows = connection.execute("select procedure_id from marts.dim_procedure_page order by procedure_id").fetchall()
    return [procedure_id for (procedure_id,) in rows]


def procedure_pages(
    connection: duckdb.DuckDBPyConnection, frame: Frame, procedure_ids: Sequence[str]
) -> Iterator[Page]:
    """Render the pages of procedures."""
    published = read_advice(connection)
    for figures in read_procedures(connection, procedure_ids):
        case = figures.case
        advised = [
            advice_of(finding.advice_code, case.procedure_type, published, frame.words, "advice")
            for finding in case.all_findings
        ]
        yield frame.page(
            procedure_path(case.procedure_id),
            "procedure.html.j2",
            figures=figures,
            case=case,
            main=figures.main,
            split=[person for person in case.people if person.factors],
            heading=heading(figures, frame),
            why=why(figures, frame),
            when=when(figures, frame),
            from_where=from_where(figures, frame),
            parts=parts(figures, frame),
            advice=list(dict.fromkeys(filter(None, advised))),
            hot={event.uid for event in main_events(figures)},
            charts=charts,
            rule_name=lambda rule: rule_name(rule, frame.words),
            name=lambda wearer: charts.wearer_name(wearer, frame),
        )


def heading(figures: ProcedureFigures, frame: Frame) -> str:
    """Answer what happened: the patient's dose if it is urgent, else the person's dose against usual."""
    case, main = figures.case, figures.main
    if case.findings and case.findings[0].severity == "urgent":
        return frame.say("procedure.heading.patient", ka_r=frame.gray(case.ka_r_mgy, 1))
    if main and main.ratio and main.ratio >= UNUSUAL_RATIO:
        return frame.say("procedure.heading.above", **_received(main, frame))
    if main and main.findings:
        values = {"name": frame.person(main.operator_id), "dose": frame.dose(main.hp10_usv)}
        return frame.say("procedure.heading.finding", **values, kind=frame.kind(main.findings[0]))
    return frame.say("procedure.heading.usual")


def why(figures: ProcedureFigures, frame: Frame) -> str:
    """Answer which factor explains the dose of the person whom the page is about."""
    main = figures.main
    if main is None or not main.factors:
        return frame.say("procedure.why.not_split")
    if (main.ratio or 0) < UNUSUAL_RATIO:
        return frame.say("procedure.why.usual", name=frame.person(main.operator_id))
    cause = frame.cause(main.main_cause)
    return frame.say("procedure.why.cause", name=frame.person(main.operator_id), cause=cause)


def main_events(figures: ProcedureFigures) -> list[Event]:
    """The events that gave the person whom the page is about most of the dose, in time."""
    main = figures.main
    return charts.top_events(figures.events, main.operator_id) if main else []


def when(figures: ProcedureFigures, frame: Frame) -> str:
    """Answer at which minutes the dose came."""
    main, events = figures.main, main_events(figures)
    if main is None or not events:
        return frame.say("procedure.when.unknown")
    given = sum(event.doses[main.operator_id] for event in events)
    return frame.say(
        "procedure.when.some",
        count=len(events),
        share=frame.share(given / figures.total(main.operator_id)),
        name=frame.person(main.operator_id),
        minutes=frame.number(round(sum(event.duration_s or 0 for event in events) / 60, 1)),
        events=", ".join(str(number) for number in sorted(event.number for event in events)),
    )


def from_where(figures: ProcedureFigures, frame: Frame) -> str:
    """Answer which beam direction gave the dose."""
    main = figures.main
    with_angles = [event for event in main_events(figures) if event.has_angles]
    if main is None or not with_angles:
        return frame.say("procedure.where.unknown")
    name = frame.person(main.operator_id)
    return frame.say("procedure.where.angle", angle=charts.angle(with_angles[0]), name=name)


def parts(figures: ProcedureFigures, frame: Frame) -> list[tuple[str, float | None]]:
    """Name what was given, and the share of it that acquisitions gave."""
    events = figures.events
    quantities = (
        ("procedure.split.time", [event.duration_s for event in events]),
        ("procedure.split.kap", [event.kap_gy_cm2 for event in events]),
        ("procedure.split.ka_r", [event.ka_r_mgy for event in events]),
    )
    shares = [(frame.say(key), share_of(values, events, fluoroscopy=False)) for key, values in quantities]
    named = [
        (charts.wearer_name(wearer, frame), figures.share(wearer, fluoroscopy=False)) for wearer in figures.wearers
    ]
    return [(name, share) for name, share in (*shares, *named) if share is not None]


def _received(person: Person, frame: Frame) -> dict[str, str]:
    return {
        "name": frame.person(person.operator_id),
        "dose": frame.dose(person.hp10_usv),
        "ratio": frame.factor(person.ratio),
        "cause": frame.cause(person.main_cause),
    }
