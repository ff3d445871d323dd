"""Ways in which a scripted Eureka answers when it is told to misbehave."""

import asyncio
import gzip
import json
import zlib
from typing import Final

from rig.scripted_eureka_exchange import Exchange, Fault

MIB: Final = 1024 * 1024
HTML: Final = b"<!DOCTYPE html><html><body><h1>Bad Gateway</h1></body></html>"
_SPRING: Final = {
    "timestamp": "2026-11-28T21:00:00.000+00:00",
    "status": 500,
    "error": "Internal Server Error",
    "path": "/eureka/apps",
}
"""What Spring Boot answers where something is wrong."""


async def hang(exchange: Exchange) -> None:
    """Take the request and answer nothing."""
    await exchange.left()


async def fails(exchange: Exchange) -> None:
    """Answer 500 with an error as JSON."""
    await exchange.reply(500, json.dumps(_SPRING).encode())


async def says_its_error_was_fine(exchange: Exchange) -> None:
    """Answer 200 with the same error."""
    await exchange.reply(200, json.dumps(_SPRING).encode())


async def is_closed(exchange: Exchange) -> None:
    """Answer 403 and nothing else, as a server that has just begun and heard from no peer."""
    await exchange.reply(403, b"")


async def knows_no_such_thing(exchange: Exchange) -> None:
    """Answer 404, as a server without deltas."""
    await exchange.reply(404, b"")


async def page(exchange: Exchange) -> None:
    """Answer 200 with a web page, as a proxy in front of it may."""
    await exchange.reply(200, HTML, "text/html")


async def knows_get_only(exchange: Exchange) -> None:
    """Answer 405 to any other method, as some proxies do."""
    await (exchange.truth() if exchange.asked.method == "GET" else exchange.reply(405, b""))


async def half(exchange: Exchange) -> None:
    """Say how long the true answer is, send half of it and close."""
    body = exchange.body
    await exchange.head(200, content_type="application/json", content_length=str(len(body)))
    await exchange.send(body[: len(body) // 2])
    exchange.over = True


async def says_nothing_has_changed(exchange: Exchange) -> None:
    """Answer 304 to whoever says what is known, as a cache does that never looks again."""
    if "if-none-match" in exchange.asked.headers:
        await exchange.reply(304, b"")
    else:
        await exchange.truth()


async def half_in_chunks(exchange: Exchange) -> None:
    """Send half of the true answer in chunks, none of them the last, and close."""
    await exchange.head(200, content_type="application/json", transfer_encoding="chunked")
    await exchange.send(_chunk(exchange.body[: len(exchange.body) // 2]))
    exchange.over = True


async def half_as_whole(exchange: Exchange) -> None:
    """Send half of the true answer, and say that this is all."""
    await exchange.reply(200, exchange.body[: len(exchange.body) // 2])


async def no_http(exchange: Exchange) -> None:
    """Answer with what is no HTTP."""
    await exchange.send(b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x05")
    exchange.over = True


async def breaks_off(exchange: Exchange) -> None:
    """Answer nothing and break the connection off."""
    exchange.reset()


async def closes_when_used_again(exchange: Exchange) -> None:
    """Answer the first question of each connection, and close it at the second."""
    if exchange.asked.first:
        await exchange.truth()
    exchange.over = True if not exchange.asked.first else exchange.over


async def closes_without_a_word(exchange: Exchange) -> None:
    """Answer and close, though the connection was to be kept."""
    await exchange.truth()
    exchange.over = True


async def closes_amid_the_headers(exchange: Exchange) -> None:
    """Close in the middle of a header."""
    await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: applica")
    exchange.over = True


async def not_gzip(exchange: Exchange) -> None:
    """Say that the true answer is compressed, which it is not."""
    await exchange.reply(200, exchange.body, Content_Encoding="gzip")


async def half_gzip(exchange: Exchange) -> None:
    """Send half of what the true answer is compressed to, as if that was all."""
    packed = gzip.compress(exchange.body)
    await exchange.reply(200, packed[: len(packed) // 2], Content_Encoding="gzip")


async def deep(exchange: Exchange) -> None:
    """Answer with JSON that is nested a million times."""
    await exchange.reply(200, b'{"applications":' + b"[" * MIB)


def slow(seconds: float) -> Fault:
    """Answer truly, and so much later."""

    async def answer(exchange: Exchange) -> None:
        await asyncio.sleep(seconds)
        await exchange.truth()

    return answer


def drips(every: float = 1.0) -> Fault:
    """Send the true answer, a byte each time so many seconds have passed."""

    async def answer(exchange: Exchange) -> None:
        size = str(len(exchange.body))
        await exchange.head(200, content_type="application/json", content_length=size)
        exchange.over = True
        for byte in exchange.body:
            await exchange.send(bytes([byte]))
            await asyncio.sleep(every)

    return answer


def redirects(url: str, status: int = 302) -> Fault:
    """Send whoever asks elsewhere."""

    async def answer(exchange: Exchange) -> None:
        await exchange.reply(status, b"", Location=url)

    return answer


def answers(status: int, body: bytes, content: str = "application/json", **headers: str) -> Fault:
    """Answer with these."""

    async def answer(exchange: Exchange) -> None:
        await exchange.reply(status, body, content, **headers)

    return answer


def floods(size: int, *, declared: bool = False) -> Fault:
    """Answer with an application of so long a name, ``declared`` in the headers or in chunks."""

    async def answer(exchange: Exchange) -> None:
        exchange.over = True
        begin, part = b'{"applications":{"application":[{"name":"', b"A" * MIB
        if declared:
            length = str(len(begin) + size)
            await exchange.head(200, content_type="application/json", content_length=length)
            await exchange.send(begin)
            for _ in range(size // MIB):
                await exchange.send(part)
        else:
            await exchange.head(200, content_type="application/json", transfer_encoding="chunked")
            for piece in (begin, *[part] * (size // MIB), b""):
                await exchange.send(_chunk(piece))

    return answer


def explodes(size: int) -> Fault:
    """Answer with a little gzip that becomes so many bytes of one name; nobody reads its end."""
    begin = b'{"applications":{"application":[{"name":"'
    packer = zlib.compressobj(wbits=31)
    head = packer.compress(begin) + packer.flush(zlib.Z_FULL_FLUSH)
    # After a full flush nothing refers to what was before: the same bytes stand for another part.
    part = packer.compress(b"A" * MIB) + packer.flush(zlib.Z_FULL_FLUSH)
    body = head + part * (size // MIB)

    async def answer(exchange: Exchange) -> None:
        await exchange.reply(200, body, Content_Encoding="gzip")

    return answer


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)
