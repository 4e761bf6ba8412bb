"""One night of a hospital for all tests of the pages; publications that differ in some rows are copies of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb
import pytest
from support.small_site import KEY

from ingest.site.config import SiteConfig, load_site
from orchestration.nightly import run_nightly
from orchestration.pages.audiences import write_pages
from orchestration.resources import silent
from synthetic_hospital import write_hospital

AS_OF = date(2024, 4, 30)
DATABASES = ("warehouse.duckdb", "restricted/restricted.duckdb", "department/warehouse.duckdb")


@dataclass(frozen=True)
class Night:
    """A published hospital."""

    folder: Path
    site: SiteConfig

    @property
    def physics(self) -> Path:
        """Folder of the pages of medical physics."""
        return self.folder / "pages" / "physics"


@pytest.fixture(scope="session")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    root = tmp_path_factory.mktemp("hospital") / "site"
    write_hospital(root, "tiny-paper")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOSELEDGER_KEY", KEY["DOSELEDGER_KEY"])
        result = run_nightly(root, AS_OF, silent)
        assert result.outcome == "published", result.reasons
        config = load_site(root).config
    yield Night((root / "data" / "published" / "current").resolve(), config)


Changed = Callable[..., Night]


@pytest.fixture
def changed(night: Night, tmp_path: Path) -> Changed:
    """The same publication with some SQL run on its databases, or another language, and its pages written again."""

    def make(*statements: str, **settings: object) -> Night:
        folder = tmp_path / "changed"
        for name in DATABASES:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(night.folder / name, folder / name)
        for name in DATABASES[:2]:
            with duckdb.connect(folder / name) as con:
                for statement in statements:
                    con.execute(statement)
        site = night.site.model_copy(update=settings)
        write_pages(folder, site)
        return Night(folder, site)

    return make
