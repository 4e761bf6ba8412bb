"""The terminal that the command line prints to: text from files, names and servers cannot control it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook, RenderResult
from rich.markup import escape
from rich.segment import Segment

from ingest.control_characters import printable


def terminal(*, is_stderr: bool = False) -> Console:
    """A console that writes out each control character of a text instead of sending it."""
    console = Console(stderr=is_stderr, highlight=False, soft_wrap=True)
    console.push_render_hook(_WrittenOut())
    return console


def typed(text: object) -> str:
    """A path or code as a shell takes it, for a command that is printed to be copied."""
    return escape(shlex.quote(str(text)))


class _WrittenOut(RenderHook):
    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [_Printable(renderable) for renderable in renderables]


@dataclass(frozen=True, slots=True)
class _Printable:
    """What is rendered, with the text of each segment made printable; rich's own control segments stay."""

    content: ConsoleRenderable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for segment in console.render(self.content, options):
            yield segment if segment.control else Segment(printable(segment.text), segment.style)
