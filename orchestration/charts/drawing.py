"""Pictures drawn by a process of its own: the engine holds the interpreter while it draws, and a night has other work.

Only the two ends live here: Vega-Lite specifications in, SVG out. What a picture shows is said where it is asked for.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping
from typing import Any

from orchestration import own_process


class Drawing:
    """Pictures that are being drawn from now on, by a process that ends with the last of them."""

    def __init__(self, pictures: Mapping[str, Mapping[str, Any]]) -> None:
        self._drawn, self._errors = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115 - until they are read
        with tempfile.TemporaryFile("w+", encoding="utf-8") as asked:
            json.dump(pictures, asked)
            asked.seek(0)
            self._process = own_process.start(
                "orchestration.charts.drawing", stdin=asked, stdout=self._drawn, stderr=self._errors
            )

    def svgs(self) -> dict[str, str]:
        """The pictures by name, once they are all there.

        Raises:
            RuntimeError: one of them could not be drawn.
        """
        status = self._process.wait()
        with self._drawn as drawn, self._errors as errors:
            drawn.seek(0)
            errors.seek(0)
            if status:
                printed = errors.read().decode(errors="replace").strip()
                sentence = f"The pictures could not be drawn (status {status}): {printed.rpartition(chr(10))[2]}"
                raise RuntimeError(sentence) from RuntimeError(printed)  # the whole of it for Dagster's records
            svgs: dict[str, str] = json.load(drawn)
        return svgs


class Begun(dict[str, Drawing]):
    """Drawings that an earlier step of this process began, by build_id."""


def main() -> None:
    """Draws what it is asked for."""
    import vl_convert

    pictures = json.load(sys.stdin)
    json.dump({name: vl_convert.vegalite_to_svg(picture) for name, picture in pictures.items()}, sys.stdout)


if __name__ == "__main__":
    main()
