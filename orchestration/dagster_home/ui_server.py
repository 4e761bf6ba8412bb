"""Dagster's web server with `ui_guard` in front of it, as a program with dagster-webserver's own options.

Dagster 1.13.27 has no option for middleware: its command line makes the app by one function, which is wrapped here. If
a later version makes it otherwise, the program ends at once: it never serves without the guard.
"""

from __future__ import annotations

import sys
from typing import Any

import dagster_webserver.cli as webserver
from starlette.applications import Starlette

from orchestration.dagster_home.ui_guard import SameOriginOnly

MAKER = "create_app_from_workspace_process_context"


def main(port: int, arguments: list[str]) -> None:
    """Serves on 127.0.0.1 until it is stopped."""
    make_app = getattr(webserver, MAKER)

    def make_guarded(*args: Any, **kwargs: Any) -> Starlette:  # noqa: ANN401 - as Dagster has them
        app: Starlette = make_app(*args, **kwargs)
        app.add_middleware(SameOriginOnly, port=port)
        return app

    setattr(webserver, MAKER, make_guarded)
    webserver.cli(["-h", "127.0.0.1", "-p", str(port), *arguments], prog_name="dagster-webserver")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
