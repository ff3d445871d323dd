"""Why a request got no answer over HTTP, in words for who wrote the address down."""

import os

import aiohttp


def words(error: aiohttp.ClientError | OSError) -> str:
    """Return the reason, beginning with "it" or "its": the one who was asked."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"its certificate is not trusted: {error.certificate_error}"
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        return "it speaks no TLS at this port; try http:// instead of https://"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"it cannot be reached: {_reason(error.os_error)}"
    if isinstance(error, aiohttp.ClientResponseError):
        # What a gRPC server begins with is no status line.
        return "it speaks no HTTP at this port; is it the one of gRPC?"
    return f"its answer broke off or is no HTTP: {str(error) or type(error).__name__}"


def _reason(error: OSError) -> str:
    """Return the system's words: asyncio's repeat the address in its own form."""
    return os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
