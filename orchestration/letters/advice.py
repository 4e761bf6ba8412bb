"""What is advised beside a finding: the site's own words, else those of the letter, else as published.

Pure choice of a sentence. The likeliest cause is decided in dbt (seed advice_rule), and follows main_cause.
"""

from __future__ import annotations

from collections.abc import Mapping

from orchestration.figures.digest import Advice
from orchestration.figures.wording import Wording

# Classes in which a ceiling-suspended screen is mostly in the way: the operator stands beside the beam, or at the head
# or the arm of the patient. There is other protection for them (ICRP 117, ICRP 139).
SCREEN_IN_THE_WAY = frozenset(
    {
        "av_fistula",
        "biliary_drainage",
        "central_venous_access",
        "colon_stent",
        "crt",
        "ercp",
        "gastrostomy",
        "nephrostomy",
        "pacemaker_dual",
        "pacemaker_icd",
        "pacemaker_single",
        "tips",
        "transjugular_biopsy",
        "vena_cava_filter",
        "vertebroplasty",
    }
)
BESIDE_BEAM = {"shield": "shield_beside_beam"}


def advice_of(
    code: str | None,
    procedure_type: str | None,
    published: Mapping[tuple[str, str], Advice],
    words: Wording,
    *keys: str,
) -> str:
    """The sentence of an advice code for a procedure of this class; empty if there is none.

    Args:
        code: of the finding.
        procedure_type: of its procedure.
        published: by code and language; the site's own words win.
        words: the language of the letter.
        keys: where the letter's own words are looked up, the first one first.
    """
    sentence = published.get((code or "", words.locale.language))
    if not (sentence and sentence.is_of_site):
        of_class = BESIDE_BEAM.get(code or "", "") if procedure_type in SCREEN_IN_THE_WAY else ""
        for name in filter(None, (of_class, code)):
            for key in keys:
                if words.knows(f"{key}.{name}"):
                    return words.say(f"{key}.{name}")
    return words.typeset(sentence.sentence) if sentence else ""
