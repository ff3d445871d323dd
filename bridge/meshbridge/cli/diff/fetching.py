"""Asks a running bridge or istiod for all it holds: one bounded answer, or the reason for none."""

import asyncio
from datetime import timedelta
from http import HTTPStatus

import aiohttp
import msgspec

from meshbridge.cli.diff.sources import LARGEST, TOO_LARGE, NotComparable
from meshbridge.http_faults import words
from meshbridge.settings.values import format_duration

_CHUNK = 256 * 1024
_HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity"}
_REDIRECTS = range(300, 400)


def fetch(url: str, name: str, wait: timedelta, remedy: str) -> bytes:
    """Return what is answered with 200.

    ``remedy`` says what else to try where something else listens. Follows no redirect: the answer
    of an address that nobody typed would be shown as that of the typed one. Raises NotComparable.
    """
    try:
        return asyncio.run(_fetch(url, wait, remedy))
    except TimeoutError:
        reason = f"it did not answer whole in {format_duration(wait)}; try a longer --wait"
    except aiohttp.InvalidURL:
        reason = "it is no URL"
    except aiohttp.ClientError as error:
        reason = words(error)
    except _Refused as error:
        reason = str(error)
    raise NotComparable(f"{name}: {reason}")


class _Refused(Exception):  # noqa: N818 - it says what happened
    """It answered, but not with what was asked for."""


async def _fetch(url: str, wait: timedelta, remedy: str) -> bytes:
    async with (
        aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=wait.total_seconds()), auto_decompress=False
        ) as session,
        session.get(url, headers=_HEADERS, allow_redirects=False) as answer,
    ):
        if answer.status in _REDIRECTS:
            target = answer.headers.get("Location", "nowhere")
            raise _Refused(f"it redirects to {target}, which is not followed; name that address")
        body = bytearray()
        async for chunk in answer.content.iter_chunked(_CHUNK):
            body += chunk
            if len(body) > LARGEST:
                raise _Refused(TOO_LARGE)
    if answer.status != HTTPStatus.OK:
        raise _Refused(_refusal(answer.status, bytes(body), remedy))
    return bytes(body)


class _NotReady(msgspec.Struct):
    error: str
    reasons: list[str] = []


def _refusal(status: int, body: bytes, remedy: str) -> str:
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        try:
            found = msgspec.json.decode(body, type=_NotReady)
        except (msgspec.DecodeError, RecursionError):
            return "it is not ready (503)"
        return f"it is not ready: {'; '.join((found.error, *found.reasons))}"
    return f"it answers with {status}; {remedy}"
