"""The charts of a procedure's page: beam over time, running sums, the three factors as stairs, beam directions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import groupby

from markupsafe import Markup

from orchestration.pages.cases import Person
from orchestration.pages.page import Frame
from orchestration.pages.procedure_figures import BINS, C_ARM, Badge, Event, ProcedureFigures
from orchestration.pages.svg import Scale, bar, chart, circle, decoration, grid, line, rect, text, upright

BEAM_PX, SUM_PX, LINK_PX = 34, 64, 4
OVERLAP = 0.05  # per cent by which neighbours overlap, so that no hairline shows between them
LABELLED = 3  # events whose number and dose are written in a lane
LABEL_APART = 11  # per cent of the width that a label needs
LEAST_LABELLED = 0.08  # share of a badge's dose
TICK_STEPS_S = (10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)
MAP_WIDTH, MAP_HEIGHT = 220, 170
STEPS = (1, 2, 5)


def angle(event: Event) -> str:
    """Write the direction of a beam as clinicians do, e.g. LAO 22 CRA 20; AP where it is neither."""
    return angle_of(event.primary_deg, event.secondary_deg)


def angle_of(primary: float | None, secondary: float | None) -> str:
    """Write two angles of a C-arm; positive is left anterior oblique, and cranial."""
    if primary is None or secondary is None:
        return "–"
    sides = (("LAO" if primary > 0 else "RAO", primary), ("CRA" if secondary > 0 else "CAU", secondary))
    return " ".join(f"{name} {abs(value):.0f}" for name, value in sides if round(value)) or "AP"


def ticks(figures: ProcedureFigures, frame: Frame) -> list[tuple[float, str]]:
    """Place the times of the axis: at most eight, at round minutes of local time."""
    begin, end = frame.local(figures.begin), frame.local(figures.end)
    if begin is None or end is None:
        return []
    length = (end - begin).total_seconds()
    step = next((step for step in TICK_STEPS_S if length / step <= 8), TICK_STEPS_S[-1])
    midnight = datetime.combine(begin.date(), datetime.min.time(), begin.tzinfo)
    first = math.ceil((begin - midnight).total_seconds() / step)
    times = (midnight + timedelta(seconds=step * number) for number in range(first, first + 9))
    return [(figures.place(at), f"{at:%H:%M:%S}" if step < 60 else f"{at:%H:%M}") for at in times if at <= end]


def time_axis(figures: ProcedureFigures, frame: Frame) -> Markup:
    """Write the times below the lanes."""
    return decoration(16, [text(place, 12, words, _anchor(place)) for place, words in ticks(figures, frame)], "chart")


def beam_lane(figures: ProcedureFigures, frame: Frame, plane: str) -> Markup:
    """Draw the beam of one plane: fluoroscopy low, acquisitions tall."""
    events = [event for event in figures.events if event.plane == plane and event.started_at]
    label = frame.say(
        "procedure.beam.label",
        fluoroscopy=sum(event.is_fluoroscopy for event in events),
        acquisitions=sum(not event.is_fluoroscopy for event in events),
    )
    return chart(label, BEAM_PX, [*_time_grid(figures, frame, BEAM_PX), *(_beam(figures, frame, e) for e in events)])


def _beam(figures: ProcedureFigures, frame: Frame, event: Event) -> Markup:
    assert event.started_at  # noqa: S101  # for the type checker: the lane has timed events only
    begin = figures.on_badge_clock(event.started_at)
    place = figures.place(begin)
    width = figures.place(begin + timedelta(seconds=event.duration_s or 0.0)) - place
    title = f"{event.number}: {frame.clock(begin, seconds=True)}, {frame.number(event.duration_s)} s, {angle(event)}"
    height, css = (BEAM_PX / 2, "m-fluoro") if event.is_fluoroscopy else (BEAM_PX, "m-acq")
    return rect(place, max(width, 0.25), BEAM_PX - height, height, css, title)


def sum_lane(figures: ProcedureFigures, frame: Frame, badge: Badge) -> Markup:
    """Draw the running sum of one badge up to its total, with a strip below that is coloured by the link."""
    if not badge.bins:
        words = frame.say("procedure.sum.no_times")
        return chart(words, 22, [*_time_grid(figures, frame, 22), text(0, 15, words, dx=4)])
    total = sum(part.dose_usv for part in badge.bins)
    height = SUM_PX + LINK_PX
    area, strip = ("m-softc", "m-carm") if badge.wearer == C_ARM else ("m-soft", "m-own")
    marks = _time_grid(figures, frame, height)
    marks += [rect(at, width + OVERLAP, SUM_PX - top, top, area) for at, width, top in _areas(badge, total)]
    marks.append(line(0, 100, SUM_PX, SUM_PX, "l-axis"))
    for is_event, parts in groupby(_runs(badge), lambda part: part[2]):
        css = strip if is_event else "m-rev"
        marks += [rect(_percent(begin), _percent(end - begin), SUM_PX, LINK_PX, css) for begin, end, _ in parts]
    marks += _labels(figures, frame, badge, total)
    label = frame.say("procedure.sum.label", name=wearer_name(badge.wearer, frame), dose=frame.dose(total))
    return chart(label, height, marks)


def _areas(badge: Badge, total: float) -> Iterable[tuple[float, float, float]]:
    """Place, width (per cent) and height (px) of the running sum; bins of the same height are one."""
    sums, so_far, at = [], 0.0, 0
    for part in badge.bins:
        sums.append((at, part.place, so_far))
        so_far, at = so_far + part.dose_usv, part.place
    sums.append((at, BINS, so_far))
    scale = (SUM_PX - 14) / total if total else 0.0
    drawn = [(begin, end, round(2 * value * scale) / 2) for begin, end, value in sums if end > begin and value]
    for top, group in groupby(drawn, lambda row: row[2]):
        rows = list(group)
        if top:
            yield _percent(rows[0][0]), _percent(rows[-1][1] - rows[0][0]), top


def _runs(badge: Badge) -> Iterable[tuple[int, int, bool]]:
    """Bins with dose that follow each other and are linked alike."""
    begin, end, is_event = 0, 0, True
    for part in badge.bins:
        if part.place == end and part.is_event == is_event:
            end += 1
            continue
        if end > begin:
            yield begin, end, is_event
        begin, end, is_event = part.place, part.place + 1, part.is_event
    if end > begin:
        yield begin, end, is_event


def _labels(figures: ProcedureFigures, frame: Frame, badge: Badge, total: float) -> list[Markup]:
    """Write number and dose of the events that gave a badge most, where there is room."""
    marks: list[Markup] = []
    taken: list[float] = []
    for event in top_events(figures.events, badge.wearer):
        dose = event.doses[badge.wearer]
        if event.started_at is None or dose < LEAST_LABELLED * total:
            continue
        end = figures.on_badge_clock(event.started_at + timedelta(seconds=event.duration_s or 0.0))
        place = figures.place(end)
        if any(abs(place - other) < LABEL_APART for other in taken):
            continue
        taken.append(place)
        before = sum(part.dose_usv for part in badge.bins if part.place * 100 / BINS <= place)
        top = (SUM_PX - 14) * before / total if total else 0.0
        right = place < 1.5 * LABEL_APART
        words = f"{event.number}: +{frame.dose(dose)}"
        marks.append(text(place, max(10, SUM_PX - top - 4), words, "k" if right else "k e", dx=0 if right else -3))
    return marks


def top_events(events: Sequence[Event], wearer: str) -> list[Event]:
    """The events that gave a wearer most, at most three."""
    with_dose = [event for event in events if event.doses.get(wearer)]
    return sorted(with_dose, key=lambda event: -event.doses[wearer])[:LABELLED]


def wearer_name(wearer: str, frame: Frame) -> str:
    """Name a person, or the C-arm's badge."""
    return frame.person(wearer) if wearer else frame.say("procedure.c_arm")


