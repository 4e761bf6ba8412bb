"""What both sides of a DICOM association (the pulling and the receiving one) have in common: classes, limits, guards.

Only the protocol's frame lives here; who asks and who answers is in ``dimse.py`` and ``receiver.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydicom.uid import UID
from pynetdicom import AE, evt
from pynetdicom.dsutils import encode_file_meta
from pynetdicom.events import Event, EventHandlerType

from ingest.dose_reports.dicom_file import SYNTAXES
from ingest.sources.pull import WANTED_CLASSES
from ingest.sources.store import MAX_OBJECT_BYTES

if TYPE_CHECKING:
    from pynetdicom.association import Association

CONNECT_S = 10.0
SILENCE_S = 30.0  # without a byte, or without the next message
MAX_PDU_BYTES = 1 << 20  # the largest that is announced to the peer is 16 kB; an association request may be longer
SUCCESS, PENDING = 0x0000, (0xFF00, 0xFF01)
VERIFICATION = "1.2.840.10008.1.1"  # C-ECHO
STUDY_ROOT_FIND, STUDY_ROOT_GET = UID("1.2.840.10008.5.1.4.1.2.2.1"), UID("1.2.840.10008.5.1.4.1.2.2.3")
REPORT_CLASSES = sorted(WANTED_CLASSES)
REPORT_SYNTAXES = list(SYNTAXES)


def application_entity(title: str) -> AE:
    """An application entity of this program, with explicit timeouts."""
    entity = AE(title)
    entity.connection_timeout = CONNECT_S
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = SILENCE_S
    return entity


def guard(event: Event) -> None:
    """Bind to EVT_CONN_OPEN: a peer that falls silent or sends without end loses its connection, not we our memory."""
    assoc = event.assoc
    connection = assoc.dul.socket
    if connection is None or connection.socket is None:
        return
    connection.socket.settimeout(SILENCE_S)
    receive = connection.recv

    def limited(nr_bytes: int) -> bytearray:
        if nr_bytes > MAX_PDU_BYTES or _bytes_waiting(assoc) > MAX_OBJECT_BYTES:
            raise OSError("the peer sends more than an object may have")
        return receive(nr_bytes)

    connection.recv = limited  # type: ignore[method-assign]


def _bytes_waiting(assoc: Association) -> int:
    """Size of the object of which parts have arrived, in bytes."""
    message = assoc.dimse.message
    return message.data_set.tell() if message is not None and message.data_set is not None else 0


def as_file(event: Event, sender: str | None = None) -> bytes:
    """The object of a C-STORE request as a DICOM file, its data set byte for byte as it came.

    Args:
        event: the request.
        sender: AE title that sent it, for (0002,0016): some rooms are told apart by it.
    """
    meta = event.file_meta
    if sender is not None:
        meta.SourceApplicationEntityTitle = sender
    return bytes(128) + b"DICM" + encode_file_meta(meta) + event.encoded_dataset(include_meta=False)


GUARDS: list[EventHandlerType] = [(evt.EVT_CONN_OPEN, guard)]
