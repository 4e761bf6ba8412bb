"""What all tests share. Its presence here also puts tests/ on the import path of every test; loading does not wait."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from ingest.raw import loader as raw_load

settings.register_profile("untimed", deadline=None)  # a slow machine fails no test; speed is measured in benchmarks/
settings.load_profile("untimed")


@pytest.fixture(scope="session", autouse=True)
def second_look_at_once() -> Iterator[None]:
    """A file that cannot be read is looked at again without the pause; the tests of that pause set it themselves."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(raw_load, "LOOK_AGAIN_S", 0.0)
        yield
