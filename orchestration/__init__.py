"""The nightly job of Dagster, the publication, letters and pages, and the command line.

It decides when and in which order; files are read by `ingest`, doses computed by dbt, tables judged by `expectations`.
"""
