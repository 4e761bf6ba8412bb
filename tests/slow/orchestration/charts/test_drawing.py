"""Pictures are drawn by a process of their own: all or none, and none of them keeps a night from publishing."""

from __future__ import annotations

import re

import pytest

from orchestration.charts.drawing import Drawing

pytestmark = pytest.mark.slow


def picture(mark: str) -> dict[str, object]:
    rows = [{"room": "Salle d'angiographie · 1 µSv", "dose": 1}, {"room": "R2", "dose": 2}]
    encoding = {"y": {"field": "room", "type": "nominal"}, "x": {"field": "dose", "type": "quantitative"}}
    return {"data": {"values": rows}, "mark": mark, "encoding": encoding}


def test_each_picture_is_drawn() -> None:
    drawing = Drawing({"bars": picture("bar"), "points": picture("point")})
    svgs = drawing.svgs()
    assert list(svgs) == ["bars", "points"]
    assert all(re.match(r"<svg .*</svg>\s*$", svg, re.DOTALL) for svg in svgs.values())
    assert all("Salle d'angiographie · 1 µSv" in svg for svg in svgs.values())
    assert svgs["bars"].count('aria-roledescription="bar"') == 2


def test_what_cannot_be_drawn_is_said() -> None:
    with pytest.raises(RuntimeError, match="could not be drawn"):
        Drawing({"bars": picture("bar"), "odd": {"mark": "no such mark"}}).svgs()
