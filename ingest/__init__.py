"""Bytes to typed records: files, DICOM, CSV, units, clocks' zones, pseudonyms, raw tables.

This room knows nothing of Dagster, dbt, marts or alerts.
"""
