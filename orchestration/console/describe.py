"""`describe`: a draft of a source description beside the export that it was made from; never over a file.

Only names and writing live here; what the draft says is ``ingest/dosimeters/draft.py``'s.
"""

from __future__ import annotations

import re
from pathlib import Path

from ingest.dosimeters.draft import draft_description
from ingest.dosimeters.sample import take_sample
from ingest.problems import UserError


def describe_export(export: Path, output: Path | None) -> str:
    """The draft, which is also written to ``output`` if that is given.

    Raises:
        UserError: the export cannot be described, or the output exists or cannot be written.
    """
    source_id = output.stem if output else _source_id(export)
    text = draft_description(take_sample(export), source_id, f"*{export.suffix}" if export.suffix else "*")
    if output is not None:
        try:
            with output.open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError:
            raise UserError(f"{output} exists and is not written over; choose another name.") from None
        except OSError as error:
            raise UserError(f"{output} cannot be written ({error.strerror}).") from None
    return text


def _source_id(export: Path) -> str:
    """The inbox folder in which the export lies, else its name without figures and signs."""
    folder = export.resolve().parent
    if folder.parent.name == "dosimeters":
        return folder.name
    return re.sub(r"[^A-Za-z]+", "_", export.stem).strip("_").lower() or "new_source"
