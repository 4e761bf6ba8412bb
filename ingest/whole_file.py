"""Writing a file whole: its readers find the file before or the file after, never a part of it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def write_whole(target: Path, content: bytes, mode: int) -> None:
    """Write a file beside its place, then rename it there; a link stays a link.

    A file that exists keeps its mode and group, and where root writes its owner.

    Args:
        target: the file.
        content: all of it.
        mode: of a new file.

    Raises:
        OSError: it cannot be written; what was there is unchanged.
    """
    place = target.resolve()
    before = place.stat() if place.exists() else None
    partial = place.with_name(f".{place.name}.tmp")
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            if before:
                with suppress(PermissionError):  # an account that is not in that group
                    os.fchown(file.fileno(), -1 if os.geteuid() else before.st_uid, before.st_gid)
            with suppress(PermissionError):  # a share without modes; the file stays its owner's
                os.fchmod(file.fileno(), before.st_mode & 0o777 if before else mode)
            os.fsync(file.fileno())
        partial.replace(place)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
