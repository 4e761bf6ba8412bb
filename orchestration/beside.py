"""A second process for what takes seconds to import: it imports while the tables are built, and works when it is asked.

No work of its own and no state; what it does is the caller's function, with arguments and results that can be pickled.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from importlib import import_module
from typing import ParamSpec, TypeVar

Given = ParamSpec("Given")
Told = TypeVar("Told")


def get_ready(module: str) -> None:
    """Starts the process and its import of a module, and does not wait."""
    _process().submit(_import, module)


def work_beside(function: Callable[Given, Told], *arguments: Given.args, **named: Given.kwargs) -> Told:
    """Calls a function in the second process and waits; what it raises is raised here. Then that process ends."""
    process = _process()
    _process.cache_clear()
    try:
        return process.submit(function, *arguments, **named).result()
    finally:
        process.shutdown(wait=False)  # it takes a second, in which this one goes on


@cache
def _process() -> ProcessPoolExecutor:
    # "spawn": a fork of a process with DuckDB's threads could hang.
    return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))


def _import(module: str) -> None:
    import_module(module)
