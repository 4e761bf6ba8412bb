"""The pictures of the letters, as PNG: the staff's dose by day, and an operator's procedures beside their class.

Only drawing lives here. Altair takes more than a second to import, so letters import this module when they draw.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any, Literal

import altair as alt
import vl_convert

from orchestration.digest import DayBalance
from orchestration.personal import Personal
from orchestration.wording import Wording

# Colours that stay apart for colour-blind readers and in greyscale.
COLOURS = {"linked": "#1f5f7a", "apportioned": "#8fc1d4", "unlinked": "#e08214"}
OWN_COLOUR, CLASS_COLOUR, MEDIAN_COLOUR = "#e08214", "#c9dbe3", "#14323f"
# Drawn narrow and with large type: on a telephone the picture is shown at two thirds of its size.
WIDTH_PX, HEIGHT_PX, SCALE = 480, 190, 2.5
CLASSES_DRAWN, CLASS_HEIGHT_PX = 10, 30
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
    # Dates are drawn in UTC: in the machine's zone they could fall on the day before.
    first, last = window
    day_scale = alt.Scale(type="utc", domain=[first.isoformat(), (last + timedelta(days=1)).isoformat()])
    day_axis = alt.Axis(format="%-d %b", tickCount=6, grid=False)
    chart = (
        alt.Chart(alt.InlineData(values=rows), width=WIDTH_PX - 60, height=HEIGHT_PX)
        .mark_bar()
        .encode(
            x=alt.X("day:T", timeUnit="utcyearmonthdate", title=None, scale=day_scale, axis=day_axis),
            y=alt.Y("usv:Q", title="µSv", axis=alt.Axis(tickCount=4, titleAngle=0, titleAlign="right", titleY=-8)),
            color=_colours(dict(zip(names.values(), COLOURS.values(), strict=True))),
            order="order:Q",
        )
    )
    return _png(chart, words)


def own_procedures_png(personal: Personal, words: Wording) -> bytes:
    """Draw an operator's procedures (Hp(10), microsievert) as points over the middle half and median of their classes.

    The scale is a square root: it shows small doses and has room for 0.
    """
    counts = Counter(procedure.procedure_type for procedure in personal.procedures)
    drawn = [name for name, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:CLASSES_DRAWN]]
    own, others = words.say("own.chart_own"), words.say("own.chart_class")
    points = [
        {"class": procedure.procedure_type, "usv": procedure.hp10_usv, "kind": own}
        for procedure in personal.procedures
        if procedure.procedure_type in drawn
    ]
    bands = [
        {"class": row.procedure_type, "q1": row.q1_usv, "q3": row.q3_usv, "median": row.median_usv, "kind": others}
        for row in personal.classes
        if row.procedure_type in drawn
    ]
    colours = _colours(({others: CLASS_COLOUR} if bands else {}) | {own: OWN_COLOUR})
    classes = alt.Y(
        "class:N", title=None, sort=drawn, axis=alt.Axis(domain=False, ticks=False, labelPadding=12, labelLimit=160)
    )
    dose_axis = alt.Axis(tickCount=5, titleAlign="right", titleAnchor="end", labelOverlap=True, labelSeparation=6)

    def dose(field: str) -> alt.X:
        return alt.X(field, title="µSv", scale=alt.Scale(type="sqrt"), axis=dose_axis)

    classes_of = alt.Chart(alt.InlineData(values=bands))
    chart = alt.layer(
        classes_of.mark_bar(size=16).encode(x=dose("q1:Q"), x2="q3:Q", y=classes, color=colours),
        classes_of.mark_tick(size=18, thickness=3, color=MEDIAN_COLOUR).encode(x=dose("median:Q"), y=classes),
        alt.Chart(alt.InlineData(values=points))
        .mark_circle(size=70, opacity=0.75)
        .encode(x=dose("usv:Q"), y=classes, color=colours),
    ).properties(width=WIDTH_PX - 140, height=CLASS_HEIGHT_PX * len(drawn))
    return _png(chart, words)


def _colours(of_names: dict[str, str]) -> alt.Color:
    return alt.Color(
        "kind:N",
        title=None,
        scale=alt.Scale(domain=list(of_names), range=list(of_names.values())),
        legend=alt.Legend(orient="top", symbolType="square", symbolOpacity=1),
    )


def _png(chart: Any, words: Wording) -> bytes:  # noqa: ANN401 - a chart, or a layer of charts
    styled = (
        chart.configure(background="white", font="Liberation Sans")
        .configure_axis(labelFontSize=14, titleFontSize=14, labelColor="#333", titleColor="#333", gridColor="#e3e6ea")
        .configure_legend(labelFontSize=14, labelColor="#333", labelLimit=240)
        .configure_view(stroke=None)
    )
    locale = D3_LOCALES[words.locale.language]
    return vl_convert.vegalite_to_png(styled.to_dict(), scale=SCALE, format_locale=locale, time_format_locale=locale)
