"""The data docs of each build as a file below the site's data_dir: written, found again, and kept for a while.

Files only; expectations/data_docs.py renders the page.
"""

from __future__ import annotations

from pathlib import Path

from ingest.folders import GROUP_PASSES, make_folder

KEPT = 30  # pages; a month of nights


def data_docs_file(data_dir: Path, build_id: str) -> Path:
    """Where the page of a build is, as long as it is kept. ``ledger.publication`` has the build_id too."""
    return data_dir / "data_docs" / f"{build_id}.html"


def write_data_docs(data_dir: Path, build_id: str, page: str) -> Path:
    """Writes the page of a build and removes the oldest beyond those that are kept.

    Raises:
        OSError: data_dir cannot be written.
    """
    file = data_docs_file(data_dir, build_id)
    make_folder(file.parent, GROUP_PASSES)
    new = file.with_suffix(".tmp")
    new.write_text(page, "utf-8")
    new.chmod(0o640)
    new.replace(file)
    by_age = sorted(file.parent.glob("*.html"), key=lambda path: (path.stat().st_mtime_ns, path == file))
    for old in by_age[:-KEPT]:
        old.unlink()
    return file
