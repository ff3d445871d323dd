"""Asks a server over HTTP and keeps what it answers, whatever that is."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlencode

import aiohttp

Kind = Literal["json", "xml", "txt"]


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer and how it was had."""

    asked: str
    status: int
    kind: Kind
    text: str


async def ask(
    base: str,
    path: str,
    query: Mapping[str, str] | None = None,
    *,
    method: str = "GET",
    accept: str = "application/json",
) -> Answer:
    """Ask for the path; raises aiohttp.ClientError when there is no answer."""
    said = f"{path}?{urlencode(query)}" if query else path
    async with (
        aiohttp.ClientSession(headers={"Accept": accept}) as session,
        session.request(method, f"{base}{path}", params=query) as answer,
    ):
        text = await answer.text()
        told = f"{method} {said}" + (f", answered {answer.status}" if answer.status != 200 else "")
        return Answer(told, answer.status, _kind(answer.content_type, text), text)


async def order(base: str, path: str, query: Mapping[str, str], *, method: str) -> None:
    """Have something done; raises OSError with the answer when that is refused."""
    answer = await ask(base, path, query, method=method)
    if answer.status != 200:
        raise OSError(f"{answer.asked}: {answer.text[:300]}")


def _kind(content: str, text: str) -> Kind:
    """Return what the text is: Nacos calls some plain text JSON."""
    if content == "application/xml":
        return "xml"
    try:
        json.loads(text)
    except ValueError:
        return "txt"
    return "json"
