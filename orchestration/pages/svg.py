"""Charts as SVG in text: marks whose place and width are per cent, so that they stretch and their type does not.

Only ``rect``, ``line``, ``circle`` and ``text`` with classes of style.css: a chart follows the sheet in the dark and on
paper. Every chart has the numbers in its label. What a chart shows is decided by the page that draws it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape


@dataclass(frozen=True, slots=True)
class Scale:
    """Values of an axis as per cent of its width; what lies outside is drawn at the edge."""

    low: float
    high: float
    is_log: bool = False

    def at(self, value: float) -> float:
        """Place a value."""
        low, high, inside = self.low, self.high, min(max(value, self.low), self.high)
        if self.is_log:
            low, high, inside = math.log(low), math.log(high), math.log(inside)
        return 100 * (inside - low) / (high - low) if high > low else 0.0


# The scale of a factor: usual is in the middle.
FACTORS = Scale(1 / 16, 16, is_log=True)
AS_USUAL = (0.90, 1.11)


def chart(label: str, height: int, marks: Iterable[Markup], css: str = "chart") -> Markup:
    """Draw a chart that stretches to the width of its place; ``label`` holds its numbers."""
    return Markup('<svg class="{}" height="{}" role="img" aria-label="{}">{}</svg>').format(
        css, height, label, Markup("").join(marks)
    )


def decoration(height: int, marks: Iterable[Markup], css: str) -> Markup:
    """Draw a chart whose number is written beside it: screen readers pass it."""
    return Markup('<svg class="{}" height="{}" aria-hidden="true">{}</svg>').format(css, height, Markup("").join(marks))


def rect(x: float, width: float, y: float, height: float, css: str, title: str = "") -> Markup:
    """Draw a bar; ``x`` and ``width`` in per cent, ``y`` and ``height`` in px."""
    inside = f"<title>{escape(title)}</title>" if title else ""
    return Markup(  # noqa: S704  # numbers, our class, an escaped title
        f'<rect x="{x:.2f}%" width="{width:.2f}%" y="{y:g}" height="{height:g}" class="{css}">{inside}</rect>'
    )


def bar(scale: Scale, begin: float, end: float, y: float, height: float, css: str, title: str = "") -> Markup:
    """Draw a bar between two values."""
    low, high = sorted((scale.at(begin), scale.at(end)))
    return rect(low, high - low, y, height, css, title)


def line(x1: float, x2: float, y1: float, y2: float, css: str) -> Markup:
    """Draw a line; ``x`` in per cent, ``y`` in px."""
    return Markup(  # noqa: S704  # numbers and our class
        f'<line x1="{x1:.2f}%" x2="{x2:.2f}%" y1="{y1:g}" y2="{y2:g}" class="{css}"/>'
    )


def upright(scale: Scale, value: float, y1: float, y2: float, css: str) -> Markup:
    """Draw an upright line at a value."""
    return line(scale.at(value), scale.at(value), y1, y2, css)


def grid(scale: Scale, values: Sequence[float], height: float) -> list[Markup]:
    """Draw the lines of an axis at values."""
    return [upright(scale, value, 0, height, "l-grid") for value in values]


def circle(x: float, y: float, radius: float, css: str) -> Markup:
    """Draw a point; ``x`` in per cent, ``y`` and ``radius`` in px."""
    return Markup(f'<circle cx="{x:.2f}%" cy="{y:g}" r="{radius:g}" class="{css}"/>')  # noqa: S704


def text(x: float, y: float, words: str, css: str = "", dx: float = 0) -> Markup:
    """Write beside a mark; ``x`` in per cent, ``y`` and ``dx`` in px."""
    return Markup('<text x="{:.2f}%" y="{:g}" dx="{:g}" class="{}">{}</text>').format(x, y, dx, css, words)


def factor_bar(factor: float, is_main: bool) -> Markup:
    """Draw a factor as a bar from 1, on a scale from 1/16 to 16; the main cause is dark."""
    css = "m-own" if is_main else "m-grey"
    marks = (line(0, 100, 4, 4, "l-grid"), bar(FACTORS, 1, factor, 1, 6, css), line(50, 50, 0, 8, "l-one"))
    return decoration(8, marks, "mini")


def limit_bar(label: str, received: float | None, projected: float | None, steps: Sequence[float]) -> Markup:
    """Draw shares of a limit: received as a bar, projected as a dashed line to a ring; the limit at 1."""
    scale = Scale(0, max(1.3, 1.05 * (received or 0), 1.05 * (projected or 0)))
    marks = [upright(scale, step, 1, 17, "l-grid") for step in steps] + [upright(scale, 1, 1, 17, "l-one")]
    if received is not None:
        marks.append(bar(scale, 0, received, 5, 8, "m-own"))
    if projected is not None:
        marks.append(line(scale.at(received or 0), scale.at(projected), 9, 9, "l-proj"))
        marks.append(circle(scale.at(projected), 9, 3.5, "m-ring"))
    return chart(label, 18, marks, "row")


def interval(label: str, scale: Scale, value: float, low: float, high: float, css: str = "own") -> Markup:
    """Draw an estimate with its interval, and the line at 1 that it is compared with."""
    marks = [
        upright(scale, 1, 0, 18, "l-one"),
        line(scale.at(low), scale.at(high), 9, 9, f"l-{css}"),
        circle(scale.at(value), 9, 4, f"m-{css}"),
    ]
    return chart(label, 18, marks, "row")


def axis(scale: Scale, marks: Sequence[tuple[float, str]]) -> Markup:
    """Write the values of an axis below a column of charts."""
    return decoration(16, [text(scale.at(value), 12, words, _anchor(scale.at(value))) for value, words in marks], "row")


def _anchor(place: float) -> str:
    return "" if place < 4 else "e" if place > 96 else "c"


def parts_bar(label: str, parts: Sequence[float]) -> Markup:
    """Draw a whole as linked, shared out and not linked (each 0 to 1)."""
    marks, begin = [], 0.0
    for share, css in zip(parts, ("m-soft", "m-softc", "m-hot"), strict=True):
        marks.append(rect(100 * begin, 100 * share, 3, 12, css))
        begin += share
    return chart(label, 18, marks, "row")


def flow_bar(label: str, parts: Sequence[tuple[float, str]], goes_on: int) -> Markup:
    """Draw parts (share 0 to 1, colour) side by side, and below them a line where the next bar ends."""
    marks, begin = [], 0.0
    for place, (share, css) in enumerate(parts, start=1):
        marks.append(rect(100 * begin, 100 * share, 2, 20, css))
        begin += share
        if place == goes_on:
            marks.append(line(100 * begin, 100 * begin, 0, 26, "l-proj"))
    return chart(label, 26, marks)


def history(label: str, states: Sequence[bool | None]) -> Markup:
    """Draw whether something held as one cell each, the newest at the right; what did not hold is tall and coloured."""
    width = 100 / len(states)
    marks = [
        rect(place * width, 0.8 * width, 8, 4, "m-band")
        if held is None
        else rect(place * width, 0.8 * width, 7, 6, "m-softc")
        if held
        else rect(place * width, 0.8 * width, 2, 14, "m-rev")
        for place, held in enumerate(states)
    ]
    return chart(label, 18, marks, "row")


def split_bar(label: str, share: float, css: str = "m-acq", rest: str = "m-fluoro") -> Markup:
    """Draw a share (0 to 1) of a whole."""
    return chart(label, 18, (rect(0, 100, 3, 12, rest), rect(0, 100 * share, 3, 12, css)), "row")


def strip(
    label: str, scale: Scale, dots: Sequence[float], low: float, high: float, median: float | None = None
) -> Markup:
    """Draw values as dots over the band between two quartiles; a line at 1, and at the median where it may be read."""
    marks = [bar(scale, low, high, 1, 16, "m-band"), upright(scale, 1, 0, 18, "l-one")]
    marks += [circle(scale.at(value), 9, 3, "m-dot" if median is not None else "m-ring") for value in dots]
    if median is not None:
        marks.append(upright(scale, median, 2, 16, "l-own"))
    return chart(label, 18, marks, "row")


def direction(primary_deg: float, secondary_deg: float) -> Markup:
    """Draw where the beam came from on a map of 90° to each side: LAO to the right, cranial above."""
    side = Scale(-90, 90)
    marks = [
        line(0, 100, 16, 16, "l-grid"),
        line(50, 50, 0, 32, "l-grid"),
        circle(side.at(primary_deg), 32 - 0.32 * side.at(secondary_deg), 4, "m-acq"),
    ]
    return decoration(32, marks, "compass")


def months(
    label: str, scale: Scale, points: Sequence[tuple[float, float, float, bool]], limit: float | None = None
) -> Markup:
    """Draw a series of medians with their quartiles from left to right; grey where there are too few to compare.

    Args:
        label: the numbers, in words.
        scale: of the values, from the bottom to the top.
        points: first quartile, median, third quartile, and whether there are enough, of each period.
        limit: a value that is drawn as a dashed line.
    """
    height = 44

    def y(value: float) -> float:
        return height - 4 - (height - 8) * scale.at(value) / 100

    width = 100 / max(len(points), 1)
    marks = [line(0, 100, height - 4, height - 4, "l-grid")]
    for place, (q1, median, q3, is_enough) in enumerate(points):
        left = place * width
        marks.append(rect(left + 0.15 * width, 0.7 * width, y(q3), max(y(q1) - y(q3), 1), "m-band"))
        css = "l-own" if is_enough else "l-grey"
        marks.append(line(left + 0.15 * width, left + 0.85 * width, y(median), y(median), css))
    if limit is not None:
        marks.append(line(0, 100, y(limit), y(limit), "l-proj"))
    return chart(label, height, marks)


def two_bars(label: str, own: float, other: float) -> Markup:
    """Draw two shares (0 to 1) below each other: a person's above, what it is compared with below."""
    return chart(label, 18, (rect(0, 100 * own, 1, 8, "m-own"), rect(0, 100 * other, 10, 6, "m-fluoro")), "row")


def beside(label: str, scale: Scale, own: float, q1: float, median: float, q3: float) -> Markup:
    """Draw an own value over the quartiles of others."""
    marks = (
        bar(scale, q1, q3, 3, 12, "m-band"),
        upright(scale, median, 3, 15, "l-grey"),
        circle(scale.at(own), 9, 4, "m-own"),
    )
    return chart(label, 18, marks, "row")


def amount(scale: Scale, value: float | None) -> Markup:
    """Draw a value whose number is written beside it as a bar from the left edge; nothing where it is not known."""
    return decoration(18, () if value is None else (bar(scale, scale.low, value, 4, 10, "m-soft"),), "row")
