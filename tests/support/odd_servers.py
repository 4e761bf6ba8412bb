"""Small servers on loopback that answer as a test wants: DICOMweb (over HTTP, with TLS) and a PACS (C-FIND, C-GET)."""

from __future__ import annotations

import json
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from pydicom.dataset import Dataset
from pynetdicom import AE, evt

from support.orthanc import free_port
from support.sr_builder import as_file

XRAY_DOSE_SR, ENHANCED_SR = "1.2.840.10008.5.1.4.1.1.88.67", "1.2.840.10008.5.1.4.1.1.88.22"
Answer = Callable[[str], bytes | Iterable[bytes]]


@contextmanager
def http_server(answer: Answer, certificate: Path | None = None) -> Iterator[str]:
    """A server on loopback that writes what ``answer`` gives for a request line, and closes; with TLS if certified."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            request = self.rfile.readline().decode()
            if not request:  # the client was killed
                return
            while self.rfile.readline().strip():
                pass
            said = answer(request)
            with suppress(OSError):  # the client has had enough
                for part in [said] if isinstance(said, bytes) else said:
                    self.wfile.write(part)
                    self.wfile.flush()

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

    with Server(("127.0.0.1", 0), Handler) as server:
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http{'s' if certificate else ''}://127.0.0.1:{server.server_address[1]}/dicom-web"
        server.shutdown()


def ok(content: bytes, kind: str = "application/dicom+json", length: int | None = None) -> bytes:
    size = len(content) if length is None else length
    return f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {size}\r\n\r\n".encode() + content


def element(value: str) -> dict[str, object]:
    return {"vr": "UI", "Value": [value]}


def certified(folder: Path, address: str = "127.0.0.1", days_left: int = 2) -> Path:
    """A key and a certificate for an address that it signed itself, in one file."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "odd server")]), datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    certificate = (
        builder.not_valid_before(now - timedelta(days=9))
        .not_valid_after(now + timedelta(days=days_left))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = (Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    path = folder / f"{address}_{days_left}.pem"
    path.write_bytes(certificate.public_bytes(Encoding.PEM) + key.private_bytes(*plain))
    return path


Levels = dict[str, list[dict[str, Any]]]


def dicomweb_of(levels: Levels, wado: Callable[[str], bytes]) -> Answer:
    """A DICOMweb server that gives the same answers to each question of a level, and what ``wado`` gives for a path.

    Args:
        levels: studies, series and instances, each a list of tags and values; an absent tag is left out, ``None`` is an
            empty element.
        wado: the answer to a request for an object.
    """

    def answer(request: str) -> bytes:
        path = urlsplit(request.split()[1]).path
        if "/instances/" in path:
            return wado(path)
        level = path.rpartition("/")[2]
        items = [{tag: _element(value) for tag, value in item.items()} for item in levels[level]]
        return ok(json.dumps(items).encode())

    return answer


def _element(value: object) -> dict[str, object]:
    if value is None:
        return {"vr": "CS"}
    return {"vr": "CS", "Value": value if isinstance(value, list) else [value]}


@contextmanager
def pacs(find: Callable[[Dataset], Iterable[Dataset]], get: Callable[[Dataset], Iterable[Dataset]]) -> Iterator[int]:
    """A PACS that answers a C-FIND and a C-GET with what these give for its identifier; gives its port."""

    def on_find(event: evt.Event) -> Iterator[tuple[int, Dataset]]:
        for answer in find(event.identifier):
            if event.is_cancelled or not event.assoc.is_established:
                return
            yield 0xFF00, answer

    def on_get(event: evt.Event) -> Iterator[Any]:
        objects = list(get(event.identifier))
        yield len(objects)
        for one in objects:
            as_file(one)  # pynetdicom sends a data set in the transfer syntax of its header
            yield 0xFF00, one

    entity, port = AE("PACS"), free_port()
    for model in ("1.2.840.10008.5.1.4.1.2.2.1", "1.2.840.10008.5.1.4.1.2.2.3"):
        entity.add_supported_context(model)
    for sop_class in (XRAY_DOSE_SR, ENHANCED_SR):
        entity.add_supported_context(sop_class, scu_role=True, scp_role=True)
    server = entity.start_server(
        ("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_FIND, on_find), (evt.EVT_C_GET, on_get)]
    )
    try:
        yield port
    finally:
        assert server is not None
        server.shutdown()