def stair_scale(people: Sequence[Person]) -> tuple[Scale, list[float]]:
    """One scale for the stairs of all people, in µSv, with its round values."""
    values = [value for person in people for _, begin, end in stairs(person) for value in (begin, end)]
    low, high = 0.55 * min(values), 2.2 * max(values)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    rounds = [step * 10.0**decade for decade in decades for step in STEPS if low <= step * 10.0**decade <= high]
    return Scale(low, high, is_log=True), rounds if len(rounds) <= 8 else [
        value for value in rounds if _is_power(value)
    ]


def stairs(person: Person) -> list[tuple[str, float, float]]:
    """From the usual dose over the three factors to the dose received: name, value before and after, µSv."""
    steps, value = [], person.usual_usv or 0.0
    for name, factor in person.factors:
        steps.append((name, value, value * factor))
        value *= factor
    return steps


def stair(frame: Frame, scale: Scale, rounds: Sequence[float], name: str, begin: float, end: float) -> Markup:
    """Draw one factor from the value before to the value after it."""
    factor = end / begin
    words = f"× {frame.fixed(factor, 2)}"
    label = (
        f"{frame.say(f'frame.factors.{name}')}: × {frame.fixed(factor, 2)}, {frame.dose(begin)}–{frame.dose(end)} µSv"
    )
    css = "m-more" if factor > 1 else "m-less"
    left, right = sorted((scale.at(begin), scale.at(end)))
    marks = [*grid(scale, rounds, 34), bar(scale, begin, end, 10, 13, css), upright(scale, end, 10, 34, "l-one")]
    marks.append(text(left, 21, words, "k e", dx=-6) if right > 80 else text(right, 21, words, "k", dx=6))
    return chart(label, 34, marks)


def change(factor: float) -> str:
    """Say in which direction a factor differs from usual."""
    return "more" if factor > 1.11 else "less" if factor < 0.90 else "usual"


