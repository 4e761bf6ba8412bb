"""What this process gets ready while dbt's process makes the tables: imports and engines that take a second each.

No work of its own: whoever needs them later would load them anyway.
"""

from __future__ import annotations

from importlib import import_module
from threading import Thread

import vl_convert


def get_ready_meanwhile() -> None:
    """Loads Great Expectations and the engine that draws; does not wait."""
    Thread(target=_get_ready).start()


def _get_ready() -> None:
    import_module("expectations.great_expectations_lean")
    vl_convert.vegalite_to_svg({"data": {"values": []}, "mark": "point"})
