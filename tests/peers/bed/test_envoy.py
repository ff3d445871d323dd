"""The Envoy of the tests is the one that is pinned, and comes back after each end."""

import asyncio
from pathlib import Path

import pytest

from rig.envoy import VERSION, Envoy, NoEnvoy, bootstrap, find_envoy
from rig.ports import free_port


@pytest.mark.asyncio
@pytest.mark.usefixtures("envoy")
async def test_it_answers_again_after_a_crash_a_freeze_and_a_restart(tmp_path: Path) -> None:
    nobody = f"127.0.0.1:{free_port()}"
    async with Envoy(tmp_path, bootstrap(nobody, api="GRPC")) as envoy:
        assert await envoy.version() == VERSION

        envoy.pause()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await envoy.get("/ready")
        envoy.resume()
        assert "INITIALIZING" in await envoy.get("/ready"), "there is nobody who configures it"

        await envoy.kill()
        assert not await envoy.is_up()
        await envoy.start()
        assert await envoy.version() == VERSION

        await envoy.restart()
        assert await envoy.version() == VERSION


def test_what_is_named_and_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MESHBRIDGE_ENVOY", "/nowhere/envoy")
    with pytest.raises(NoEnvoy, match=r"/nowhere/envoy: .*tests that need Envoy cannot run"):
        find_envoy()
    monkeypatch.delenv("MESHBRIDGE_ENVOY")
    monkeypatch.setenv("XDG_CACHE_HOME", "/nowhere")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(NoEnvoy, match=r"`make envoy` installs it"):
        find_envoy()
