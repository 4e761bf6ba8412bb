"""Access to the Dagster UI: a browser that has this machine's own page open, and no other page in it.

ASGI middleware on HTTP headers, independent of Dagster.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

READING = ("GET", "HEAD")
POLICY_VIOLATION = 1008  # close code of a WebSocket


class SameOriginOnly:
    """Passes on what comes from the UI's own pages; refuses the rest before Dagster sees it.

    A foreign Host is a name that a hostile page pointed to this machine (DNS rebinding). A page of another origin can
    send a GET or a simple POST without asking: so queries come as JSON by POST, and with an Origin only if it is ours.
    """

    def __init__(self, app: App, port: int) -> None:
        self.app = app
        self.hosts = frozenset(f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]"))
        self.origins = frozenset(f"http://{host}" for host in self.hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request or WebSocket."""
        refusal = self.refusal(scope) if scope["type"] in ("http", "websocket") else None
        if refusal is None:
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": refusal[1]})
        else:
            await _answer(send, *refusal)

    def refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Status and sentence; None if the request is the UI's own."""
        hosts, origins = _headers(scope, b"host"), _headers(scope, b"origin")
        if len(hosts) != 1 or hosts[0].lower() not in self.hosts:
            return 400, "The UI answers to this machine's own name only."
        if any(origin.lower() not in self.origins for origin in origins):
            return 403, "The UI answers to its own pages only."
        if scope["type"] == "websocket":
            return None if origins else (403, "A WebSocket must state the page that opens it.")
        if scope["method"] in READING:
            is_query = scope["path"].rstrip("/").endswith("/graphql") and "query" in parse_qs(
                scope["query_string"].decode("latin-1")
            )
            return (405, "Queries and mutations are sent by POST.") if is_query else None
        if _headers(scope, b"sec-fetch-site") not in ([], ["same-origin"]):
            return 403, "The UI answers to its own pages only."
        types = [kind.partition(";")[0].strip().lower() for kind in _headers(scope, b"content-type")]
        return None if types == ["application/json"] else (415, "The UI takes JSON (application/json) only.")


def _headers(scope: Scope, name: bytes) -> list[str]:
    headers: Iterable[tuple[bytes, bytes]] = scope["headers"]
    return [value.decode("latin-1") for key, value in headers if key.lower() == name]


async def _answer(send: Send, status: int, sentence: str) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": sentence.encode()})
