"""Great Expectations, imported without the libraries that only a few of its expectations need, none of them ours.

Only this import lives here. Statistics and charts that it loads for the Kullback-Leibler divergence are a third of it,
a second and a half of each night; whoever does use them gets them, that much later.
"""

import os
import sys
from importlib import import_module
from types import ModuleType

LOADED_WHEN_USED = ("scipy.stats", "altair")


def _when_used(name: str) -> ModuleType:
    """Stands in for a module until something in it is asked for (PEP 562)."""
    stand_in = ModuleType(name)

    def load(attribute: str) -> object:
        if sys.modules.get(name) is stand_in:
            del sys.modules[name]
        return getattr(import_module(name), attribute)

    stand_in.__getattr__ = load  # type: ignore[method-assign]
    return stand_in


for _name in LOADED_WHEN_USED:
    if _name not in sys.modules:
        sys.modules[_name] = _when_used(_name)
os.environ["GX_ANALYTICS_ENABLED"] = "false"  # a closed network: nothing may wait for a host

import great_expectations as gx  # noqa: E402 - what it finds loaded it does not load
from great_expectations import expectations as gxe  # noqa: E402
from great_expectations.data_context.types.base import ProgressBarsConfig  # noqa: E402

__all__ = ["ProgressBarsConfig", "gx", "gxe"]
