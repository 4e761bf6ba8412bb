"""Under which path a file is published: a path may name a patient, as the folders of a patient's CD do.

The one place where this is decided; the path that only the site's own account sees is made here, too (``own_path``).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import PurePosixPath

from ingest.dose_reports import scrub
from ingest.raw.file_ledger import FoundFile
from ingest.records import Patient

DIGITS = 16  # of the keyed hash of the true path; sites have up to a million files
# Endings that are no secret. Any other text after a dot may be a name, as in "X-ray of Dupont.Jean".
COMMON_ENDINGS = re.compile(
    r"\.(avi|bin|bmp|cfg|csv|dat|dcm|dicom|dll|docx?|exe|gif|gz|html?|ico|ima|inf|ini|jpe?g|js|json|log|mp4|pdf|png|pptx?"
    r"|rtf|sr|tar|tiff?|tmp|tsv|txt|xlsx?|xml|ya?ml|zip)"
)


def shown_path(
    file: FoundFile, path_key: str, own_path: str, *, is_readable: bool, sources: Collection[str | None]
) -> str:
    """The path that is published, relative to the site.

    Args:
        file: what lies there.
        path_key: keyed hash of its true path, so that a name cannot be found by trying names.
        own_path: the path without the patient whom the file itself names.
        is_readable: whether it is a dose report or an export that could be read.
        sources: the described dosimeter sources; directly in their folders nothing but exports is expected.
    """
    is_direct = file.name.count(b"/") == file.folder.count("/") + 2
    if is_readable or (file.source_id is not None and file.source_id in sources and is_direct):
        return own_path
    ending = PurePosixPath(file.place.name).suffix.lower()
    return f"{file.folder}/{path_key[:DIGITS]}{ending if COMMON_ENDINGS.fullmatch(ending) else ''}"


def own_path(name: bytes, patient: Patient | None) -> str:
    """A path as it is stored and printed: de-identified, and without characters that are not text."""
    text = name.decode("utf-8", "backslashreplace")
    printable = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
    return scrub(printable, patient) if patient else printable
