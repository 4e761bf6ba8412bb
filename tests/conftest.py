"""Fixtures that several rooms need. Its presence here also puts tests/ on the import path of every test."""
