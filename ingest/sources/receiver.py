"""The C-STORE receiver: answers success for an object only when it is kept, whatever happens afterwards.

Only answering DIMSE lives here. It runs as a process of its own; the nightly run reads what it kept.
"""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable
from types import FrameType

from pynetdicom import ALL_TRANSFER_SYNTAXES, evt
from pynetdicom.events import Event, EventHandlerType

from ingest.problems import UserError
from ingest.site import Receive, Site
from ingest.sources.association import (
    CONNECT_S,
    GUARDS,
    REPORT_CLASSES,
    REPORT_SYNTAXES,
    SUCCESS,
    VERIFICATION,
    application_entity,
    as_file,
)
from ingest.sources.store import ReceivedStore

MAX_ASSOCIATIONS = 100  # at a time, those of strangers included until they are refused
OUT_OF_RESOURCES = 0xA700  # PS3.4 table B.2-1; the sender tries again later
Say = Callable[[str], None]


def serve(site: Site, say: Say) -> None:
    """Receive until SIGTERM or SIGINT.

    Args:
        site: the site; ``dose_reports.receive`` says port, title and who may send.
        say: is told what a person should see.

    Raises:
        UserError: there is nothing to listen on, or nobody may send.
    """
    settings = _settings(site)
    entity = application_entity(settings.ae_title)
    entity.acse_timeout = CONNECT_S  # a connection that asks for nothing, such as a port scanner's, soon ends
    entity.maximum_associations = MAX_ASSOCIATIONS
    entity.require_called_aet = True
    entity.require_calling_aet = settings.allowed_ae
    entity.add_supported_context(VERIFICATION, ALL_TRANSFER_SYNTAXES)
    for sop_class in REPORT_CLASSES:
        entity.add_supported_context(sop_class, REPORT_SYNTAXES)
    # A peer's mistake is told in a line of ours; the library would add tracebacks that may hold a patient's data.
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)
    stop = _stop_signals()
    handlers: list[EventHandlerType] = [
        *GUARDS,
        (evt.EVT_C_STORE, _keep, [ReceivedStore.of(site), say]),
        (evt.EVT_REJECTED, _refused, [say]),
    ]
    try:
        server = entity.start_server(("", settings.port), block=False, evt_handlers=handlers)
    except OSError as error:
        raise UserError(
            f"Port {settings.port} (site.yaml, dose_reports.receive.port) cannot be used: {error.strerror}."
        ) from None
    assert server is not None  # noqa: S101 - for the type checker: it is None only when it blocks
    say(f"{settings.ae_title} receives on port {settings.port} from {', '.join(settings.allowed_ae)}.")
    stop.wait()
    entity.shutdown()
    say("Stopped.")


def _settings(site: Site) -> Receive:
    settings = site.config.dose_reports.receive
    if settings is None:
        raise UserError("site.yaml has no dose_reports.receive; say port, ae_title and allowed_ae there.")
    if not settings.allowed_ae:
        raise UserError("site.yaml, dose_reports.receive.allowed_ae is empty: nobody may send; name the AE titles.")
    return settings


def _stop_signals() -> threading.Event:
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    return stop


def _keep(event: Event, store: ReceivedStore, say: Say) -> int:
    sender = event.assoc.requestor.ae_title
    try:
        is_new = store.keep(as_file(event, sender))
    except OSError as error:
        say(f"An object of {sender} cannot be kept below {store.folder} ({error.strerror}); the sender is told so.")
        return OUT_OF_RESOURCES
    say(f"{sender}: {'an object kept' if is_new else 'an object that was there'}.")
    return SUCCESS


def _refused(event: Event, say: Say) -> None:
    say(f"Refused an association of '{event.assoc.requestor.ae_title}' at {event.assoc.requestor.address}.")
