"""How fast dose reports are read, beside other readers on the same files in the same run; and a backfill of thousands.

One command, ``python benchmarks/read_reports.py``, writes read_reports.json and its part of README.md beside it. Only
measuring is here: that all of it is right is the tests' matter.
"""

from __future__ import annotations

import argparse
import csv
import importlib.metadata
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).resolve().parent
REAL = HERE.parents[1] / "shared/real_rdsr"
SITE = "site_id: backfill\nname: Backfill\ntimezone: Europe/Madrid\n"
KEY = {"DOSELEDGER_KEY": "benchmark-benchmark-benchmark-00"}
UID = re.compile(rb"2\.25\.\d{5}")


# --- the readers: each reads all files once ------------------------------------------------------------------------


def read_into_records(files: list[Path]) -> None:
    """DoseLedger: every value that is read, in its unit, with findings, de-identified."""
    from ingest.dose_reports import read_dose_report

    for file in files:
        read_dose_report(file.read_bytes())


def pydicom_all_values(files: list[Path]) -> None:
    """Pydicom, dcmread and a walk that converts every value."""
    import pydicom

    def walk(data: pydicom.Dataset) -> None:
        for element in data:
            if element.VR == "SQ":
                for item in element.value:
                    walk(item)

    for file in files:
        walk(pydicom.dcmread(file))


def pydicom_raw_elements(files: list[Path]) -> None:
    """Pydicom's lower layers: raw elements only, sequences parsed, no other value converted."""
    import pydicom
    from pydicom.dataelem import RawDataElement
    from pydicom.values import convert_SQ

    from ingest.dose_reports.structure import SEQUENCE_TAGS

    def walk(data: pydicom.Dataset) -> None:
        for tag in data.keys():  # noqa: SIM118 - iterating over the data set itself would convert
            element = data.get_item(tag)
            if element.VR == "SQ" or tag in SEQUENCE_TAGS:
                items = element.value or []
                if isinstance(element, RawDataElement):
                    items = convert_SQ(items or b"", element.is_implicit_VR, element.is_little_endian)
                for item in items:
                    walk(item)

    for file in files:
        walk(pydicom.dcmread(file))


