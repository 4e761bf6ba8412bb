"""Names that file managers, editors and copying programs leave among the files of an inbox, and that are ignored."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from fnmatch import fnmatchcase

ALWAYS = ("Thumbs.db", ".DS_Store", "desktop.ini", "._*", "~$*", ".~lock*")
WHILE_YOUNG = ("*.tmp", "*.part")  # a part of a file that is being copied
YOUNG_S = 24 * 3600.0


def fits(name: str, pattern: str) -> bool:
    """Whether a file's name fits a pattern; upper and lower case and Unicode's normal forms make no difference."""
    return fnmatchcase(_plain(name), _plain(pattern))


def ignored_by(name: str, age_s: float, added: Iterable[str]) -> str | None:
    """The pattern by which a file is ignored, or None.

    Args:
        name: of the file, without its folder.
        age_s: seconds since its last change.
        added: the site's own patterns.
    """
    patterns = (*ALWAYS, *added, *(WHILE_YOUNG if age_s < YOUNG_S else ()))
    return next((pattern for pattern in patterns if fits(name, pattern)), None)


def _plain(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()
