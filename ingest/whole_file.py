"""Writing a file whole: its readers find the file before or the file after, never a part of it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def write_whole(target: Path, content: bytes, mode: int, *, at_most: int = 0o777) -> None:
    """Write a file beside its place, then rename it there; a link stays a link.

    A file that exists keeps its mode and group, and where root writes its owner. Where the group cannot be kept, its
    rights are not, either: they were meant for another one.

    Args:
        target: the file.
        content: all of it.
        mode: of a new file.
        at_most: what a file that exists keeps of its mode, for content that others may not read.

    Raises:
        OSError: it cannot be written; what was there is unchanged.
    """
    place = target.resolve()
    before = place.stat() if place.exists() else None
    partial = place.with_name(f".{place.name}.tmp")
    kept = mode if before is None else before.st_mode & at_most
    try:
        opened = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(opened, "wb") as file:
            file.write(content)
            file.flush()
            if before:
                try:
                    os.fchown(file.fileno(), -1 if os.geteuid() else before.st_uid, before.st_gid)
                except PermissionError:  # an account that is not in that group
                    kept &= ~0o070
            with suppress(PermissionError):  # a share without modes; the file stays its owner's
                os.fchmod(file.fileno(), kept)
            os.fsync(file.fileno())
        partial.replace(place)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