def dcmdump_as_text(files: list[Path]) -> None:
    """Debian's dcmdump, every value as text, one process for all files."""
    subprocess.run(["dcmdump", *map(str, files)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def dicomsdl_as_text(files: list[Path]) -> None:
    """Dicomsdl (C++), every value as text."""
    import dicomsdl

    for file in files:
        dicomsdl.open(str(file)).dump()


def gdcm_parsed(files: list[Path]) -> None:
    """Python-gdcm (C++), parsed into its tree; no value converted."""
    import gdcm

    for file in files:
        reader = gdcm.Reader()
        reader.SetFileName(str(file))
        if not reader.Read():
            raise ValueError(file)


READERS: dict[str, Callable[[list[Path]], None]] = {
    f.__name__: f
    for f in (
        *(read_into_records, pydicom_all_values, pydicom_raw_elements),
        *(dcmdump_as_text, dicomsdl_as_text, gdcm_parsed),
    )
}
PACKAGES = {"dicomsdl_as_text": "dicomsdl", "gdcm_parsed": "python-gdcm"}


def is_there(reader: str) -> bool:
    """Whether a reader's package (extra ``bench``) or program is installed."""
    if reader == "dcmdump_as_text":
        return shutil.which("dcmdump") is not None
    try:
        return reader not in PACKAGES or bool(importlib.metadata.version(PACKAGES[reader]))
    except importlib.metadata.PackageNotFoundError:
        return False


# --- measuring: each measurement in a process of its own, so that nothing is warm from the one before -------------


def measured(what: str, arguments: dict[str, Any], *, one_core: bool) -> dict[str, Any]:
    """Run one of the functions of ``INSIDE`` in a fresh process."""
    core = {min(os.sched_getaffinity(0))} if one_core else None
    done = subprocess.run(
        [sys.executable, "-W", "ignore", __file__, "--inside", what, json.dumps(arguments)],
        preexec_fn=(lambda: os.sched_setaffinity(0, core)) if core else None,
        check=True,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(HERE.parent)},
    )
    return json.loads(done.stdout)


def _read(reader: str, files: list[str]) -> dict[str, float]:
    paths = [Path(file) for file in files]
    READERS[reader](paths[:1])  # imports are not measured
    if reader == "read_into_records":
        from ingest.dose_reports.structure import _kept
        from ingest.dose_reports.values import _converted

        _kept.clear()
        _converted.cache_clear()
    cpu, wall = _cpu_seconds(), time.perf_counter()
    READERS[reader](paths)
    return {"cpu_s": _cpu_seconds() - cpu, "wall_s": time.perf_counter() - wall}


def _backfill(site: str) -> dict[str, Any]:
    from ingest.pseudonymise import load_key
    from ingest.raw.build_db import open_build
    from ingest.raw.loader import load_dose_reports
    from ingest.raw.reference_load import load_reference
    from ingest.site.config import load_site

    loaded, key = load_site(Path(site)), load_key("backfill", KEY)
    cpu, wall = _cpu_seconds(), time.perf_counter()
    with open_build(loaded, key) as con:
        load_reference(con, loaded)
        summary = load_dose_reports(con, loaded, key)
    used = {"cpu_s": _cpu_seconds() - cpu, "wall_s": time.perf_counter() - wall}
    peaks = [resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    counts = {"statuses": dict(summary.statuses), "events": summary.rows_loaded}
    return used | counts | {"peak_rss_mb": peaks[0], "peak_rss_mb_of_a_reading_process": peaks[1]}


def _cpu_seconds() -> float:
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


INSIDE: dict[str, Callable[..., dict[str, Any]]] = {"read": _read, "backfill": _backfill}


# --- what is read --------------------------------------------------------------------------------------------------


def fluoroscopy_reports(scratch: Path) -> tuple[str, list[Path]]:
    """The real fluoroscopy reports where they lie beside the checkout, else those of a synthetic hospital."""
    if REAL.exists():
        with (REAL / "manifest.csv").open(encoding="utf-8", newline="") as lines:
            names = [row["file"] for row in csv.DictReader(lines) if row["modality"] == "RF"]
        return "real fluoroscopy reports", [REAL / name for name in sorted(names)]
    return "synthetic fluoroscopy reports", synthetic_reports(scratch)


def synthetic_reports(scratch: Path) -> list[Path]:
    """The dose reports of a small synthetic hospital."""
    from synthetic_hospital import write_hospital

    if not (scratch / "hospital").exists():
        write_hospital(scratch / "hospital", "tiny")
    found = sorted(path for path in (scratch / "hospital/inbox/dose_reports").rglob("*") if path.is_file())
    return [path for path in found if path.read_bytes()[128:132] == b"DICM"]


def write_backfill(site: Path, originals: list[Path], count: int) -> int:
    """A site with as many reports, each with UIDs of its own; gives their size in bytes."""
    (site / "reference").mkdir(parents=True)
    (site / "site.yaml").write_text(SITE)
    for name, header in reference_headers():
        (site / f"reference/{name}.csv").write_text(header)
    contents = [path.read_bytes() for path in originals]
    size = 0
    for number in range(count):
        content = UID.sub(b"2.25.%05d" % (10_000 + number), contents[number % len(contents)])
        folder = site / f"inbox/dose_reports/{number // 100:03}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number:05}.dcm").write_bytes(content)
        size += len(content)
    return size


def reference_headers() -> Iterator[tuple[str, str]]:
    """The required reference files, empty."""
    from ingest.site.reference import TABLES

    for table in TABLES:
        if table.name in ("rooms", "operators", "dosimeters"):
            yield table.name, ",".join(column.name for column in table.columns) + "\n"


# --- the whole, and its page ---------------------------------------------------------------------------------------


def run(rounds: int, count: int) -> dict[str, Any]:
    """All measurements; the readers take turns in each round."""
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        what, files = fluoroscopy_reports(scratch)
        readers = [reader for reader in READERS if is_there(reader)]
        times: dict[str, list[dict[str, Any]]] = {reader: [] for reader in readers}
        for number in range(rounds):
            for reader in readers:
                print(f"round {number + 1} of {rounds}: {reader}", file=sys.stderr)
                arguments = {"reader": reader, "files": [str(file) for file in files]}
                times[reader].append(measured("read", arguments, one_core=True))
        print(f"backfill of {count} reports", file=sys.stderr)
        size = write_backfill(scratch / "site", synthetic_reports(scratch), count)
        backfill = measured("backfill", {"site": str(scratch / "site")}, one_core=False)
    sizes = {"files": len(files), "mb": sum(file.stat().st_size for file in files) / 1e6}
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "processors": len(os.sched_getaffinity(0)),
        "load_average": os.getloadavg(),
        "rounds": rounds,
        "reading": {"what": what, **sizes, "readers": times, "not_installed": sorted(READERS.keys() - times.keys())},
        "backfill": {"reports": count, "mb": size / 1e6, **backfill},
    }


