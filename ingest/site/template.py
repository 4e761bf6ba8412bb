"""A new site folder to start from: site.yaml with every key explained, empty reference CSVs, an example of a source.

Only the text of new files lives here. Their columns come from ``ingest/site/reference.py``; legal values are checked in
``ingest/site/config.py``, and a test loads what is written here.
"""

from __future__ import annotations

import re
from pathlib import Path

from ingest.problems import UserError
from ingest.site.reference import TABLES, Column, Table

SITE_YAML = """\
# One hospital. Check what you write here with: doseledger check --site .
# Part of every key in the warehouse: do not change it later. Small letters, digits and _.
site_id: {site_id}
name: {name}
timezone: Europe/Madrid            # IANA name: for every time that carries no zone of its own
language: en                       # en, fr or es: letters and reports
jurisdiction: eu                   # dose limits and methods; or es fr it pt de no uk ch us br ma tn dz sn jp in iaea
as_of: today                       # the date of a run that states none; fixed: that of the current publication
lens_regime: null                  # null = the jurisdiction's own; annual_20 or five_year_100 (mSv) where it has both
passive_delay_days: 45             # days after which the result of a passive badge is late
data_dir: data                     # everything that is written goes below this folder
patient_id_placeholders: [ANONYMOUS, UNKNOWN, TEST, "0"]   # patient IDs that mean no patient
patient_id: {{strip_leading_zeros: false}}   # true: IDs that differ in leading zeros only are one patient's
expected_modalities: [XA, RF]      # studies of these that a server names and no dose report came for are listed

dose_reports:
  folder: inbox/dose_reports       # DICOM files, any name, any depth
  # Servers to pull from, and the receiver; user and password are names of environment variables.
  dicomweb: null
  # dicomweb: {{url: "http://127.0.0.1:8042/dicom-web", username_env: X, password_env: Y, lookback_days: 3}}
  dimse: null
  # dimse: {{host: 127.0.0.1, port: 4242, called_ae: ORTHANC, calling_ae: DOSELEDGER, lookback_days: 3}}
  receive: null
  # receive: {{port: 11112, ae_title: DOSELEDGER, allowed_ae: [PACS1]}}

mail:
  from: doseledger@hospital.example
  medical_physics: []              # who gets the digest of new findings
  operations: []                   # who is notified of a failed run
  restricted: []                   # who gets restricted findings (occupational physician)
  # NAME of the environment variable that holds smtp://host:port; while it is unset, letters go to data_dir/outbox.
  smtp_url_env: DOSELEDGER_SMTP_URL
  attach_page: false               # true: each operator's own letter carries the operator's own page as one HTML file

# Addresses that plain JSON is posted to when a run failed or published: each is in the environment variable that
# url_env names.
webhooks: []                       # such as: [{{url_env: DOSELEDGER_WEBHOOK, on: [failed, published]}}]

# The address at which readers open the folder published/current; with it letters name the reader's page.
# pages_url: https://dose.hospital.example

alerts: {{}}                         # such as: absolute_dose: {{enabled: false}}
gate:
  # Of the files first seen in the last 30 days that are still there: more refused than this part of them block the
  # publication; of fewer than 20 files they only warn.
  max_quarantined_files_share: 0.05
# Names of files that are no data, added to Thumbs.db, .DS_Store, desktop.ini, ._*, ~$*, .~lock*, and *.tmp and
# *.part while they are younger than 24 hours.
ignored_files: []                  # such as: ["*.bak"]
# Compressed copies of loaded exports, below data_dir/archive, without the cells of ignored columns: read again when the
# description of a source changes and the inbox was emptied. null: kept for ever.
archive: {{keep_days: null}}
"""

