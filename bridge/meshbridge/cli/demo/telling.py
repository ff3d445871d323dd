"""Tells the demo to people: tables and colour on a terminal, plain lines elsewhere."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from meshbridge.cli.demo.figures import Glyphs
from meshbridge.cli.demo.result import Check, Result


class Telling:
    """Where the demo says what it does and what it found."""

    def __init__(self, console: Console) -> None:
        """Tell it on a console; what that can show decides the form."""
        self._console = console
        self._rich = console.is_terminal
        drawable = self._rich and console.encoding.lower().startswith("utf")
        self.glyphs = Glyphs.BLOCKS if drawable else Glyphs.ASCII

    def say(self, text: str = "") -> None:
        """Say a line as it is."""
        self._console.print(escape(text), highlight=False, soft_wrap=True)

    def begin(self, number: int, title: str) -> None:
        """Say what the step does, before it does it."""
        self.say()
        style = "bold" if self._rich else None
        self._console.print(escape(f"{number}. {title}"), style=style, highlight=False)

    def end(self, result: Result) -> None:
        """Say what the step found."""
        if self._rich:
            self._console.print(_table(result))
        else:
            for check in result.checks:
                self.say(f"   {_mark(check):<4} {check.what}: {check.found}{_must(check)}")
        for line in result.picture:
            self.say(f"   {line}")


def _table(result: Result) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("  ")
    table.add_column("")
    table.add_column("measured", justify="right", style="cyan")
    table.add_column("must be")
    for check in result.checks:
        colour = "green" if check.holds else "bold red"
        mark = f"   [{colour}]{_mark(check)}[/]" if check.wanted else ""
        table.add_row(mark, escape(check.what), escape(check.found), escape(check.wanted))
    return table


def _mark(check: Check) -> str:
    if not check.wanted:
        return ""
    return "ok" if check.holds else "NOT"


def _must(check: Check) -> str:
    return f" (must be {check.wanted})" if check.wanted else ""
