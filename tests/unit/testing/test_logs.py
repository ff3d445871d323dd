"""A failed test is shown with what its servers wrote."""

import asyncio
from pathlib import Path

import pytest

from meshbridge.testing import Process
from rig.logs import sizes, written_since
from rig.waiting import until


def test_only_what_was_written_since_is_shown(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Process("talker", ["cat"], directory=tmp_path, input=True) as talker:

            async def log() -> str:
                return talker.log

            talker.write("before")
            await until(log, lambda seen: "before" in seen, within=5)
            start = sizes()
            assert not [name for name, _ in written_since(start) if "talker" in name]
            talker.write("after")
            await until(log, lambda seen: "after" in seen, within=5)
            shown = [text for name, text in written_since(start) if "talker" in name]
            assert shown == ["after"]

    asyncio.run(scenario())


CONFTEST = Path(__file__).parents[2] / "conftest.py"
FAILING = """
import asyncio
from meshbridge.testing import Process


async def scenario(folder):
    async with Process("registry", ["sh", "-c", "echo out of memory"], directory=folder) as it:
        await it.exited(within=5)
        assert False


def test_it(tmp_path):
    asyncio.run(scenario(tmp_path))
"""


def test_a_failed_test_shows_the_log_of_its_server(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(CONFTEST.parent))
    pytester.makeconftest(CONFTEST.read_text())
    pytester.makepyfile(FAILING)
    outcome = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-p", "no:asyncio")
    outcome.assert_outcomes(failed=1)
    outcome.stdout.fnmatch_lines(["*registry.log*", "*out of memory*"])
