"""The objects that were pulled or received, as files below ``<data_dir>/received``: each once, whole or not at all.

Storing and finding objects. The other modules of this package fetch them; ``ingest/dose_reports`` reads them.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ingest.dose_reports.dicom_file import Identity, identity_of
from ingest.folders import OWNER_ONLY, make_folder
from ingest.site.config import Site

MAX_OBJECT_BYTES = 64 * 1024 * 1024  # real reports are below 2 MB; one object is held in memory
UNFINISHED_S = 3600.0  # an object is written within seconds
_META_START = 132  # 128 free bytes and "DICM"


@dataclass(frozen=True, slots=True)
class ReceivedStore:
    """Objects by identity and content.

    A name consists of two hashes, never of text from a peer: ``received/<ab>/<identity's>-<content's>.dcm``. The same
    object again has the same name, from any source; other bytes under its UIDs are stored beside it. An object
    that is too damaged to have UIDs is kept by its content alone, for the reader to refuse it by name.

    Attributes:
        folder: is read like the inbox.
        workshop: for files that are not whole yet, on the same file system.
    """

    folder: Path
    workshop: Path

    @classmethod
    def of(cls, site: Site) -> ReceivedStore:
        """The store of a site; nothing is made on disk yet."""
        return cls(site.received_dir, site.data_dir / "receiving")

    def holds(self, identity: Identity) -> bool:
        """Whether an object of this identity was kept."""
        name = _identity_hash(identity)
        return any((self.folder / name[:2]).glob(f"{name}-*.dcm"))

    def keep(self, content: bytes) -> bool:
        """Keep an object; when this returns it survives a power cut.

        Args:
            content: the whole DICOM file, at most `MAX_OBJECT_BYTES`.

        Returns:
            False if the same object was kept before.

        Raises:
            OSError: it cannot be written; nothing of it is then in the folder.
        """
        name = f"{_identity_hash(identity_of(content))}-{_content_hash(content)}.dcm"
        place = self.folder / name[:2] / name
        folders = (place.parent, self.folder, self.folder.parent)
        if place.exists():
            _sync(*folders)  # the run that wrote it may have failed before
            return False
        for folder in (self.workshop, place.parent):
            make_folder(folder, OWNER_ONLY)
        with tempfile.NamedTemporaryFile(dir=self.workshop, delete=False) as file:
            unfinished = Path(file.name)
            try:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
                unfinished.rename(place)
            except BaseException:
                unfinished.unlink(missing_ok=True)
                raise
        _sync(*folders)
        return True

    def clear_unfinished(self) -> None:
        """Remove what a killed process left unfinished; what is younger may be another process's work."""
        for path in self.workshop.glob("tmp*"):
            with suppress(FileNotFoundError):  # finished meanwhile
                if time.time() - path.stat().st_mtime > UNFINISHED_S:
                    path.unlink()


def _sync(*folders: Path) -> None:
    """A new name in a folder survives a power cut only once the folder itself is on disk."""
    for folder in folders:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _identity_hash(identity: Identity | None) -> str:
    return hashlib.sha256("/".join(identity or ()).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _content_hash(content: bytes) -> str:
    """Hash of the data set: the file meta information before it is the sender's envelope, and differs by the way."""
    return hashlib.sha256(content[_data_set_start(content) :]).hexdigest()[:32]


def _data_set_start(content: bytes) -> int:
    """Where the data set begins, by the group length (0002,0000); 0 if the file does not state it."""
    head = content[_META_START : _META_START + 12]
    if head[:8] != b"\x02\x00\x00\x00UL\x04\x00":
        return 0
    start = _META_START + 12 + int.from_bytes(head[8:], "little")
    return start if start < len(content) else 0
