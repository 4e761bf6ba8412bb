"""Create folders with a set mode, independent of the account's umask."""

from __future__ import annotations

import stat
from pathlib import Path

GROUP_PASSES, OWNER_ONLY = 0o750, 0o700


def make_folder(folder: Path, mode: int) -> None:
    """Make a folder unless it exists; folders above it that do not exist are made so that the group may pass.

    The mode of a folder that exists stays the user's. A set-group-ID bit that a new folder inherits stays, too.

    Raises:
        OSError: it cannot be made.
    """
    if folder.is_dir():
        return
    make_folder(folder.parent, GROUP_PASSES)
    try:
        folder.mkdir()
    except FileExistsError:  # another process was faster, or it is a file, which the caller's next step meets
        return
    folder.chmod(mode | stat.S_IMODE(folder.stat().st_mode) & stat.S_ISGID)
