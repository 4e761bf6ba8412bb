"""A module of ours as a process of its own, with the modules of this one; who talks to it how is that module's matter.

Not for work that a thread could do: it is for what holds the interpreter, or imports for seconds.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any


def start(module: str, **streams: Any) -> subprocess.Popen[Any]:  # noqa: ANN401 - as Popen has them
    """Starts ``python -m module``; it imports what this process would, and nothing from the working directory."""
    path = {"PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen([sys.executable, "-P", "-m", module], env=os.environ | path, **streams)  # noqa: S603 - ours
