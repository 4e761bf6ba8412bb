"""The one picture of the digest: what became of the staff's registered dose, day by day, as PNG.

Only drawing lives here. Altair takes more than a second to import, so letters.py imports this module when it draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Literal

import altair as alt
import vl_convert

from orchestration.digest import DayBalance
from orchestration.wording import Wording

# Colours that stay apart for colour-blind readers and in greyscale.
COLOURS = {"linked": "#1f5f7a", "apportioned": "#8fc1d4", "unlinked": "#e08214"}
# Drawn narrow and with large type: on a telephone the picture is shown at two thirds of its size.
WIDTH_PX, HEIGHT_PX, SCALE = 480, 190, 2.5
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
            color=alt.Color(
                "kind:N",
                title=None,
                scale=alt.Scale(domain=list(names.values()), range=list(COLOURS.values())),
                legend=alt.Legend(orient="top", symbolType="square"),
            ),
            order="order:Q",
        )
        .configure(background="white", font="Liberation Sans")
        .configure_axis(labelFontSize=14, titleFontSize=14, labelColor="#333", titleColor="#333", gridColor="#e3e6ea")
        .configure_legend(labelFontSize=14, labelColor="#333", labelLimit=240)
        .configure_view(stroke=None)
    )
    locale = D3_LOCALES[words.locale.language]
    return vl_convert.vegalite_to_png(chart.to_dict(), scale=SCALE, format_locale=locale, time_format_locale=locale)
