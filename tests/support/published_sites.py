"""Published demo hospitals, each created once for all processes of a test run."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import pytest
from filelock import FileLock

from orchestration.nightly import run_nightly
from orchestration.resources import silent
from support.small_site import KEY
from synthetic_hospital import write_hospital

AS_OF = {"tiny": date(2024, 4, 30), "tiny-paper": date(2024, 4, 30), "paper": date(2024, 9, 30)}


class PublishedSites:
    """Sites by preset, in a folder that the processes of a test run share. They are read only: change a copy."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def site(self, preset: str) -> Path:
        """Site folder of a demo hospital with the publication of one night."""
        folder = self._folder / preset
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / "lock"):
            if not (folder / "published").exists():
                write_hospital(folder / "site", preset)
                publish(folder / "site", AS_OF[preset])
                (folder / "published").touch()
        return folder / "site"

    def copy(self, preset: str, site: Path) -> Path:
        """A copy of that site, with all that its night left behind."""
        return Path(shutil.copytree(self.site(preset), site, symlinks=True))


def publish(site: Path, as_of: date) -> None:
    """Run a night that must publish."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("DOSELEDGER_KEY", KEY["DOSELEDGER_KEY"])
        result = run_nightly(site, as_of, silent)
    assert result.outcome == "published", result.reasons
