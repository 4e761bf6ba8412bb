"""What this process gets ready while dbt's process makes the tables: imports and engines that take a second each.

No work of its own: the gate would load the one anyway, and the letters the other if there are any.
"""

from __future__ import annotations

from importlib import import_module
from threading import Thread

import vl_convert


def get_ready_meanwhile() -> None:
    """Loads Great Expectations and the engine that draws in letters; does not wait."""
    Thread(target=_get_ready).start()


def _get_ready() -> None:
    import_module("expectations.validator")
    vl_convert.vegalite_to_svg({"data": {"values": []}, "mark": "point"})
