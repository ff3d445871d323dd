"""The adapter tries each server, costs nothing until it is made, and leaves no file."""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from meshbridge import Adapter, Context, RegistryUnavailable
from meshbridge.settings.section import Section
from meshbridge.testing import Recorder, context
from meshbridge_nacos import Nacos, Options
from rig.scripted_nacos import ScriptedNacos
from rig.watching import watching

SCOPE = "public/DEFAULT_GROUP"


def adapter(*servers: ScriptedNacos) -> Callable[[Context], Adapter]:
    options = Options.model_validate({"servers": [each.address for each in servers]})
    return lambda given: Nacos("shop", options, given)


@pytest.mark.asyncio
async def test_the_next_server_takes_over_when_one_goes() -> None:
    async with ScriptedNacos() as first, ScriptedNacos() as second:
        for each in (first, second):
            each.put("orders", "10.0.0.1", 80)
        async with watching(adapter(first, second)) as watched:
            await watched.listed(SCOPE)
            assert (first.connections, second.connections) == (1, 0)
            await first.stop()
            assert (await watched.listed(SCOPE, times=2)).after_gap
            assert second.connections == 1
            second.end_streams()
            assert (await watched.listed(SCOPE, times=3)).after_gap
            assert len(watched.failures) == 2


@pytest.mark.asyncio
async def test_the_reason_names_every_server_that_did_not_answer() -> None:
    first, second = ScriptedNacos(), ScriptedNacos()
    recorder = Recorder()
    with pytest.raises(RegistryUnavailable) as unavailable:
        await adapter(first, second)(context(recorder.report)).watch(recorder.emit)
    assert first.address in str(unavailable.value)
    assert second.address in str(unavailable.value)
    assert recorder.updates == []


def test_what_the_registry_says_becomes_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK writes logs and a cache, named by what is registered."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    async def watch_a_strange_name() -> None:
        async with ScriptedNacos() as nacos:
            nacos.put("../../escaped", "10.0.0.1", 80)
            async with watching(adapter(nacos)) as watched:
                await watched.has("..%2F..%2Fescaped", bool)
                nacos.put("../../escaped", "10.0.0.2", 80)
                await watched.has("..%2F..%2Fescaped", lambda found: len(found or ()) == 2)

    asyncio.run(watch_a_strange_name())
    assert list(tmp_path.rglob("*")) == []


@pytest.mark.parametrize(
    ("named", "scopes"),
    [
        ({}, {"public/DEFAULT_GROUP"}),
        (
            {"namespaces": ["public", "prod"], "groups": ["a", "b"]},
            {"public/a", "public/b", "prod/a", "prod/b"},
        ),
        ({"namespaces": ["public", "prod"], "groups": ["*"]}, {"public/*", "prod/*"}),
        ({"namespaces": ["*"], "groups": ["a", "b"]}, {"*"}),
        ({"namespaces": ["*"], "groups": ["*"]}, {"*"}),
    ],
)
def test_the_first_answer_waits_for_what_is_named_and_for_the_lists_of_the_rest(
    named: dict[str, object], scopes: set[str]
) -> None:
    options = Options.model_validate({"servers": ["127.0.0.1"]} | named)
    assert set(Nacos("shop", options, context(Recorder().report)).scopes) == scopes


def test_the_sdk_is_never_imported() -> None:
    """It costs 80 MB and half a second."""
    program = "import sys, meshbridge_nacos; sys.exit(any(m.startswith('v2') for m in sys.modules))"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_options_of_another_kind_are_a_programming_error() -> None:
    with pytest.raises(TypeError, match="shop: needs nacos options"):
        Nacos("shop", Section(), context(Recorder().report))
