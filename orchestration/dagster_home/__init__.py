"""What touches the storage and web server of Dagster: instance, stale runs, the processes of the UI."""