def usual_step(frame: Frame, scale: Scale, rounds: Sequence[float], person: Person) -> Markup:
    """Draw where the stairs begin."""
    usual = person.usual_usv or 0.0
    words = f"{frame.dose(usual)} µSv"
    marks = [
        *grid(scale, rounds, 34),
        upright(scale, usual, 6, 34, "l-med"),
        text(scale.at(usual), 20, words, "k", dx=6),
    ]
    return chart(words, 34, marks)


def received_step(frame: Frame, scale: Scale, rounds: Sequence[float], person: Person) -> Markup:
    """Draw from the usual dose to the dose received."""
    usual, received = person.usual_usv or 0.0, person.hp10_usv or 0.0
    words = f"{frame.dose(received)} µSv"
    place = scale.at(received)
    marks = [
        *grid(scale, rounds, 34),
        line(scale.at(usual), place, 16, 16, "l-own"),
        upright(scale, usual, 9, 23, "l-med"),
        circle(place, 16, 6, "m-own"),
        text(place, 33, words, "own e" if place > 90 else "own c"),
    ]
    return chart(words, 34, marks)


def stair_axis(frame: Frame, scale: Scale, rounds: Sequence[float]) -> Markup:
    """Write the values below the stairs."""
    return decoration(16, [text(scale.at(value), 12, frame.number(value), "c") for value in rounds], "chart")


def angle_map(
    label: str, points: Sequence[tuple[Event, float]], css: str, limit: float, cap: tuple[float, float] | None
) -> Markup:
    """Draw the beam direction of each event; the area of a circle is its share. ``cap``: 25° around the skin's peak."""

    def x(primary: float) -> float:
        return MAP_WIDTH / 2 + (MAP_WIDTH / 2 - 20) * primary / limit

    def y(secondary: float) -> float:
        return 80 - 70 * secondary / min(limit, 60)

    marks = [
        f'<line x1="20" x2="{MAP_WIDTH - 20}" y1="80" y2="80" class="l-grid"/>',
        f'<line x1="{MAP_WIDTH / 2:g}" x2="{MAP_WIDTH / 2:g}" y1="10" y2="150" class="l-grid"/>',
    ]
    if cap:
        rx, ry = (MAP_WIDTH / 2 - 20) * 25 / limit, 70 * 25 / min(limit, 60)
        marks.append(f'<ellipse cx="{x(cap[0]):.1f}" cy="{y(cap[1]):.1f}" rx="{rx:.1f}" ry="{ry:.1f}" class="m-cap"/>')
    most = max((value for _, value in points), default=0.0)
    for event, value in sorted(points, key=lambda point: -point[1]):
        radius = max(1.5, 17 * math.sqrt(value / most))
        place = f'cx="{x(event.primary_deg or 0):.1f}" cy="{y(max(-60, min(60, event.secondary_deg or 0))):.1f}"'
        marks.append(f'<circle {place} r="{radius:.1f}" class="{css}"/>')
    marks += [
        f'<text x="20" y="164">RAO {limit:g}</text><text x="{MAP_WIDTH / 2:g}" y="164" class="c">AP</text>',
        f'<text x="{MAP_WIDTH - 20}" y="164" class="e">LAO {limit:g}</text>',
        f'<text x="{MAP_WIDTH / 2 + 4:g}" y="14">CRA</text><text x="{MAP_WIDTH / 2 + 4:g}" y="149">CAU</text>',
    ]
    return Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        MAP_WIDTH,
        MAP_HEIGHT,
        label,
        Markup("".join(marks)),  # noqa: S704  # numbers and our classes
    )


def map_limit(events: Sequence[Event]) -> float:
    """Return the angle at the edge of the maps: 60°, or as many steps of 30° as the steepest beam needs."""
    widest = max((abs(event.primary_deg or 0.0) for event in events), default=0.0)
    return min(180.0, max(60.0, 30.0 * math.ceil(widest / 30)))


def _time_grid(figures: ProcedureFigures, frame: Frame, height: int) -> list[Markup]:
    return [line(place, place, 0, height, "l-grid") for place, _ in ticks(figures, frame)]


def _percent(bins: float) -> float:
    return 100 * bins / BINS


def _anchor(place: float) -> str:
    return "" if place < 3 else "e" if place > 97 else "c"


def _is_power(value: float) -> bool:
    return math.isclose(math.log10(value) % 1, 0, abs_tol=1e-9) or math.isclose(math.log10(value) % 1, 1, abs_tol=1e-9)


def weighted(events: Sequence[Event], wearer: str | None) -> list[tuple[Event, float]]:
    """Pair events with the dose that each gave a wearer; without a wearer with the patient's air kerma, mGy."""
    values = [(event, event.ka_r_mgy if wearer is None else event.doses.get(wearer)) for event in events]
    return [(event, value) for event, value in values if value]
