"""Helpers of the tests: builders of input, servers, independent recomputations."""
