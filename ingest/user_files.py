"""Opening what a user put somewhere: regular files only, and what is read whole only up to a size.

A pipe or a device would be waited for without end. The refusals are OSErrors, so that each caller names its file.
"""

from __future__ import annotations

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path

YAML_BYTES = 1_000_000
CSV_BYTES = 100_000_000

KINDS_OF_NO_FILE = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def open_regular(path: Path) -> BufferedReader:
    """Open a regular file for reading.

    Raises:
        OSError: it cannot be opened, or is a pipe, a device, a socket or a folder.
    """
    # A pipe that has no writer would block here without O_NONBLOCK; regular files ignore it.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    kind = KINDS_OF_NO_FILE.get(stat.S_IFMT(os.fstat(handle).st_mode))
    if kind:
        os.close(handle)
        raise OSError(errno.EINVAL, f"it is not a regular file but {kind}", str(path))
    return os.fdopen(handle, "rb")


def read_regular(path: Path, most_bytes: int) -> bytes:
    """The whole content of a regular file.

    Raises:
        OSError: as ``open_regular``, or the file is larger than ``most_bytes``.
    """
    with open_regular(path) as file:
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise OSError(errno.EFBIG, f"it is larger than {most_bytes // 1_000_000} MB", str(path))
    return content
