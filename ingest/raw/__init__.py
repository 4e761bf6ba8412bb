"""The raw tables: which files are new, what they state, written in one transaction a file; append-only."""
