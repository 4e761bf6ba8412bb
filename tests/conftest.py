"""What all tests share: the tier of a test is its folder, and loading does not wait."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from support import paths

from ingest.raw import loader as raw_load

settings.register_profile("untimed", deadline=None)  # a slow machine fails no test; speed is measured in benchmarks/
settings.load_profile("untimed")


TIERS = ("unit", "slow")  # of the first, none runs a whole job, a server or a subprocess


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with its tier; a mark by hand could say something else than the folder."""
    for item in items:
        tier = Path(item.path).relative_to(paths.TESTS).parts[0]
        if tier not in TIERS or item.get_closest_marker("slow"):
            raise pytest.UsageError(f"{item.nodeid}: tests are in tests/unit or tests/slow, and the folder is the mark")
        if tier == "slow":
            item.add_marker("slow")


@pytest.fixture(scope="session", autouse=True)
def second_look_at_once() -> Iterator[None]:
    """A file that cannot be read is looked at again without the pause; the tests of that pause set it themselves."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(raw_load, "LOOK_AGAIN_S", 0.0)
        yield
