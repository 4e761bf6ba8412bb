"""Charts of letters and of the Dagster UI."""
