"""Bytes to typed records: files, DICOM, CSV, units, clocks' zones, pseudonyms, raw tables.

This package imports neither Dagster nor dbt, and has no marts or alerts.
"""
