"""A page as one file that needs no other, for an attachment or a copy: its style is inside, it has no script."""

from __future__ import annotations

import base64
import hashlib
import re

STYLE_SHEET = re.compile(r'<link rel="stylesheet" href="[^"]*">\n')
SCRIPT = re.compile(r'<script src="[^"]*" defer></script>\n')
POLICY = re.compile(r'(?<=<meta http-equiv="Content-Security-Policy" content=")[^"]*')


def as_one_file(html: str, css: str) -> str:
    """Put the style sheet into a page and leave its script out; its policy then allows this style and nothing else.

    Args:
        html: a page of ``pages/``.
        css: the content of its ``static/style.css``.

    Raises:
        ValueError: it is no page of this product.
    """
    style = f"\n{css}"
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    html = _replaced(POLICY, f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:", html)
    html = _replaced(STYLE_SHEET, f"<style>{style}</style>\n", html)
    return _replaced(SCRIPT, "", html)


def _replaced(pattern: re.Pattern[str], text: str, html: str) -> str:
    html, count = pattern.subn(lambda _: text, html)
    if count != 1:
        raise ValueError(f"a page has {count} places of {pattern.pattern!r}")
    return html
