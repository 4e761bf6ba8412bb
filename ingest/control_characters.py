"""Control characters: in names they change what a terminal or a letter shows. This module lists them.

The site's own files are refused for them; texts of other origin are shown with each of them escaped.
"""

from __future__ import annotations

import re
from typing import TypeVar

# C0 and C1 but tab and line ends, line and paragraph separators, what reverses the direction of text, and halves of
# characters. Line ends in a name do no harm: each place that shows a name shows it on one line.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]|\r(?!\n)")
_Text = TypeVar("_Text", bound=str)


def control_character(text: str) -> str | None:
    """The first control character of a text, written out with a backslash; None if there is none."""
    found = _CONTROL.search(text)
    return found and repr(found[0])[1:-1]


def printable(text: _Text) -> _Text | str:
    """The text with each control character written out; one without any is returned as it is."""
    return _CONTROL.sub(lambda found: repr(found[0])[1:-1], text) if _CONTROL.search(text) else text
