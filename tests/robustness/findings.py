"""What a run of the robustness tests found: each figure beside its threshold, as Markdown."""

import os
import platform
import random
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Self, cast

import pytest

_ROOT = Path(__file__).resolve().parents[2]
HEAD = ("bar", "what", "found", "threshold", "held")


@dataclass(frozen=True, slots=True)
class Finding:
    """One figure of one bar."""

    bar: str
    what: str
    found: str
    threshold: str
    held: bool

    def row(self) -> str:
        """Return it as a row of a table."""
        held = "yes" if self.held else "**no**"
        return f"| {self.bar} | {self.what} | {self.found} | {self.threshold} | {held} |"


@dataclass
class Findings:
    """Collects the figures of a run."""

    seed: int
    say: Callable[[str], None]
    """Shows progress, whatever pytest captures."""
    every: list[Finding] = field(default_factory=list[Finding])
    voids: list[str] = field(default_factory=list[str])
    """Why a bar was not measured: its fault, or the load, was not there."""
    begun: int = 0
    """Bars that were begun."""


class Bar:
    """The figures of one bar; leaving its ``with`` block fails the test if one was not held."""

    def __init__(self, findings: Findings, name: str) -> None:
        """Begin to measure the bar of this name."""
        findings.begun += 1
        self.name = name
        self.seed = findings.seed
        self._findings = findings
        self._broken: list[str] = []

    def __enter__(self) -> Self:
        """Say that it begins."""
        self.say("begins")
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        """Fail with all that was not held; an error of the test's own comes first."""
        if isinstance(error, BaseException):
            if not isinstance(leaf := _leaf(error), pytest.fail.Exception):
                why = f"ended early: {type(leaf).__name__}"
                self.note("the run", why, "to its end", held=False)
        elif self._broken and error is None:
            raise AssertionError("; ".join(self._broken))

    def chance(self, what: str = "") -> random.Random:
        """Return what draws for this bar: the same for the same seed."""
        return random.Random(f"{self.seed} {self.name} {what}")  # noqa: S311 - no secret

    def say(self, text: str) -> None:
        """Show progress."""
        self._findings.say(f"  {self.name}: {text}")

    def at_most(self, what: str, found: float, limit: float, unit: str = "") -> None:
        """Note a figure that must not be above its limit."""
        self.note(what, _shown(found, unit), f"≤ {_shown(limit, unit)}", held=found <= limit)

    def at_least(self, what: str, found: float, limit: float, unit: str = "") -> None:
        """Note a figure that must not be below its limit."""
        self.note(what, _shown(found, unit), f"≥ {_shown(limit, unit)}", held=found >= limit)

    def none(self, what: str, found: Sequence[object]) -> None:
        """Note how many there are of what must not be there at all; the first ones are shown."""
        self.note(what, str(len(found)), "0", held=not found)
        if found:
            self._broken[-1] += f": {list(found[:5])!r}"

    def note(self, what: str, found: str, threshold: str, *, held: bool) -> None:
        """Note a figure."""
        self._findings.every.append(Finding(self.name, what, found, threshold, held))
        self.say(f"{what}: {found} (threshold {threshold}){'' if held else '  NOT HELD'}")
        if not held:
            self._broken.append(f"{what}: {found}, threshold {threshold}")

    def void_unless(self, happened: object, missing: str) -> None:
        """End the run as void where what it is about did not happen."""
        if not happened:
            self._findings.voids.append(f"{self.name}: {missing}")
            pytest.fail(f"void: {missing}", pytrace=False)


def _leaf(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        error = group.exceptions[0]
    return error


def _shown(number: float, unit: str) -> str:
    text = f"{number:,}" if isinstance(number, int) else f"{number:,.2f}"
    return f"{text} {unit}".rstrip()


def report(findings: Findings, seconds: float, envoy: str, failed: int) -> str:
    """Return the report as Markdown; it names no host and no path."""
    rows = (
        f"| {' | '.join(HEAD)} |",
        f"|{'---|' * len(HEAD)}",
        *(each.row() for each in findings.every),
    )
    held = sum(each.held for each in findings.every)
    table = "\n".join(rows)
    voids = "".join(f"* VOID: {each}\n" for each in findings.voids)
    return f"""\
# Robustness: what was found

Written by `make robustness`; what each bar means stands in [README.md](README.md).

* Revision: {_revision()}
* Date: {datetime.now(UTC):%Y-%m-%d}
* Seed: {findings.seed} (`MESHBRIDGE_SEED={findings.seed} make robustness` draws the same again)
* Machine: {os.cpu_count()} cores, {platform.system()} on {platform.machine()}; all on loopback
* Python {platform.python_version()}, Envoy {envoy}
* {held} of {len(findings.every)} figures held, {failed} tests failed, {len(findings.voids)} void, \
in {seconds / 60:.1f} minutes
{voids}
{table}
"""


def _revision() -> str:
    revision = _git("rev-parse", "--short=12", "HEAD")
    changed = _git("status", "--porcelain", "--", "bridge", "adapters", "xds", "mcp")
    return (
        f"{revision}, with changes of the product that are not committed" if changed else revision
    )


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(_ROOT), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or ("unknown" if done.returncode else "")
