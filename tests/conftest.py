"""What all tests share: the tier of a test is its folder, published hospitals, and loading without its pause."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from support import paths
from support.published_sites import PublishedSites

from ingest.raw import loader as raw_load

settings.register_profile("untimed", deadline=None)  # a slow machine fails no test; speed is measured in benchmarks/
settings.load_profile("untimed")


# In unit, no test runs a whole job, a server or a subprocess; integrations runs apart (make test-integrations).
TIERS = ("unit", "slow", "integrations")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with its tier; a mark set by hand could differ from the folder."""
    for item in items:
        tier = Path(item.path).relative_to(paths.TESTS).parts[0]
        if tier not in TIERS or any(item.get_closest_marker(name) for name in TIERS):
            raise pytest.UsageError(
                f"{item.nodeid}: the folder of a test is its tier, one of {', '.join(TIERS)}; it has no mark of its own"
            )
        item.add_marker(tier)


@pytest.fixture(scope="session", autouse=True)
def no_pause_before_second_read() -> Iterator[None]:
    """A file that cannot be read is read again without the pause; the tests of that pause set it themselves."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(raw_load, "LOOK_AGAIN_S", 0.0)
        yield


@pytest.fixture(scope="session")
def published_sites(tmp_path_factory: pytest.TempPathFactory) -> PublishedSites:
    """Sites that all workers of pytest-xdist share: the temporary folder of a worker is in that of the run."""
    folder = tmp_path_factory.getbasetemp()
    return PublishedSites((folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "published_sites")
