"""Rows as aligned lines of text, whole on any terminal and in any pipe: a dose is never shown cut to fit a window.

Only alignment lives here; tables that may be shortened are rich's.
"""

from __future__ import annotations

from collections.abc import Sequence


def aligned(header: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str] = ()) -> list[str]:
    """The header and the rows as lines, columns two blanks apart; a column that is empty in all rows is left out.

    Args:
        header: names of the columns.
        rows: as many cells as the header has.
        right: names of the columns that are aligned to the right.
    """
    shown = [column for column, cells in enumerate(zip(*rows, strict=True)) if any(cells)]
    table = [[row[column] for column in shown] for row in [header, *rows]]
    widths = [max(map(len, cells)) for cells in zip(*table, strict=True)]
    to_right = [header[column] in right for column in shown]
    return [
        "  ".join(
            cell.rjust(width) if is_right else cell.ljust(width)
            for cell, width, is_right in zip(row, widths, to_right, strict=True)
        ).rstrip()
        for row in table
    ]
