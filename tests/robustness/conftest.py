"""One seed for a run, progress on the terminal, and the report at its end."""

import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from robustness.findings import Bar, Findings, report

from rig.envoy import VERSION

REPORT = Path(__file__).with_name("report.md")
SEED = "MESHBRIDGE_SEED"


@pytest.fixture(scope="session")
def findings(pytestconfig: pytest.Config, request: pytest.FixtureRequest) -> Iterator[Findings]:
    """Collect what is found; a run of all tests writes the report, a part of them only says it."""
    capture = pytestconfig.pluginmanager.get_plugin("capturemanager")
    begun = time.monotonic()

    def say(text: str) -> None:
        with capture.global_and_fixture_disabled() if capture else nullcontext():
            print(f"{time.monotonic() - begun:6.1f} s {text}", flush=True)  # noqa: T201 - progress

    seed = int(os.environ.get(SEED) or random.SystemRandom().randrange(1_000_000))
    say(f"\n{SEED}={seed}")
    found = Findings(seed, say)
    yield found
    session = request.session
    text = report(found, time.monotonic() - begun, VERSION, session.testsfailed)
    files = {item.path for item in session.items}
    every = files >= set(REPORT.parent.glob("test_*.py")) and not pytestconfig.option.keyword
    whole = every and found.begun >= len(session.items)  # an interrupted one is a part, too
    if whole:
        REPORT.write_text(text)
    say(f"\n{text}")


@pytest.fixture
def bar(findings: Findings) -> Callable[[str], Bar]:
    """Return what begins to measure a bar, by its name."""

    def begin(name: str) -> Bar:
        return Bar(findings, name)

    return begin
