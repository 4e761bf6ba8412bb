"""A site: its folder read into one checked value (site.yaml, reference CSVs, source descriptions)."""

from ingest.site.config import load_site

__all__ = ["load_site"]
