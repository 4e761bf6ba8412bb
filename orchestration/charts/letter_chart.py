"""The pictures of the letters, as PNG: the staff's dose by day, and an operator's procedures beside their class.

Only drawing lives here: plain Vega-Lite specifications, drawn by vl-convert.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any, Literal

import vl_convert

from orchestration.figures.digest import DayBalance
from orchestration.figures.operator import Personal
from orchestration.figures.wording import Wording

# Colours that stay apart for colour-blind readers and in greyscale.
COLOURS = {"linked": "#1f5f7a", "apportioned": "#8fc1d4", "unlinked": "#e08214"}
OWN_COLOUR, CLASS_COLOUR, MEDIAN_COLOUR = "#e08214", "#c9dbe3", "#14323f"
# Drawn narrow and with large type: on a telephone the picture is shown at two thirds of its size.
WIDTH_PX, HEIGHT_PX, SCALE = 480, 190, 2.5
CLASSES_DRAWN, CLASS_HEIGHT_PX = 10, 30
Spec = dict[str, Any]  # a part of a Vega-Lite specification
CONFIG: Spec = {
    "background": "white",
    "font": "Liberation Sans",
    "axis": {
        "labelFontSize": 14,
        "titleFontSize": 14,
        "labelColor": "#333",
        "titleColor": "#333",
        "gridColor": "#e3e6ea",
    },
    "legend": {"labelFontSize": 14, "labelColor": "#333", "labelLimit": 420},
    "view": {"stroke": None},
}
# Names of the number and date formats that the renderer brings along.
D3_LOCALES: dict[str, Literal["en-GB", "fr-FR", "es-ES"]] = {"en": "en-GB", "fr": "fr-FR", "es": "es-ES"}


def dose_by_day_png(days: Sequence[DayBalance], window: tuple[date, date], words: Wording) -> bytes:
    """Draw stacked bars of dose per day (microsievert) from the first to the last date of the window."""
    names = {kind: words.say(f"balance.{kind}") for kind in COLOURS}
    rows = [
        {"day": day.day.isoformat(), "kind": name, "order": order, "usv": float(getattr(day.balance, f"{kind}_usv"))}
        for day in days
        for order, (kind, name) in enumerate(names.items())
    ]
    first, last = window
    chart: Spec = {
        "data": {"values": rows},
        "width": WIDTH_PX - 60,
        "height": HEIGHT_PX,
        "mark": "bar",
        "encoding": {
            "x": {
                "field": "day",
                "type": "temporal",
                "timeUnit": "utcyearmonthdate",
                "title": None,
                # Dates are drawn in UTC: in the machine's zone they could fall on the day before.
                "scale": {"type": "utc", "domain": [first.isoformat(), (last + timedelta(days=1)).isoformat()]},
                "axis": {"format": "%-d %b", "tickCount": 6, "grid": False},
            },
            "y": {
                "field": "usv",
                "type": "quantitative",
                "title": "µSv",
                "axis": {"tickCount": 4, "titleAngle": 0, "titleAlign": "right", "titleY": -8},
            },
            "color": _colours(dict(zip(names.values(), COLOURS.values(), strict=True))),
            "order": {"field": "order", "type": "quantitative"},
        },
    }
    return _png(chart, words)


def own_procedures_png(personal: Personal, words: Wording) -> bytes:
    """Draw an operator's procedures (Hp(10), microsievert) as points over the middle half and median of their classes.

    The scale is a square root: it shows small doses and has room for 0.
    """
    own, others = words.say("own.chart_own"), words.say("own.chart_class")
    points = [
        {"class": words.class_name(row.procedure_type, row.role_group), "usv": row.hp10_usv, "kind": own}
        for row in personal.procedures
    ]
    counts = Counter(str(point["class"]) for point in points)
    drawn = [name for name, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:CLASSES_DRAWN]]
    points = [point for point in points if point["class"] in drawn]
    bands = [
        {"class": name, "q1": row.q1_usv, "q3": row.q3_usv, "median": row.median_usv, "kind": others}
        for row in personal.classes
        if (name := words.class_name(row.procedure_type, row.role_group)) in drawn
    ]
    colours = _colours(({others: CLASS_COLOUR} if bands else {}) | {own: OWN_COLOUR})
    classes = {
        "field": "class",
        "type": "nominal",
        "title": None,
        "sort": drawn,
        "axis": {"domain": False, "ticks": False, "labelPadding": 12, "labelLimit": 320},
    }

    def dose(field: str) -> Spec:
        return {
            "field": field,
            "type": "quantitative",
            "title": "µSv",
            "scale": {"type": "sqrt"},
            "axis": {
                "tickCount": 5,
                "titleAlign": "right",
                "titleAnchor": "end",
                "labelOverlap": True,
                "labelSeparation": 6,
            },
        }

    middle_half = {"x": dose("q1"), "x2": {"field": "q3"}, "y": classes, "color": colours}
    chart: Spec = {
        "width": WIDTH_PX - 170,
        "height": CLASS_HEIGHT_PX * len(drawn),
        "layer": [
            {"data": {"values": bands}, "mark": {"type": "bar", "size": 16}, "encoding": middle_half},
            {
                "data": {"values": bands},
                "mark": {"type": "tick", "size": 18, "thickness": 3, "color": MEDIAN_COLOUR},
                "encoding": {"x": dose("median"), "y": classes},
            },
            {
                "data": {"values": points},
                "mark": {"type": "circle", "size": 70, "opacity": 0.75},
                "encoding": {"x": dose("usv"), "y": classes, "color": colours},
            },
        ],
    }
    return _png(chart, words)


def _colours(of_names: dict[str, str]) -> Spec:
    return {
        "field": "kind",
        "type": "nominal",
        "title": None,
        "scale": {"domain": list(of_names), "range": list(of_names.values())},
        "legend": {"orient": "top", "symbolType": "square", "symbolOpacity": 1},
    }


def _png(chart: Spec, words: Wording) -> bytes:
    locale = D3_LOCALES[words.locale.language]
    return vl_convert.vegalite_to_png(
        chart | {"config": CONFIG}, scale=SCALE, format_locale=locale, time_format_locale=locale
    )
