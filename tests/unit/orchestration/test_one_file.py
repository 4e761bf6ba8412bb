"""A page as one file: exactly one style sheet, script and policy are replaced, whatever the style holds."""

from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.one_file import as_one_file

PAGE = """<meta http-equiv="Content-Security-Policy" content="default-src 'self'">
<link rel="stylesheet" href="../static/style.css">
<script src="../static/tables.js" defer></script>
<p>text</p>
"""


@given(st.text(st.characters(exclude_characters="<\r", codec="utf-8")))
def test_the_policy_allows_the_style_of_the_page(css: str) -> None:
    html = as_one_file(PAGE, css)
    begin, end = html.index("<style>") + len("<style>"), html.index("</style>")
    digest = base64.b64encode(hashlib.sha256(html[begin:end].encode()).digest()).decode()
    assert html[begin:end] == f"\n{css}"
    assert f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:" in html
    assert html.endswith("</style>\n<p>text</p>\n")


@pytest.mark.parametrize("line", range(3))
@pytest.mark.parametrize("times", [0, 2])
def test_another_page_is_refused(line: int, times: int) -> None:
    lines = PAGE.splitlines(keepends=True)
    lines[line] *= times
    with pytest.raises(ValueError, match=f"{times} places"):
        as_one_file("".join(lines), "p {}")
