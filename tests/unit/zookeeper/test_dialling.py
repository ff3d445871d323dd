"""Instances are asked for what they export: each answer, each fault, and never more than needed.

Real ones are asked in tests/peers/test_zookeeper_adapter.py.
"""

import asyncio
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from unit.zookeeper.scripted_instance import REPLY, Scripted, scripted

from meshbridge_zookeeper_dubbo import dialling
from meshbridge_zookeeper_dubbo.dialling import NotAnsweredError, ask_any
from meshbridge_zookeeper_dubbo.metadata_service import request
from rig.ports import free_port

pytestmark = pytest.mark.asyncio


async def test_one_answer_is_enough() -> None:
    async with scripted() as first, scripted() as second:
        told = await ask_any([first.instance, second.instance], "r1")
        assert [each.interface for each in told.exported] == ["a.B"]
        assert (first.asked, second.asked) == ([request("r1")], [])


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (grpc.StatusCode.UNIMPLEMENTED, "it cannot"),
        (b"\xff", "cut off"),
        (REPLY.replace(b"r1", b"r2"), "knows nothing of revision r1"),
        (b"", "knows nothing of revision r1"),
        (REPLY + b"\x2a\x84\x80\x80\x04" + bytes(8 * 1024 * 1024 + 4), "larger"),
    ],
)
async def test_another_is_asked_when_one_fails(
    answer: bytes | grpc.StatusCode, reason: str
) -> None:
    async with scripted(answer) as first, scripted() as second:
        told = await ask_any([first.instance, second.instance], "r1")
        assert told.revision == "r1"
        with pytest.raises(NotAnsweredError, match=reason) as failed:
            await ask_any([first.instance], "r1")
        assert first.instance.instance.id in str(failed.value)
        assert "\n" not in str(failed.value)


async def test_only_some_are_asked_and_none_that_has_no_such_service() -> None:
    nobody = [Scripted(free_port()).instance for _ in range(dialling.TRIES)]
    async with scripted() as never:
        with pytest.raises(NotAnsweredError) as failed:
            await ask_any([*nobody, never.instance], "r1")
        assert str(failed.value).count(";") == dialling.TRIES - 1
        with pytest.raises(NotAnsweredError):
            await ask_any([replace(never.instance, metadata_service=None)], "r1")
        assert never.asked == []


async def test_one_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialling, "WITHIN", 0.2)
    async with scripted(None) as hanging:
        with pytest.raises(NotAnsweredError, match=r"(?i)deadline"):
            await ask_any([hanging.instance], "r1")


async def test_whoever_cancels_leaves_nothing_behind() -> None:
    async with scripted(None) as hanging:
        asking = asyncio.create_task(ask_any([hanging.instance], "r1"))
        await hanging.called.wait()
        asking.cancel()
        await asyncio.wait([asking])
        assert asking.cancelled()


async def test_an_address_is_a_name_or_a_number_and_never_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with scripted(at="unix:20880") as file:
        odd = Scripted(20880).instance
        odd = replace(odd, instance=replace(odd.instance, address="unix"))
        with pytest.raises(NotAnsweredError):
            await ask_any([odd], "r1")
        assert file.asked == []
