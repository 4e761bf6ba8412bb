"""`classify`: each description of the dose reports with its number of studies, its procedure class and the rule.

The words for the terminal; ``procedure_classes.py`` finds the classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ingest.site.config import Site
from orchestration.console.aligned import aligned
from orchestration.console.procedure_classes import (
    FIRST_REPORTS,
    UNCLASSIFIED,
    Classified,
    classified_descriptions,
)

NO_RULE = "no rule matches"


def classification_lines(found: Sequence[Classified]) -> Iterator[str]:
    """Lines of a table, those without a class first, and how many studies these are."""
    if not found:
        yield "No dose report was found: neither in the last build nor in the inbox."
        return
    rows = [
        (str(one.studies), one.description.modality, one.procedure_class, one.description.text, one.rule or NO_RULE)
        for one in found
    ]
    yield from aligned(("studies", "modality", "class", "description", "rule"), rows, right=("studies",))
    total = sum(one.studies for one in found)
    without = sum(one.studies for one in found if one.procedure_class == UNCLASSIFIED)
    if without:
        yield ""
        yield f"Studies without a class: {without} of {total}; they are compared with no others."
        yield "Add a rule to reference/procedure_types.csv."


def unclassified_sentence(site: Site) -> list[str]:
    """How many procedures have no class, for `check`; nothing where each has one.

    Where nothing was built yet, of the first dose reports of the inbox.
    """
    found = [one for one in classified_descriptions(site, FIRST_REPORTS) if one.description.modality == "XA"]
    without = sum(one.studies for one in found if one.procedure_class == UNCLASSIFIED)
    if not without:
        return []
    total = sum(one.studies for one in found)
    return [f"{without} of {total} procedures have no procedure class; 'doseledger classify' lists their descriptions."]
