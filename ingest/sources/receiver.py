"""The C-STORE receiver: answers success for an object only when it is kept, whatever happens afterwards.

Only answering DIMSE is here. It runs as a process of its own; the nightly run reads what it kept.
"""

from __future__ import annotations

import logging
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import FrameType
from typing import TYPE_CHECKING

from pynetdicom import ALL_TRANSFER_SYNTAXES, evt
from pynetdicom.events import Event, EventHandlerType

from ingest.problems import UserError
from ingest.site.config import Receive, Site
from ingest.sources.association import (
    REPORT_CLASSES,
    REPORT_SYNTAXES,
    REQUEST_S,
    SUCCESS,
    VERIFICATION,
    application_entity,
    as_file,
    guard,
)
from ingest.sources.store import ReceivedStore

if TYPE_CHECKING:
    from pynetdicom.association import Association

MAX_ASSOCIATIONS = 100  # at a time, of titles that may send
MAX_UNKNOWN = 32  # connections at a time whose title is not known yet; a new one ends the oldest of them
BACKLOG = 256  # connections that wait to be accepted, which takes milliseconds
OUT_OF_RESOURCES = 0xA700  # PS3.4 table B.2-1; the sender tries again later
ASSOCIATE_RQ = 0x01
TITLES = {"called": slice(4, 20), "calling": slice(20, 36)}  # in an association request, behind its first 6 bytes
UNREADABLE = "ended without an association request that can be read"
# A-ASSOCIATE-RJ (PS3.8 table 9-21): for good, by the service user, calling AE title not recognised
REJECTION = bytes.fromhex("03 00 00000004 00 01 01 03")
Say = Callable[[str], None]


def serve(site: Site, say: Say) -> None:
    """Receive until SIGTERM or SIGINT.

    Args:
        site: the site; ``dose_reports.receive`` names port, title and who may send.
        say: prints a line for the user.

    Raises:
        UserError: there is no port to listen on, or no sender is allowed.
    """
    settings, store, say = _settings(site), ReceivedStore.of(site), _in_turn(say)
    store.clear_unfinished()
    entity = application_entity(settings.ae_title)
    entity.acse_timeout = REQUEST_S  # a connection without a request, such as a port scanner's, soon ends
    entity.maximum_associations = MAX_ASSOCIATIONS + MAX_UNKNOWN
    entity.require_called_aet = True
    entity.require_calling_aet = settings.allowed_ae
    entity.add_supported_context(VERIFICATION, ALL_TRANSFER_SYNTAXES)
    for sop_class in REPORT_CLASSES:
        entity.add_supported_context(sop_class, REPORT_SYNTAXES)
    # A peer's mistake is logged in a line of ours; the library would add tracebacks that may hold a patient's data.
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)
    stop, peers = _stop_signals(), _UnknownPeers(say)
    handlers: list[EventHandlerType] = [
        (evt.EVT_CONN_OPEN, guard),
        (evt.EVT_CONN_OPEN, peers.opened),
        (evt.EVT_REQUESTED, peers.requested),
        (evt.EVT_CONN_CLOSE, peers.closed),
        (evt.EVT_C_STORE, _keep, [store, say]),
        (evt.EVT_REJECTED, _refused, [say]),
    ]
    try:
        server = entity.start_server(("", settings.port), block=False, evt_handlers=handlers)
    except OSError as error:
        raise UserError(
            f"Port {settings.port} (site.yaml, dose_reports.receive.port) cannot be used: {error.strerror}."
        ) from None
    assert server is not None  # noqa: S101 - for the type checker: it is None only when it blocks
    assert server.socket is not None  # noqa: S101 - and this while it does not listen
    server.socket.listen(BACKLOG)  # the library's 5 would be filled by a few strangers
    say(f"{settings.ae_title} receives on port {settings.port} from {', '.join(settings.allowed_ae)}.")
    stop.wait()
    entity.shutdown()
    say("Stopped.")


