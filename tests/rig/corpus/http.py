"""Asks a server over HTTP, and keeps only an answer of the status that was expected."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlencode

import aiohttp

Kind = Literal["json", "xml", "txt"]
OK, NOT_FOUND = 200, 404
SHOWN = 300
"""Signs of an unexpected answer that go into the message."""


class Unexpected(OSError):  # noqa: N818 - it says what happened
    """An answer of another status; the message has the request, the status and the answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer and how it was had."""

    asked: str
    kind: Kind
    text: str


async def ask(
    base: str,
    path: str,
    query: Mapping[str, str] | None = None,
    *,
    method: str = "GET",
    accept: str = "application/json",
    expected: int = OK,
) -> Answer:
    """Ask for the path; raises Unexpected, or aiohttp.ClientError when there is no answer."""
    said = f"{path}?{urlencode(query)}" if query else path
    async with (
        aiohttp.ClientSession(headers={"Accept": accept}) as session,
        session.request(method, f"{base}{path}", params=query) as answer,
    ):
        text = await answer.text()
        asked = f"{method} {said}"
        told = f"{asked}, answered {answer.status}"
        if answer.status != expected:
            raise Unexpected(f"{told}, not {expected}: {text[:SHOWN]}")
        kind = _kind(answer.content_type, text)
        return Answer(asked if answer.status == OK else told, kind, text)


def _kind(content: str, text: str) -> Kind:
    """Return what the text is: Nacos calls some plain text JSON."""
    if content == "application/xml":
        return "xml"
    try:
        json.loads(text)
    except ValueError:
        return "txt"
    return "json"
