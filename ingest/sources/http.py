"""GET requests to one HTTP server within a budget of time and bytes, headers and redirects included.

``requests`` is used with three changes: a watchdog cuts the connection of an answer that takes too long,
for its timeouts begin again with each byte; the body of a redirect is not read; no other host is followed.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection

from ingest.sources.budget import Budget, BudgetSpent, cut_after
from ingest.sources.source import ObjectFailed, SourceFailed

CONNECT_S = 10.0
SILENCE_S = 30.0  # without a byte
ANSWER_S = 120.0  # a whole answer, with all its redirects
CHUNK_BYTES = 1 << 16
MOST_REDIRECTS = 5
REDIRECTS = (301, 302, 303, 307, 308)
CERTIFICATES = "REQUESTS_CA_BUNDLE"


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer.

    Attributes:
        headers: names in any case.
        content: at most as long as was allowed.
    """

    headers: Mapping[str, str]
    content: bytes


class HttpServer:
    """One HTTP server; every failure is a sentence with its name."""

    def __init__(self, name: str, budget: Budget) -> None:
        self.name = name
        self.login: tuple[str, str] | None = None
        self.login_hint = ""
        self._budget = budget
        self._watch = _Watch()
        self._session = _Session()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, _Adapter(self._watch))

    def close(self) -> None:
        """Give back the connections."""
        self._session.close()

    def get(self, url: str, parameters: dict[str, str], accept: str, most_bytes: int) -> Answer:
        """One answer.

        Raises:
            SourceFailed: no connection, no access, silence, or more than the server may take.
            ObjectFailed: an answer, but not with what was requested.
        """
        self._watch.begin()
        self._session.auth = self.login
        try:
            with cut_after(min(ANSWER_S, self._budget.spend()), self._watch.cut):
                answer = self._followed(url, parameters, accept, most_bytes)
                self._watch.check()
                return answer
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise SourceFailed(f"{self.name}{self._why(error)}") from error

    def _followed(self, url: str, parameters: dict[str, str], accept: str, most_bytes: int) -> Answer:
        for _ in range(MOST_REDIRECTS + 1):
            # No connection is used twice: a server may close an idle one at any moment.
            self._session.close()
            with self._session.get(
                url, params=parameters, headers={"Accept": accept}, timeout=(CONNECT_S, SILENCE_S), stream=True
            ) as response:
                self._budget.spend(sum(len(name) + len(value) for name, value in response.headers.items()))
                if response.status_code not in REDIRECTS:
                    self._check_status(response.status_code)
                    return Answer(response.headers, self._read(response, most_bytes))
                url, parameters = self._same_server(url, response.headers.get("Location", "")), {}
        raise SourceFailed(f"{self.name} redirects more than {MOST_REDIRECTS} times.")

    def _same_server(self, url: str, location: str) -> str:
        """Where a redirect leads, unless that is another server: user and password are for this one alone."""
        try:
            target = urljoin(url, location)
            here, there = _origin(urlsplit(url)), _origin(urlsplit(target))
        except ValueError:
            raise SourceFailed(f"{self.name} redirects to something that is no address.") from None
        if here != there:
            named = "".join(letter if letter.isprintable() else "?" for letter in "{}://{}:{}".format(*there))[:200]
            raise SourceFailed(
                f"{self.name} redirects to {named}, which is not followed; is the URL in site.yaml right?"
            )
        return target

    def _check_status(self, status: int) -> None:
        if status in (401, 403):
            raise SourceFailed(f"{self.name} refuses the user or password ({status}); {self.login_hint}.")
        if status >= 400:
            raise ObjectFailed(f"{self.name} does not give what was requested (HTTP status {status}).")

    def _read(self, response: requests.Response, most_bytes: int) -> bytes:
        content = bytearray()
        while chunk := response.raw.read1(CHUNK_BYTES, decode_content=True):  # as it comes: a trickle is noticed
            self._watch.check()
            self._budget.spend(len(chunk))
            content += chunk
            if len(content) > most_bytes:
                raise ObjectFailed(f"{self.name}: an answer is larger than {most_bytes >> 20} MB.")
        return bytes(content)

    def _why(self, error: Exception) -> str:
        spent = error if isinstance(error, BudgetSpent) else self._budget.spent()
        if spent is not None:
            return f" takes {spent}; the rest is requested in the next run."
        if self._watch.is_cut:
            return f" does not finish an answer within {ANSWER_S:.0f} s."
        if isinstance(error, requests.exceptions.SSLError):
            return f": {_certificate_problem(error)}"
        if isinstance(error, requests.exceptions.Timeout | urllib3.exceptions.TimeoutError):
            return " does not answer in time; look whether it is running."
        if not isinstance(error, requests.exceptions.RequestException | urllib3.exceptions.HTTPError):
            return f": the certificates that {CERTIFICATES} names cannot be read ({type(error).__name__})."
        # Only its class is named: its text may hold more of the URL than a log may.
        return f": no connection, or it broke ({type(error).__name__})."


class _Watch:
    """The connection whose answer is awaited; cut from another thread when the time for it is over."""

    def __init__(self) -> None:
        self.is_cut = False
        self._connection: HTTPConnection | None = None
        self._socket: socket.socket | None = None

    def begin(self) -> None:
        """A new answer is awaited."""
        self.is_cut, self._connection, self._socket = False, None, None

    def connect(self, connection: HTTPConnection, connect: Callable[[], None]) -> None:
        """Watch a connection from before it is made; a TLS handshake is bounded by the time to connect."""
        self._connection, self._socket = connection, None
        connect()
        self._socket = connection.sock  # the connection forgets it when its end is announced
        self.check()

    def cut(self) -> None:
        """End the connection: what waits for its bytes gets an error, or an end that `check` knows for no end."""
        self.is_cut = True
        awaited = self._socket
        if awaited is None and self._connection is not None:
            awaited = self._connection.sock
        if awaited is not None:
            with suppress(OSError):  # it ended by itself
                socket.socket.shutdown(awaited, socket.SHUT_RDWR)

    def check(self) -> None:
        """Raises TimeoutError if the answer was cut off."""
        if self.is_cut:
            raise TimeoutError


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002 - the library's signature
        """None for every answer: the library would read the body of a redirect to its end."""
        return None


class _Adapter(HTTPAdapter):
    """Opens connections that are watched; by the places that requests and urllib3 have for classes of one's own."""

    def __init__(self, watch: _Watch) -> None:
        self._pools = _watched_pools(watch)
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - the library's signature
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - the library's signature
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = self._pools
        return manager


def _watched_pools(watch: _Watch) -> dict[str, type[urllib3.HTTPConnectionPool]]:
    class Plain(HTTPConnection):
        def connect(self) -> None:
            watch.connect(self, super().connect)

    class Secure(HTTPSConnection):
        def connect(self) -> None:
            watch.connect(self, super().connect)

    class PlainPool(urllib3.HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(urllib3.HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


def _origin(url: SplitResult) -> tuple[str, str | None, int | None]:
    return url.scheme, url.hostname, url.port or {"http": 80, "https": 443}.get(url.scheme)


def _certificate_problem(error: BaseException) -> str:
    """What is wrong with a certificate, in OpenSSL's words: expired, another host's, signed by no known authority."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLCertVerificationError):
        cause = cause.__cause__ or cause.__context__
    if cause is None:
        return "no TLS connection (SSLError); is it a server with TLS?"
    return (
        f"its certificate is not accepted ({cause.verify_message.rstrip('.')}). Where an authority of the hospital "
        f"signed it, {CERTIFICATES} must name the file of that authority."
    )
