"""The letter to operations about a run that failed, or that could not fetch everything: which step, why, what to do.

Pure: troubles in, an EmailMessage out. Sentences are those that the run says itself; they hold no patient data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from email.message import EmailMessage
from pathlib import Path

from orchestration import steps
from orchestration.figures.wording import wording
from orchestration.letters.letter import Envelope, one_line, write_letter

# Troubles outside a step: before the first one, in fetching, and of a run that ended without an answer.
SITE, PULL, RUN = "site", "pull", "run"
# Steps with words of their own.
STEPS = (SITE, PULL, steps.RAW, steps.DBT_MODELS, steps.GATE, steps.PUBLICATION, steps.LETTERS, steps.CHARTS)
# What a letter states of the publication if nothing but these steps failed; else nothing was published.
KINDS = {
    "incomplete": {PULL},
    "undrawn": {steps.CHARTS},
    "unsent": steps.AFTER_PUBLICATION,
    "interrupted": {RUN},
}


@dataclass(frozen=True, slots=True)
class Trouble:
    """What went wrong in one step.

    Attributes:
        step: one of STEPS, ``run`` or another step.
        sentences: what the step says of it, in English, one line each.
        page: the data docs of the build, where the gate blocked it.
    """

    step: str
    sentences: tuple[str, ...]
    page: Path | None = None


def operations_letter(
    troubles: Sequence[Trouble], site_name: str, language: str, happened_on: date, envelope: Envelope
) -> EmailMessage:
    """Write the letter in the site's language; the sentences stay as the program said them."""
    words = wording(language)
    failed = {trouble.step for trouble in troubles}
    kind = next((kind for kind, of_kind in KINDS.items() if failed <= of_kind), "failed")
    context = {
        "site_name": one_line(site_name),
        "happened_on": words.day(happened_on),
        "heading": words.say(f"operations.{kind}.heading", day=words.day(happened_on)),
        "consequence": words.say(f"operations.{kind}.consequence", day=words.day(happened_on)),
        "troubles": [
            {
                "step": words.say(f"operations.steps.{_known(trouble.step)}.name", step=trouble.step),
                "todo": words.say(f"operations.steps.{_known(trouble.step)}.todo"),
                "sentences": [one_line(sentence) for sentence in trouble.sentences],
                "page": trouble.page,
            }
            for trouble in troubles
        ],
    }
    subject = words.say(f"operations.{kind}.subject", site=site_name, day=words.day(happened_on))
    return write_letter("operations", envelope, subject, words, context)


def _known(step: str) -> str:
    """A step that has words of its own, else ``other``."""
    return step if step in STEPS else "other"
