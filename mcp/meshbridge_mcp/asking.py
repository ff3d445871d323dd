"""Asks an istiod for all that its store holds: one bounded answer, or the reason for none."""

from http import HTTPStatus
from typing import Annotated
from urllib.parse import urlsplit

import aiohttp
from pydantic import PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from meshbridge.http_faults import words

PATH = "/debug/configz"
LARGEST = 64 * 2**20
"""Bytes of an answer: some 60,000 services of ten endpoints."""
WAIT = 20.0
"""Seconds until the whole answer must be there."""

_CHUNK = 256 * 1024
_HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity"}
_REDIRECTS = range(300, 400)
_CLOSED = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}


class Unreadable(Exception):  # noqa: N818 - what it is, and the reason
    """An istiod cannot be asked now, or did not answer whole."""


def parse_origin(value: object) -> str:
    """Return ``http://host:port`` as it was written; raises PydanticCustomError for all else."""
    if isinstance(value, str):
        try:
            url = urlsplit(value)
            origin = f"{url.scheme}://{url.netloc}"
            right = url.scheme in {"http", "https"} and url.hostname and url.port != 0
        except ValueError:  # a port that is none, or half an IPv6 address
            right, origin = False, ""
        if right and value.rstrip("/") == origin and "@" not in origin:
            return origin
    kind, message = "origin", "must be http://host:port of an istiod, like http://127.0.0.1:15014"
    raise PydanticCustomError(kind, message)


Origin = Annotated[
    str,
    PlainValidator(parse_origin),
    WithJsonSchema({"type": "string", "format": "http://host:port"}),
]
"""Where an istiod answers, without a path."""


async def ask(origin: str) -> bytearray:
    """Return what is answered with 200. Raises Unreadable.

    Follows no redirect: the answer of an address that nobody wrote down would count as istiod's.
    """
    try:
        return await _ask(origin)
    except TimeoutError:
        reason = f"it did not answer whole in {WAIT:g} s"
    except (aiohttp.ClientError, OSError) as error:
        reason = words(error)
    raise Unreadable(reason)


async def _ask(origin: str) -> bytearray:
    async with (
        aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=WAIT), auto_decompress=False
        ) as session,
        session.get(f"{origin}{PATH}", headers=_HEADERS, allow_redirects=False) as answer,
    ):
        if answer.status in _REDIRECTS:
            raise Unreadable("it redirects, which is not followed; name where it answers itself")
        if answer.status in _CLOSED:
            raise Unreadable(
                f"it answers {PATH} with {answer.status}: without credentials istiod lets only its "
                "own machine read it; name it by a loopback address there"
            )
        if answer.status != HTTPStatus.OK:
            raise Unreadable(f"it answers {PATH} with {answer.status}; is it istiod's port?")
        body = bytearray()
        async for chunk in answer.content.iter_chunked(_CHUNK):
            body += chunk
            if len(body) > LARGEST:
                raise Unreadable(f"its answer is larger than {LARGEST // 2**20} MB")
    return body
