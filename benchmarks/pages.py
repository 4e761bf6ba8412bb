"""How long the pages of a publication take, and how large they are; and their pictures for the documentation.

    python benchmarks/pages.py SITE --json benchmarks/pages.json --pictures docs/images --procedure PREFIX

SITE has a current publication; its databases are read, its pages are written again into a temporary folder. Pictures
need Debian's `chromium`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from ingest.site.config import SiteConfig, load_site
from orchestration.one_file import as_one_file
from orchestration.pages.audiences import OPERATORS, write_pages
from orchestration.pages.page import STATIC
from orchestration.publication.snapshot import DEPARTMENT, RESTRICTED, WAREHOUSE

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from support.browser import Browser, chromium

ROUNDS = 5
SCREENS = {"wide": 1440, "narrow": 390}  # px
TALLEST_PX = 1500  # of a long page its beginning is shown
DATABASES = (WAREHOUSE, RESTRICTED, DEPARTMENT)


def main() -> None:
    """Write the pages several times, record time and size, and draw two of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("site", type=Path)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--procedure", default="", help="first characters of the procedure to draw")
    arguments = parser.parse_args()
    site = load_site(arguments.site)
    published = site.published_dir.resolve() / "current"
    with tempfile.TemporaryDirectory() as folder:
        seconds = [written(published, Path(folder) / str(number), site.config) for number in range(ROUNDS)]
        last = Path(folder) / str(ROUNDS - 1)
        files = [file for file in last.rglob("*") if file.is_file() and not file.is_symlink()]
        files = [file for file in files if file.suffix in (".html", ".css", ".csv", ".js")]
        result = {
            "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "processors": os.cpu_count(),
            "load_average": os.getloadavg()[0],
            "seconds": [round(one, 2) for one in seconds],
            "median_s": round(median(seconds), 2),
            "megabytes": round(sum(file.stat().st_size for file in files) / 1e6, 2),
            "attached_kilobytes": attached_kilobytes(last),
            "pages": Counter(file.parent.relative_to(last).as_posix() for file in files if file.suffix == ".html"),
        }
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", "utf-8")
        print(json.dumps(result, indent=2))
        if arguments.pictures:
            physics = last / "pages" / "physics"
            draw = {"today": physics / "index.html"}
            draw["procedure"] = next((physics / "procedures").glob(f"{arguments.procedure}*.html"))
            with chromium(Path(folder) / "chromium") as browser:
                for name, page in draw.items():
                    pictures(browser, page, arguments.pictures / f"page_{name}")


def attached_kilobytes(folder: Path) -> float:
    """Size of the largest page of an operator as the one file that a letter carries, as base64."""
    css = (STATIC / "style.css").read_text("utf-8")
    pages = (page.read_text("utf-8") for page in (folder / OPERATORS).glob("*/index.html"))
    return round(max(len(as_one_file(page, css).encode()) for page in pages) * 4 / 3 / 1e3, 1)


def written(published: Path, folder: Path, site: SiteConfig) -> float:
    """Seconds that all pages of a publication take."""
    folder.mkdir()
    for name in DATABASES:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).symlink_to(published / name)
    begin = time.perf_counter()
    write_pages(folder, site)
    return time.perf_counter() - begin


def pictures(browser: Browser, page: Path, target: Path) -> None:
    """One picture a width."""
    for screen, width in SCREENS.items():
        browser.open(page.as_uri(), width)
        file = target.with_name(f"{target.name}_{screen}.png")
        browser.picture(file, TALLEST_PX)
        print(file, f"{file.stat().st_size // 1024} kB")


if __name__ == "__main__":
    main()
