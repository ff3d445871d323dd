"""A failed test is shown with what its servers wrote."""

import asyncio
import os
import subprocess
import sys
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
    tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    (tmp_path / "test_failing.py").write_text(FAILING)
    options = [f"--rootdir={tmp_path}", f"--basetemp={tmp_path / 'new'}", "-pno:cacheprovider"]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-pconftest", *options, tmp_path],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(pytestconfig.rootpath / "tests")},
    )
    assert ran.returncode == 1, ran.stdout
    assert "registry.log" in ran.stdout
    assert "out of memory" in ran.stdout
