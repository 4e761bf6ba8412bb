"""Reasons of refusals: every one that the code can state has a form in each language, and its values stay."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from string import Formatter

import pytest
from support import paths

from orchestration.figures.reasons import forms, reason_in_words
from orchestration.figures.wording import LANGUAGES, wording

# What a placeholder of the code may become; a word that no other form has.
VALUE = "VALUE9"


def reasons_of_the_code() -> Iterator[str]:
    """The sentence of each quarantine that is written in ingest, with its values filled."""
    for file in sorted((paths.ROOT / "ingest").rglob("*.py")):
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name)):
                continue
            arguments = call.args
            if call.func.id == "Refused" and isinstance(arguments[0], ast.Constant):
                if arguments[0].value == "quarantined" and isinstance(arguments[1], ast.Constant | ast.JoinedStr):
                    yield written(arguments[1])
            elif call.func.id == "_refused" and isinstance(arguments[0], ast.Constant | ast.JoinedStr):
                yield written(arguments[0])


def written(text: ast.expr) -> str:
    if isinstance(text, ast.Constant):
        return str(text.value)
    assert isinstance(text, ast.JoinedStr)
    return "".join(str(part.value) if isinstance(part, ast.Constant) else VALUE for part in text.values)


REASONS = sorted(set(reasons_of_the_code()) - {f"{VALUE}: {VALUE}"})  # the header's, below


def test_the_reasons_of_the_code_are_found() -> None:
    assert len(REASONS) >= 20


@pytest.mark.parametrize("language", ["fr", "es"])
@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_of_the_code_has_a_form(reason: str, language: str) -> None:
    words = wording(language)
    text = reason_in_words(reason, words)
    assert text != words.say("findings.quoted", message=reason)
    assert not re.search(r"\b(the|is|not|of|and|its|that|file has)\b", text)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "the header (line 4) does not fit sources/a.yaml: missing column 'Tasa'; unknown column 'Tasa 2'"),
        ("fr", "l’en-tête (ligne 4) ne correspond pas à sources/a.yaml : colonne absente 'Tasa'; colonne inconnue"),
        ("es", "la cabecera (línea 4) no corresponde a sources/a.yaml: falta la columna 'Tasa'; columna desconocida"),
    ],
)
def test_a_changed_header_names_its_columns_in_the_readers_language(language: str, text: str) -> None:
    reason = "the header (line 4) does not fit sources/a.yaml: missing column 'Tasa'; unknown column 'Tasa 2'"
    translated = reason_in_words(reason, wording(language)).replace("\u00a0", " ")
    assert translated.startswith(text)
    assert "'Tasa 2'" in translated


def test_a_reason_of_no_known_form_is_called_english() -> None:
    assert reason_in_words("Something else.", wording("fr")).endswith("en anglais\u00a0: Something else.")
    assert reason_in_words("Something else.", wording("en")) == "Something else."


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_translation_has_a_value_that_the_english_lacks(language: str) -> None:
    for form in forms():
        named = {name for _, name, _, _ in Formatter().parse(form.texts[language]) if name}
        assert named <= set(form.pattern.groupindex)
    assert len({form.code for form in forms()}) == len(forms())
