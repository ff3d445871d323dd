"""Asks running bridges through their admin sockets."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import aiohttp
import msgspec

from meshbridge.admin.operation import LARGEST_ANSWER, LARGEST_QUESTION, AdminRefusal, Code
from meshbridge.admin.place import fault_of

WITHIN = 30.0
_OK = 200
_T = TypeVar("_T")


class _Refusal(msgspec.Struct):
    error: str
    code: Code


@dataclass(frozen=True, slots=True)
class Answer(Generic[_T]):
    """What one bridge said: either a value or why there is none."""

    path: Path
    """The admin socket it was asked through."""
    value: _T | None
    refusal: AdminRefusal | None = None


async def ask(
    paths: Sequence[Path],
    operation: str,
    question: msgspec.Struct,
    answer: type[_T],
    *,
    within: float = WITHIN,
) -> list[Answer[_T]]:
    """Ask each bridge at the same moment; return their answers in the order of the paths.

    Waits ``within`` seconds for each. A bridge that is not there, is too slow or refuses is an
    answer with a refusal: the others have done what was asked all the same.
    """
    body = msgspec.json.encode(question)
    if len(body) > LARGEST_QUESTION:
        reason = f"{operation}: more was asked than fits into {LARGEST_QUESTION} bytes"
        return [Answer(path, None, AdminRefusal(reason, 2)) for path in paths]

    async def one(path: Path) -> Answer[_T]:
        try:
            async with asyncio.timeout(within):
                raw = await _post(path, operation, body)
            return Answer(path, msgspec.json.decode(raw, type=answer))
        except AdminRefusal as refusal:
            return Answer(path, None, refusal)
        except TimeoutError:
            reason = f"the bridge at {path} did not answer {operation} within {within:g} s"
        except msgspec.DecodeError as error:
            reason = f"what answers at {path} is no meshbridge of this version: {error}"
        return Answer(path, None, AdminRefusal(reason))

    return list(await asyncio.gather(*(one(path) for path in paths)))


async def _post(path: Path, operation: str, body: bytes) -> bytes:
    """Return the answer. Raises AdminRefusal."""
    if (fault := fault_of(path)) is not None:
        raise AdminRefusal(f"--admin: {fault}", 2)
    connector = aiohttp.UnixConnector(str(path))
    try:
        async with (
            aiohttp.ClientSession(
                connector=connector, timeout=aiohttp.ClientTimeout(total=None)
            ) as session,
            # The name is never looked up; a server wants one.
            session.post(f"http://admin/{operation}", data=body) as response,
        ):
            raw = await _bounded(path, response)
    except aiohttp.ClientConnectorError as error:
        raise AdminRefusal(_nobody(path, error.os_error)) from None
    except (aiohttp.ClientError, OSError) as error:
        raise AdminRefusal(
            f"the bridge at {path} hung up before it answered {operation}: "
            f"{str(error) or type(error).__name__}; its log says why"
        ) from None
    if response.status == _OK:
        return raw
    try:
        refused = msgspec.json.decode(raw, type=_Refusal)
    except msgspec.DecodeError:
        raise AdminRefusal(
            f"what answers at {path} is no meshbridge: it said {response.status} to {operation}"
        ) from None
    raise AdminRefusal(refused.error, refused.code)


async def _bounded(path: Path, response: aiohttp.ClientResponse) -> bytes:
    parts = bytearray()
    async for part in response.content.iter_any():
        parts += part
        if len(parts) > LARGEST_ANSWER:
            raise AdminRefusal(f"the answer of {path} is longer than {LARGEST_ANSWER} bytes")
    return bytes(parts)


def _nobody(path: Path, error: OSError) -> str:
    if isinstance(error, PermissionError):
        return f"the socket {path} is its owner's only: run the command as the user of the bridge"
    return (
        f"no bridge answers at {path}: is it running, and is `admin` set in its configuration? "
        "--admin PATH names another socket"
    )
