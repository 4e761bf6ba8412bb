"""The installed product: its folder, version, commit, and a fingerprint of everything that decides a number.

Independent of any site.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

PRODUCT = Path(__file__).resolve().parents[1]
DBT_PROJECT = PRODUCT / "dbt_project"
# The files that decide what is read, computed, checked and copied. dbt writes into target/ and logs/: not among them.
DECIDING = (
    "ingest/**/*.py",
    "ingest/**/*.sql",
    "expectations/**/*.py",
    "dbt_project/*.yml",
    "dbt_project/models/**/*",
    "dbt_project/macros/**/*",
    "dbt_project/materializations/**/*",
    "dbt_project/seeds/**/*",
    "dbt_project/tests/**/*",
    "orchestration/publication/snapshot.py",
)


def product_version() -> str:
    """Version of the installed product."""
    return version("doseledger")


def product_fingerprint() -> str:
    """SHA-256 over the deciding files: a changed model, seed or check makes a new publication of the same input."""
    digest = hashlib.sha256(product_version().encode())
    for path in deciding_files():
        digest.update(path.relative_to(PRODUCT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def deciding_files(patterns: tuple[str, ...] = DECIDING) -> list[Path]:
    """The files behind the patterns, in a fixed order."""
    return sorted(path for pattern in patterns for path in PRODUCT.glob(pattern) if path.is_file())


def git_commit() -> str | None:
    """Commit of the product where it runs from a checkout, else None."""
    git = shutil.which("git")
    if git is None or not (PRODUCT / ".git").exists():
        return None
    answer = subprocess.run(  # noqa: S603 - a fixed command
        [git, "-C", str(PRODUCT), "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    )
    return answer.stdout.strip() if answer.returncode == 0 else None
