"""X-ray dose reports: DICOM bytes in, one frozen record out, or a refusal with its reason.

Folders, networks and tables are in ingest.sources and ingest.raw.loader.
"""

from ingest.dose_reports.dicom_file import MAX_BYTES, is_dicom
from ingest.dose_reports.reader import read_dose_report
from ingest.dose_reports.scrub import scrub

__all__ = ["MAX_BYTES", "is_dicom", "read_dose_report", "scrub"]
