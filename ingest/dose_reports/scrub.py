"""Remove the patient's name, ID and birth date from a text or path: each occurrence becomes ``***``.

Pure text work on one patient. Keyed hashes of patients are made in ingest.pseudonymise.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from ingest.records import Patient

HIDDEN = "***"
SHORTEST_NAME = 3  # letters; shorter parts ("de", "Al") occur in too many words
ANYWHERE_NAME = 6  # letters from which a name is hidden inside a longer word too
ANYWHERE_ID = 4  # characters from which an ID is hidden inside a longer word too; shorter ones only on their own
_BIRTH_FORMATS = ("%Y%m%d", "%Y-%m-%d", "%Y.%m.%d", "%d.%m.%Y", "%d/%m/%Y", "%d-%m-%Y", "%m/%d/%Y")
# Scripts that put no blanks between words: a name of two characters is a whole name there.
_DENSE_SCRIPT = re.compile(  # kana, Chinese characters, and Hangul taken apart by folding
    "[\u1100-\u11ff\u3040-\u30ff\u3400-\u9fff]"
)


def scrub(text: str, patient: Patient) -> str:
    """The text without the patient's ID, birth date and names.

    Case and accents are ignored. Parts of a name need three letters (two in Chinese, Japanese and Korean). A word of
    the text is hidden if parts of the name cover it, so that a patient called Ana does not empty every "analysis";
    parts of six letters and more are hidden inside other words, too. IDs below four characters are hidden only where
    they are a word of their own.

    No expression here repeats a choice: a text that is twice as long takes twice as long, whatever the name is.
    """
    folded, origin = _folded(text)
    if not any(secret in folded for secret in _secrets(patient)):
        return text
    letters = _only_letters(text)
    words = re.finditer(r"\S+", "".join(letters[at] for at in origin[:-1]))
    result, end = [], 0
    for begin, stop in _united([*_anywhere(folded, patient), *_covered_words(folded, words, patient)]):
        result += [text[end : origin[begin]], HIDDEN]
        end = origin[stop]
    return "".join([*result, text[end:]])


Span = tuple[int, int]


def _anywhere(folded: str, patient: Patient) -> Iterator[Span]:
    """IDs, birth dates and long parts of names, inside other words, too."""
    for pattern in _anywhere_patterns(patient):
        yield from (found.span() for found in pattern.finditer(folded))


def _covered_words(folded: str, words: Iterable[re.Match[str]], patient: Patient) -> Iterator[Span]:
    """Words of which each letter is in a part of the name that lies within the word."""
    if (part := _name_pattern(patient)) is None:
        return
    for word in words:
        at, end = word.span()
        covered = at
        while at <= covered < end:
            if found := part.match(folded, at, end):
                covered = max(covered, found.end())
            at += 1
        if covered == end:
            yield word.span()


def _united(spans: Iterable[Span]) -> list[Span]:
    """The spans in order; those that overlap or touch are one."""
    united: list[Span] = []
    for begin, end in sorted(spans):
        if united and begin <= united[-1][1]:
            united[-1] = united[-1][0], max(united[-1][1], end)
        else:
            united.append((begin, end))
    return united


@lru_cache(maxsize=1)  # one report's texts are de-identified one after the other
def _secrets(patient: Patient) -> tuple[str, ...]:
    """What a folded text must contain for anything to be hidden: a cheap test that few texts pass."""
    return tuple(filter(None, (_identity(patient), *_birth_dates(patient), *_name_words(patient))))


@lru_cache(maxsize=1)
def _anywhere_patterns(patient: Patient) -> list[re.Pattern[str]]:
    long_parts = [re.escape(part) for part in _name_words(patient) if len(part) >= ANYWHERE_NAME or _is_dense(part)]
    return [re.compile(pattern) for pattern in [*_id_patterns(patient), *filter(None, ["|".join(long_parts)])]]


@lru_cache(maxsize=1)
def _name_pattern(patient: Patient) -> re.Pattern[str] | None:
    """The longest part of the name that begins at a place; None without a name."""
    parts = _name_words(patient)
    return re.compile("|".join(map(re.escape, parts))) if parts else None


def _identity(patient: Patient) -> str:
    return _folded((patient.patient_id or "").strip())[0]


def _birth_dates(patient: Patient) -> list[str]:
    return [] if patient.birth_date is None else [patient.birth_date.strftime(f) for f in _BIRTH_FORMATS]


def _id_patterns(patient: Patient) -> list[str]:
    patterns = [rf"(?<!\d){re.escape(written)}(?!\d)" for written in _birth_dates(patient)]
    if identity := _identity(patient):
        quoted = re.escape(identity)
        patterns.insert(0, quoted if len(identity) >= ANYWHERE_ID else rf"(?<![^\W_]){quoted}(?![^\W_])")
    return patterns


def _name_words(patient: Patient) -> list[str]:
    """The parts of names that are hidden, the longest first."""
    parts = {_folded(part)[0] for name in patient.names for part in _words(name)}
    return sorted({p for p in parts if len(p) >= SHORTEST_NAME or _is_dense(p)}, key=lambda p: (-len(p), p))


def _is_dense(part: str) -> bool:
    return len(part) > 1 and _DENSE_SCRIPT.search(part) is not None


def _words(name: str) -> list[str]:
    """The words of a name: runs of letters and the marks that belong to them, in any script."""
    return _only_letters(name).split()


def _only_letters(text: str) -> str:
    return "".join(c if unicodedata.category(c)[0] in "LM" else " " for c in text)


def _folded(text: str) -> tuple[str, Sequence[int]]:
    """The text without case and accents, and the place in the original of each of its characters and its end."""
    if text.isascii():
        return text.lower(), range(len(text) + 1)
    letters, origin = [], []
    for at, character in enumerate(text):
        for letter in unicodedata.normalize("NFKD", character).casefold():
            if not unicodedata.combining(letter):
                letters.append(letter)
                origin.append(at)
    origin.append(len(text))
    return "".join(letters), origin
