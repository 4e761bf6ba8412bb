"""One night of a hospital for all tests of the pages; publications that differ in some rows are copies of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest
from support.published_sites import PublishedSites

from ingest.site.config import SiteConfig, load_site
from orchestration.pages.audiences import write_pages

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
def night(published_sites: PublishedSites) -> Night:
    return night_of(published_sites.site("tiny-paper"))


def night_of(root: Path) -> Night:
    """The last publication of a site."""
    return Night((root / "data" / "published" / "current").resolve(), load_site(root).config)


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
