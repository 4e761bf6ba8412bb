"""The three suites of checks: structural (is it there), logical (does it agree), plausible (can it be true)."""

from __future__ import annotations

from expectations.suites.check import QUESTIONS, SUITES, Check, Severity, Suite
from expectations.suites.logical import logical
from expectations.suites.plausible import Settings, plausible
from expectations.suites.structural import structural

__all__ = ["QUESTIONS", "SUITES", "Check", "Settings", "Severity", "Suite", "checks"]


def checks(settings: Settings) -> list[Check]:
    """All checks of all suites, in the order in which they are reported."""
    return [*structural(), *logical(), *plausible(settings)]