def page(result: dict[str, Any]) -> str:
    """The result as a page."""
    reading, backfill = result["reading"], result["backfill"]
    middle = {
        reader: {unit: median(turn[unit] for turn in turns) for unit in ("cpu_s", "wall_s")}
        for reader, turns in reading["readers"].items()
    }
    ours = middle["read_into_records"]["cpu_s"]
    rows = "\n".join(
        f"| {str(READERS[reader].__doc__).rstrip('.')} | {t['cpu_s'] * 1000:.0f} | {t['wall_s'] * 1000:.0f} "
        f"| {t['cpu_s'] / ours:.1f} |"
        for reader, t in sorted(middle.items(), key=lambda pair: pair[1]["cpu_s"])
    )
    missing = ", ".join(reading["not_installed"])
    return PAGE.format(
        rows=rows,
        missing=f"\nNot installed, so not measured: {missing}.\n" if missing else "",
        load=result["load_average"][0],
        per_s=backfill["reports"] / backfill["wall_s"],
        **{k: result[k] for k in ("measured_at", "processors", "rounds")},
        **{k: reading[k] for k in ("what", "files", "mb")},
        **{f"b_{k}": v for k, v in backfill.items()},
    )


PAGE = """# Benchmark: reading dose reports

Made by `python benchmarks/read_reports.py` (packages: `pip install -e '.[bench]'`, and Debian's `dcmtk`) on
{measured_at} with {processors} processors and a load average of {load:.1f}; the single measurements are in
read_reports.json.

**Reading** {files} {what} ({mb:.1f} MB), one core: median of {rounds} rounds in which the readers take turns, each in a
fresh process that keeps nothing from an earlier round; imports are not counted.

| reader | CPU ms | wall ms | CPU, DoseLedger = 1 |
|---|---:|---:|---:|
{rows}
{missing}
**Backfill** of {b_reports} synthetic reports ({b_mb:.0f} MB) into the raw tables of an empty site, all processors:
{per_s:.0f} reports a second ({b_wall_s:.0f} s, {b_cpu_s:.0f} s of CPU), {b_events} irradiation events,
outcomes {b_statuses}; peak memory {b_peak_rss_mb:.0f} MB in the loading process,
{b_peak_rss_mb_of_a_reading_process:.0f} MB in a reading one.

What the figures say: pydicom builds a stream, a generator and a data set for every sequence item, and tolerates what
must be refused here, so a check would come on top. DoseLedger checks and keeps in one pass, reads an item whose bytes,
but for its number, were there before only once, and converts only what it is asked for.
"""


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5, help="turns of each reader (5)")
    parser.add_argument("--backfill", type=int, default=10_000, help="reports of the backfill (10000)")
    parser.add_argument("--inside", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        what, arguments = options.inside
        print(json.dumps(INSIDE[what](**json.loads(arguments))))
        return
    result = run(options.rounds, options.backfill)
    (HERE / "read_reports.json").write_text(json.dumps(result, indent=1) + "\n")
    readme = HERE / "README.md"
    _, _, *others = re.split(r"^(?=# )", readme.read_text("utf-8"), flags=re.MULTILINE)
    readme.write_text("\n".join([page(result), *others]), encoding="utf-8")
    print(page(result))


if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parent))
    main()
