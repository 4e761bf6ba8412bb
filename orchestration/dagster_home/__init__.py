"""What touches the storage and web server of Dagster: instance, event log, stale runs, the processes of the UI."""
