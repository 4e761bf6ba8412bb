"""The site's own files in the raw tables: site.yaml, reference CSVs and source descriptions, replaced as a whole."""

from __future__ import annotations

from dataclasses import asdict

from ingest.problems import Problem
from ingest.raw.file_ledger import known_inputs
from ingest.raw.writer import Connection, insert, rows_of_mappings, transaction
from ingest.site.config import Site
from ingest.site.reference import PRIVATE_COLUMNS, TABLES
from ingest.site.reference_reader import badge_overlaps


def load_reference(con: Connection, site: Site) -> bool:
    """Replace the raw tables of site.yaml, reference CSVs and source descriptions, if these changed.

    Returns:
        Whether anything was replaced.
    """
    if known_inputs(con) == site.inputs:
        return False
    with transaction(con):
        for table, rows in _reference_rows(site).items():
            con.execute(f"delete from raw.{table}")
            insert(con, table, rows_of_mappings(table, rows))
        con.execute("delete from raw.finding where load_seq is null")
        insert(con, "finding", rows_of_mappings("finding", list(map(_finding, site.problems))))
    return True


def _reference_rows(site: Site) -> dict[str, list[dict[str, object]]]:
    """The rows of every table that is made from the site's own files."""
    config, rooms = site.config, {row["room_id"] for row in site.reference["rooms"].rows}
    rows: dict[str, list[dict[str, object]]] = {
        "input_file": [{"path": path, "sha256": sha256} for path, sha256 in site.inputs.items()],
        "site": [
            config.model_dump(
                include={
                    "site_id",
                    "name",
                    "timezone",
                    "language",
                    "jurisdiction",
                    "lens_regime",
                    "passive_delay_days",
                }
            )
            | {"is_patient_id_stripped": config.patient_id.strip_leading_zeros}
        ],
        "source": [
            source.model_dump()
            | {"has_hubs": "hub" in source.columns, "lod_usv": source.lod.usv if source.lod else None}
            for source in site.sources.values()
        ],
        "source_hub": [
            {"source_id": source.source_id, "hub": hub, "room_id": room}
            for source in site.sources.values()
            for hub, room in source.hubs.items()
            if room in rooms
        ],
        "alert_setting": [
            {"rule": rule, "name": name, "value": str(value).lower()}
            for rule, settings in config.alerts.items()
            for name, value in settings.items()
        ],
        "ref_dosimeter_overlap": [asdict(overlap) for overlap in badge_overlaps(site.reference["dosimeters"].rows)],
    }
    for table in TABLES:
        raw_names = {column.name: column.raw_name for column in table.columns}
        rows[f"ref_{table.name}"] = [
            {raw_names.get(name, name): value for name, value in row.items()} for row in site.reference[table.name].rows
        ]
    return rows


def _finding(problem: Problem) -> dict[str, object]:
    """A problem as a finding that medical physics may read: which private value is wrong, only 'check' says."""
    finding = asdict(problem) | {"load_seq": None, "path": problem.file}
    if problem.field in PRIVATE_COLUMNS:
        message = "a private value cannot be read, so the row is refused; 'doseledger check' says which"
        finding |= {"field": None, "message": message}
    return finding
