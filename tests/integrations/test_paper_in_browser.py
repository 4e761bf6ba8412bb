"""Every page of the hospital of the paper in Chromium, at every width; the slow tier opens those of a small one."""

from __future__ import annotations

from pathlib import Path

from slow.orchestration.pages.conftest import night_of
from slow.orchestration.pages.test_in_browser import OVERFLOW, WIDTHS, pages
from support.browser import chromium, served
from support.published_sites import PublishedSites


def test_no_page_complains_or_scrolls_sideways(published_sites: PublishedSites, tmp_path: Path) -> None:
    night = night_of(published_sites.site("paper"))
    wide = []
    with chromium(tmp_path) as browser, served(night.folder) as address:
        for page in pages(night):
            browser.open(f"{address}/{page}")
            for width in WIDTHS:
                browser.resize(width)
                if browser.evaluate(OVERFLOW) > 0:
                    wide.append((page, width))
        assert browser.logs == []
    assert wide == []
