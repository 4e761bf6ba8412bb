"""Pages about the published files, made from the descriptions of the dbt project."""