SOURCE_YAML = """\
# How to read the exports of one dosimeter system. Copy this file to <source_id>.yaml, make the folder
# inbox/dosimeters/<source_id> and put the exports there. Nothing is guessed: a column that is neither
# mapped nor ignored refuses the whole file, by name.
source_id: cath_rates
# rate_samples, hourly_totals, sessions, counter_log, procedure_totals or badge_periods
layout: rate_samples
file_pattern: "*.csv"
encoding: utf-8-sig                # utf-8, utf-8-sig, cp1252, iso-8859-1, utf-16 or cp1251
delimiter: ";"
decimal: ","
thousands: null                    # or "." or " " or "'"
skip_rows: 3                       # lines above the header line
footer_pattern: "^(Total|Summe)"   # or null: trailing lines that match are not data
timezone: Europe/Madrid
dst: false                         # false: the clock stays on the zone's standard time all year
datetime_format: "%d.%m.%Y %H:%M:%S"   # or iso8601
sample_seconds: 1                  # rate_samples only
columns:                           # canonical name: column of the file; a list is joined by one blank
  dosimeter_serial: Badge
  started_at: [Date, Time]
  hp10: Dose rate
  hub: Base
units: {hp10: uSv/h}               # nSv uSv mSv Sv mrem rem; for rates with /h /min /s; or unit_column: {hp10: Unit}
hubs: {BASE-01: CATH1}             # hub name of the file: room_id of rooms.csv
ignored_columns: [Battery]
null_tokens: ["", "-"]
below_lod_tokens: ["M", "<LOD"]
unused_tokens: ["Unused"]
"""

README = """\
This folder is one site of DoseLedger.

site.yaml     identity, time zone, mail, thresholds; every key is explained in it
reference/    tables that you keep up (CSV, UTF-8, comma, header line, dates as YYYY-MM-DD, empty = unknown)
sources/      one <source_id>.yaml for each dosimeter system; example.yaml.txt shows one
inbox/        dose_reports/ takes DICOM files, dosimeters/<source_id>/ takes exports
data/         made by the first run: build, publications, letters

Fill in rooms.csv, operators.csv and dosimeters.csv first, then: doseledger check --site .

Columns of the reference tables (* = must be filled in):
"""


def create_site(folder: Path) -> list[Path]:
    """Write a new site folder; ``doseledger check`` finds nothing wrong with it.

    Returns:
        The files written.

    Raises:
        UserError: the folder holds something already, or cannot be written.
    """
    files = _files(folder.absolute().name)
    try:
        if folder.exists() and any(folder.iterdir()):
            raise UserError(f"{folder} is not empty; name a new folder")
        for inbox in ("inbox/dose_reports", "inbox/dosimeters"):
            (folder / inbox).mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, "utf-8")
    except OSError as error:
        raise UserError(f"{folder} cannot be written ({error.strerror}); name another folder") from None
    return [folder / name for name in files]


def _files(folder_name: str) -> dict[str, str]:
    site_id = re.sub(r"[^a-z0-9]+", "_", folder_name.lower()).strip("_")[:32]
    yaml = SITE_YAML.format(site_id=site_id if len(site_id) > 1 else "hospital", name="My hospital")
    headers = {table.file: ",".join(column.name for column in table.columns) + "\n" for table in TABLES}
    columns = "\n".join(map(_described, TABLES))
    return {"README.txt": README + columns, "site.yaml": yaml, "sources/example.yaml.txt": SOURCE_YAML} | headers


def _described(table: Table) -> str:
    need = "required" if table.is_required else "optional: leave it empty or remove it"
    return f"\n{table.file} ({need})\n" + "".join(f"  {_column(column)}\n" for column in table.columns)


_TYPES = {"date": "date", "instant": "date and time", "boolean": "true or false", "decimal": "number"}


def _column(column: Column) -> str:
    what = " | ".join(column.allowed) or _TYPES.get(column.type, "")
    if column.refers_to:
        what = f"one of {column.refers_to[0]}"
    return f"{column.name}{'*' if column.is_required else ''}{f': {what}' if what else ''}"
