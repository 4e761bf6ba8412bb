"""The night in three pictures, as PNG: what became of the dose by day, clock offsets by room, open findings by rule.

Only asking the build database and drawing live here. Altair takes more than a second to import: importers import this
when they draw.
"""

from __future__ import annotations

from collections.abc import Callable

import altair as alt
import duckdb
import vl_convert

from expectations.contract import TABLES
from orchestration.day_chart import PALETTE

WIDTH_PX, HEIGHT_PX, DAYS = 640, 190, 60
# Colours that stay apart for colour-blind readers and in greyscale.
DOSE_COLOURS = {"linked": "#1f5f7a", "apportioned": "#8fc1d4", "unlinked": "#e08214"}
SEVERITY_COLOURS = {"urgent": "#a5121b", "review": "#e08214", "notice": "#9aa7b5"}

# A source has one layout: one with passive rows has nothing else, and is in no linkage rate (contract, "ledger").
LINKAGE = f"""
select
    measured_date::varchar as day,
    sum(linked_event_usv + linked_window_usv + linked_session_usv + linked_vendor_usv)::double as linked,
    sum(apportioned_usv)::double as apportioned,
    sum(unlinked_usv)::double as unlinked
from ledger.dose_balance
where
    quantity = 'hp10'
    and source_id not in (select source_id from ledger.unlinked_dose where reason = 'passive_period')
group by measured_date
qualify row_number() over (order by measured_date desc) <= {DAYS}
order by measured_date
"""
OFFSETS = f"""
select room_id as room, offset_date::varchar as day, offset_s::double as offset_s, replace(method, '_', ' ') as method
from ledger.clock_offset
where offset_s is not null
qualify dense_rank() over (order by offset_date desc) <= {DAYS}
order by offset_date, room_id
"""
FINDINGS = f"""
select rule, severity, count(*) as findings
from alerts.alert
where state = 'open' and not ({TABLES["alerts.alert"].restricted})
group by rule, severity
order by rule, severity
"""


def linkage_png(con: duckdb.DuckDBPyConnection) -> bytes:
    """Hp(10) of electronic badges by day of measurement, µSv: linked, apportioned, unlinked; the last days with any."""
    rows = [
        {"day": day, "kind": kind, "order": order, "usv": usv}
        for day, *doses in con.execute(LINKAGE).fetchall()
        for order, (kind, usv) in enumerate(zip(DOSE_COLOURS, doses, strict=True))
    ]
    bars = (
        _chart(rows)
        .mark_bar()
        .encode(
            x=_days(),
            y=alt.Y("usv:Q", title="Hp(10), µSv"),
            color=_colours("kind:N", DOSE_COLOURS),
            order="order:Q",
        )
    )
    return _png(bars, "Dose of electronic badges by day, staff and C-arms")


def offsets_png(con: duckdb.DuckDBPyConnection) -> bytes:
    """Offset in force by room and day, s: dosimeter clock minus modality clock; days without one have no point."""
    rows = [
        {"room": room, "day": day, "offset_s": offset_s, "method": method}
        for room, day, offset_s, method in con.execute(OFFSETS).fetchall()
    ]
    points = (
        _chart(rows)
        .mark_point(filled=True, size=45)
        .encode(
            x=_days(),
            y=alt.Y("offset_s:Q", title="offset, s"),
            color=alt.Color(
                "room:N", title=None, scale=alt.Scale(range=list(PALETTE)), legend=alt.Legend(orient="top")
            ),
            shape=alt.Shape("method:N", title=None, legend=alt.Legend(orient="top")),
        )
    )
    return _png(points, "Dosimeter clock minus modality clock by room and day")


def findings_png(con: duckdb.DuckDBPyConnection) -> bytes:
    """Number of open findings by rule and severity; none of the restricted audience."""
    rows = [
        {"rule": rule, "severity": severity, "findings": findings, "order": list(SEVERITY_COLOURS).index(severity)}
        for rule, severity, findings in con.execute(FINDINGS).fetchall()
    ]
    bars = (
        _chart(rows)
        .mark_bar()
        .encode(
            y=alt.Y("rule:N", title=None, sort="-x"),
            x=alt.X("findings:Q", title="open findings", axis=alt.Axis(tickMinStep=1)),
            color=_colours("severity:N", SEVERITY_COLOURS),
            order="order:Q",
        )
    )
    return _png(bars, "Open findings by rule and severity")


CHARTS: dict[str, Callable[[duckdb.DuckDBPyConnection], bytes]] = {
    "linkage by day": linkage_png,
    "clock offsets": offsets_png,
    "open findings": findings_png,
}


def _chart(rows: list[dict[str, object]]) -> alt.Chart:
    return alt.Chart(alt.InlineData(values=rows), width=WIDTH_PX, height=HEIGHT_PX)


def _days() -> alt.X:
    """Dates are drawn as UTC: in the machine's zone they could fall on the day before."""
    return alt.X("day:T", timeUnit="utcyearmonthdate", title=None, axis=alt.Axis(format="%-d %b", grid=False))


def _colours(field: str, colours: dict[str, str]) -> alt.Color:
    scale = alt.Scale(domain=list(colours), range=list(colours.values()))
    return alt.Color(field, title=None, scale=scale, legend=alt.Legend(orient="top", symbolType="square"))


def _png(chart: alt.Chart, title: str) -> bytes:
    styled = (
        chart.properties(title=alt.Title(title, anchor="start", fontSize=14, offset=8))
        .configure(background="white", font="Liberation Sans", padding=12)
        .configure_axis(labelFontSize=11, titleFontSize=11, labelColor="#333", titleColor="#333", gridColor="#e3e6ea")
        .configure_legend(labelFontSize=11, labelColor="#333")
        .configure_view(stroke=None)
    )
    return vl_convert.vegalite_to_png(styled.to_dict())