def _settings(site: Site) -> Receive:
    settings = site.config.dose_reports.receive
    if settings is None:
        raise UserError("site.yaml has no dose_reports.receive; say port, ae_title and allowed_ae there.")
    if not settings.allowed_ae:
        raise UserError(
            "site.yaml, dose_reports.receive.allowed_ae is empty: no sender is allowed; name the AE titles."
        )
    return settings


def _in_turn(say: Say) -> Say:
    """Lines of many connections one after the other: a text stream loses some that are written at once."""
    lock = threading.Lock()

    def print_one_line(line: str) -> None:
        with lock:
            say(line)

    return print_one_line


def _stop_signals() -> threading.Event:
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    return stop


@dataclass(slots=True)
class _UnknownPeers:
    """The connections whose title is not known yet, oldest first: strangers cannot keep out those that may send."""

    say: Say
    unknown: dict[Association, str] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def opened(self, event: Event) -> None:
        """Admit a connection; the oldest unknown one goes if there are too many."""
        with self.lock:
            self.unknown[event.assoc] = event.assoc.requestor.address
            oldest = next(iter(self.unknown)) if len(self.unknown) > MAX_UNKNOWN else None
        if oldest is not None:
            self._end(oldest, "is ended for a newer one, before its association request")
        self._read_titles(event.assoc)

    def requested(self, event: Event) -> None:
        """Its request is here: whether it may send is decided by its title."""
        with self.lock:
            self.unknown.pop(event.assoc, None)

    def closed(self, event: Event) -> None:
        """It ended; log it if no request that can be read came."""
        self._end(event.assoc, UNREADABLE)

    def _end(self, assoc: Association, why: str, last_words: bytes = b"") -> None:
        """End a connection that is unknown, and its threads, which wait for a request."""
        with self.lock:
            address = self.unknown.pop(assoc, None)
        if address is None:
            return
        self.say(f"A connection of {address} {why}.")
        connection = assoc.dul.socket
        if connection is not None and connection.socket is not None:
            with suppress(OSError):  # it ended by itself
                connection.socket.sendall(last_words)
                connection.socket.shutdown(socket.SHUT_RDWR)
        assoc.dul.to_user_queue.put(None)  # as when no request comes in time

    def _read_titles(self, assoc: Association) -> None:
        """Refuse a request whose titles cannot be read: the library would end it without an answer."""
        connection, header = assoc.dul.socket, bytearray()
        if connection is None:
            return
        receive = connection.recv

        def titled(nr_bytes: int) -> bytearray:
            try:
                arrived = receive(nr_bytes)
            except OSError:
                self._end(assoc, UNREADABLE)
                raise
            is_request = header[:1] == bytes([ASSOCIATE_RQ]) and len(arrived) == nr_bytes
            header[:] = arrived
            if is_request and (unreadable := _unreadable_title(arrived)):
                self._end(assoc, f"is refused: {unreadable}", REJECTION)
                arrived.clear()  # as if the peer had gone
            return arrived

        connection.recv = titled  # type: ignore[method-assign]


def _unreadable_title(request: bytearray) -> str | None:
    for name, place in TITLES.items():
        title = request[place].strip(b" ")
        if not title:
            return f"its {name} AE title is empty"
        if not title.isascii() or not title.decode("ascii").isprintable() or b"\\" in title:
            return f"its {name} AE title is no text"
    return None


def _keep(event: Event, store: ReceivedStore, say: Say) -> int:
    sender = event.assoc.requestor.ae_title
    try:
        is_new = store.keep(as_file(event, sender))
    except OSError as error:
        say(f"An object of {sender} cannot be kept below {store.folder} ({error.strerror}); the sender gets a failure.")
        return OUT_OF_RESOURCES
    say(f"{sender}: {'an object kept' if is_new else 'an object that was there'}.")
    return SUCCESS


def _refused(event: Event, say: Say) -> None:
    say(f"Refused an association of '{event.assoc.requestor.ae_title.strip()}' at {event.assoc.requestor.address}.")
