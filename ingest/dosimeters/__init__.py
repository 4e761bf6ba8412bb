"""Badge exports: the description of a source, and its files as typed records.

CSV, layouts, units and clocks; no tables, links or alerts.
"""
