"""Opens a port of aiohttp's whole or not at all."""

import asyncio

from aiohttp import web


async def start(site: web.BaseSite) -> None:
    """Start a site of a runner that cleans it up; cancelled meanwhile, it is started first.

    asyncio forgets the socket of a server whose making is cancelled: nobody could close it. Raises
    OSError.
    """
    starting = asyncio.create_task(site.start(), name="opening of a port")
    try:
        await asyncio.shield(starting)
    except asyncio.CancelledError:
        await asyncio.wait({starting})
        if not starting.cancelled():
            starting.exception()  # seen; nobody asks for the port any more
        raise
