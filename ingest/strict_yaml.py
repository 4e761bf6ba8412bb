"""YAML as site files use it: plain data with the line of every key, and pydantic's messages with these lines.

What the keys mean is in the models of ``ingest/site/config.py`` and ``ingest/dosimeters/description.py``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ingest.control_characters import control_character, printable
from ingest.problems import Problem, SiteError, did_you_mean

Location = tuple[str | int, ...]
DEEPEST = 20  # levels; the deepest legal key has four
LONGEST_NUMBER = 30  # characters


@dataclass(frozen=True, slots=True)
class YamlDocument:
    """One YAML file: its data, and the line (from 1) of each key and list item by its location."""

    file: str
    data: dict[str, Any]
    lines: Mapping[Location, int] = field(default_factory=dict)

    def line_of(self, location: Location) -> int | None:
        """The line of a location, or of the nearest thing around it that the file has."""
        for end in range(len(location), 0, -1):
            if location[:end] in self.lines:
                return self.lines[location[:end]]
        return None


class _Loader(yaml.SafeLoader):
    """YAML 1.2's plain values only: ``no`` is Norway and not false, 12:30 is not 750, a number is an exact Decimal.

    Neither aliases nor tags (``!!int``): a value is what is written, and the type is what its key needs.
    """

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own attribute

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:  # noqa: ANN401 - PyYAML's own
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            raise _illegal(event.start_mark, "an alias (*name) is not allowed; write the value out")
        if getattr(event, "tag", None) is not None:
            raise _illegal(event.start_mark, "a tag (!name) is not allowed; write the value alone")
        if self.depth == DEEPEST:
            raise _illegal(event.start_mark, f"it is nested in more than {DEEPEST} levels")
        self.depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1

    def construct_int(self, node: yaml.ScalarNode) -> int:
        return int(_digits(node))

    def construct_decimal(self, node: yaml.ScalarNode) -> Decimal:
        value = Decimal(_digits(node))
        if abs(value.adjusted()) > LONGEST_NUMBER:
            raise _illegal(node.start_mark, "a number is larger or smaller than any that has a meaning here")
        return value


def _digits(node: yaml.ScalarNode) -> str:
    if len(node.value) > LONGEST_NUMBER:
        raise _illegal(node.start_mark, f"a number has more than {LONGEST_NUMBER} characters")
    return str(node.value)


def _illegal(mark: Any, problem: str) -> yaml.MarkedYAMLError:  # noqa: ANN401 - PyYAML's own
    return yaml.MarkedYAMLError(problem=problem, problem_mark=mark)


_PLAIN_VALUES = {
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "int": (r"[-+]?(0|[1-9][0-9]*)", list("-+0123456789")),
    "float": (r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?", list("-+.0123456789")),
}
for _tag, (_pattern, _first) in _PLAIN_VALUES.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"(?:{_pattern})\Z"), _first)
_Loader.add_constructor("tag:yaml.org,2002:float", _Loader.construct_decimal)
_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_int)


def read_yaml(content: bytes, file: str) -> YamlDocument:
    """Read one YAML file whose top is a mapping; ``file`` is its name in messages.

    Raises:
        SiteError: not UTF-8, not YAML, a repeated key, an alias, a tag, a control character, or not a mapping.
    """
    text = _decoded(content, file)
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        data = loader.construct_document(node) if node is not None else {}
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise SiteError([Problem(file, line, None, f"is not valid YAML: {_in_plain_words(error)}")]) from None
    finally:
        loader.dispose()
    if not isinstance(data, dict):
        raise SiteError([Problem(file, 1, None, "must be a list of 'key: value' lines")])
    lines: dict[Location, int] = {}
    wrong = [] if node is None else _walk(node, (), lines)
    if wrong:
        raise SiteError([Problem(file, line, key, message) for line, key, message in wrong])
    return YamlDocument(file, data, lines)


# What PyYAML states of a mistake, and what the user has to do about it.
PLAIN_WORDS = (
    (
        r"mapping values are not allowed here",
        "a second ':' in one value, or a line that is indented too far; put a text that holds ': ' in quotes",
    ),
    (r"found character '\\t'", "a tab; indent with blanks"),
    (r"found character '(.)' that cannot start any token", r"a value begins with \1; put it in quotes"),
    (r"expected ',' or '\]'.*", "a list that begins with '[' is not closed before this line; add ']'"),
    (r"expected ',' or '\}'.*", "a section that begins with '{' is not closed before this line; add '}'"),
    (
        r"expected <block end>.*",
        "the line is indented otherwise than those around it; give all keys of a section the same number of blanks",
    ),
    (r"could not find expected ':'", "the line has no ':'; write 'key: value'"),
    (r"found unexpected end of stream", "a quotation mark is not closed; close it"),
    (r"found unknown escape character '(.)'", r"\\\1 in double quotes; use single quotes"),
    (r".*found another document", "'---' begins a second document; remove the line"),
)


def _in_plain_words(error: yaml.MarkedYAMLError) -> str:
    problem = str(error.problem)
    for pattern, words in PLAIN_WORDS:
        if match := re.match(pattern, problem):
            return match.expand(words)
    return problem


def _decoded(content: bytes, file: str) -> str:
    try:
        text = content.decode("utf-8-sig")
        yaml.reader.Reader(text)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise SiteError([Problem(file, line, None, "is not UTF-8 text; save it as UTF-8")]) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise SiteError([Problem(file, line, None, "holds a control character; remove it")]) from None
    return text


def _walk(node: yaml.Node, location: Location, lines: dict[Location, int]) -> list[tuple[int, str, str]]:
    """Note the line of everything below ``node``; return line, key and what is wrong with either."""
    wrong: list[tuple[int, str, str]] = []
    if isinstance(node, yaml.ScalarNode) and (character := control_character(node.value)):
        message = f"holds the control character {character}; remove it"
        wrong.append((node.start_mark.line + 1, _dotted(location), message))
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            lines[(*location, index)] = item.start_mark.line + 1
            wrong += _walk(item, (*location, index), lines)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            line, here = key.start_mark.line + 1, (*location, str(key.value))
            if here in lines:
                wrong.append((line, _dotted(here), "is given twice; keep one of the two"))
            lines[here] = line
            wrong += [*_walk(key, here, {}), *_walk(value, here, lines)]
    return wrong


def problems_of(
    error: ValidationError, document: YamlDocument, sections: Mapping[str, type[BaseModel]]
) -> list[Problem]:
    """What pydantic refused in a document, as sentences with lines.

    Args:
        error: pydantic's complaint about ``document.data``.
        document: the file.
        sections: the model of each section by its dotted name ("" for the top), for "did you mean".
    """
    return [_problem_of(detail, document, sections) for detail in error.errors(include_url=False)]


def _problem_of(detail: ErrorDetails, document: YamlDocument, sections: Mapping[str, type[BaseModel]]) -> Problem:
    location = tuple(part for part in detail["loc"] if part != "[key]")
    section = sections.get(_dotted(tuple(part for part in location[:-1] if isinstance(part, str))))
    keys = [field.alias or name for name, field in section.model_fields.items()] if section else []
    return Problem(document.file, document.line_of(location), _dotted(location), _sentence(detail, keys))


def _sentence(detail: ErrorDetails, legal_keys: list[str]) -> str:
    kind, message = detail["type"], detail["msg"]
    if kind == "extra_forbidden":
        meant = did_you_mean(str(detail["loc"][-1]), legal_keys)
        return f"is not a known key; {f'did you mean {meant}?' if meant else 'remove it or correct its spelling'}"
    if kind == "missing":
        return "is missing; add it"
    if kind == "value_error":
        return str(detail["ctx"]["error"])
    wanted = message.replace("Input should be", "must be").replace("String should", "must")
    return f"{wanted}, {_shown(detail['input'])}"


def _shown(value: object) -> str:
    if value is None:
        return "but it is empty"
    if isinstance(value, (dict, list)):
        return f"but it is a {'section' if isinstance(value, dict) else 'list'}"
    return f"not {str(value)[:60]!r}"


def _dotted(location: Location) -> str:
    return printable(".".join(map(str, location)))
