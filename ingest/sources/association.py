"""What both sides of a DICOM association (the pulling and the receiving one) have in common: classes, limits, guards.

Only the protocol's frame is here; requests are in ``dimse.py``, answers in ``receiver.py``.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from pydicom.uid import UID
from pynetdicom import AE
from pynetdicom.dsutils import encode_file_meta
from pynetdicom.events import Event

from ingest.dose_reports.dicom_file import SYNTAXES
from ingest.sources.source import WANTED_CLASSES
from ingest.sources.store import MAX_OBJECT_BYTES

if TYPE_CHECKING:
    from pynetdicom.association import Association

CONNECT_S = 10.0
REQUEST_S = 10.0  # a whole association request
SILENCE_S = 30.0  # a whole message of the protocol, or until the next one
MAX_PDU_BYTES = 1 << 20  # the largest that is announced to the peer is 16 kB; an association request may be longer
CHUNK_BYTES = 1 << 14
SUCCESS, PENDING = 0x0000, (0xFF00, 0xFF01)
VERIFICATION = "1.2.840.10008.1.1"  # C-ECHO
STUDY_ROOT_FIND, STUDY_ROOT_GET = UID("1.2.840.10008.5.1.4.1.2.2.1"), UID("1.2.840.10008.5.1.4.1.2.2.3")
REPORT_CLASSES = sorted(WANTED_CLASSES)
REPORT_SYNTAXES = list(SYNTAXES)
Spend = Callable[[int], object]


def application_entity(title: str) -> AE:
    """An application entity of this program, with explicit timeouts."""
    entity = AE(title)
    entity.connection_timeout = CONNECT_S
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = SILENCE_S
    return entity


def guard(event: Event, spend: Spend | None = None) -> None:
    """Bind to EVT_CONN_OPEN: a peer that is silent, drips or sends without end loses its connection, not we our memory.

    Args:
        event: the opened connection.
        spend: called with the bytes that arrive; raises OSError if they are too many.
    """
    assoc = event.assoc
    connection = assoc.dul.socket
    if connection is None or connection.socket is None:
        return
    connection.socket.settimeout(SILENCE_S)
    opened_at = time.monotonic()

    def receive(nr_bytes: int) -> bytearray:
        """In place of the library's, whose timeout begins again with every byte."""
        if nr_bytes > MAX_PDU_BYTES or _bytes_waiting(assoc) > MAX_OBJECT_BYTES:
            raise OSError("the peer sends more than an object may have")
        is_unknown = assoc.is_acceptor and assoc.requestor.primitive is None
        ends_at = opened_at + REQUEST_S if is_unknown else time.monotonic() + SILENCE_S
        arrived = bytearray()
        while len(arrived) < nr_bytes and connection.socket is not None:
            part = _received(connection.socket, min(nr_bytes - len(arrived), CHUNK_BYTES), ends_at)
            if spend is not None:
                spend(len(part))
            if not part:
                break
            arrived += part
        return arrived

    connection.recv = receive  # type: ignore[method-assign]


def _received(peer: socket.socket, most_bytes: int, ends_at: float) -> bytes:
    left_s = ends_at - time.monotonic()
    if left_s <= 0:
        raise TimeoutError("the peer does not finish a message in time")
    peer.settimeout(left_s)
    try:
        return peer.recv(most_bytes)
    finally:
        peer.settimeout(SILENCE_S)


def _bytes_waiting(assoc: Association) -> int:
    """Size of the object of which parts have arrived, in bytes."""
    message = assoc.dimse.message
    return message.data_set.tell() if message is not None and message.data_set is not None else 0


def as_file(event: Event, sender: str | None = None) -> bytes:
    """The object of a C-STORE request as a DICOM file, its data set byte for byte as it came.

    Args:
        event: the request.
        sender: AE title that sent it, for (0002,0016): it distinguishes some rooms.
    """
    meta = event.file_meta
    if sender is not None:
        meta.SourceApplicationEntityTitle = sender
    return bytes(128) + b"DICM" + encode_file_meta(meta) + event.encoded_dataset(include_meta=False)
