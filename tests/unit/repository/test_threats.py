"""The table of threats names tests: each is there."""

from __future__ import annotations

import re

from support import paths

TESTS = paths.TESTS
TABLE = TESTS.parent / "docs" / "operations" / "threats.md"
NAMED = re.compile(r"`(?:(test_\w+\.py)::)?(test_\w+)`")  # a name without a file is of the file before it


def named_tests() -> list[tuple[str, str]]:
    found = []
    for line in TABLE.read_text("utf-8").splitlines():
        file = ""
        for name in NAMED.finditer(line):
            file = name[1] or file
            found.append((file, name[2]))
    return found


def test_each_test_that_the_table_names_is_there() -> None:
    named = named_tests()
    assert len(named) > 25
    for file, name in named:
        (path,) = TESTS.rglob(file)
        assert re.search(rf"^def {name}\(", path.read_text("utf-8"), re.MULTILINE), f"{file}::{name}"
