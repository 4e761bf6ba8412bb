"""Badge exports: the description of a source, and its files as typed records.

Knows CSV, layouts, units and clocks. Knows nothing of tables, links or alerts.
"""
