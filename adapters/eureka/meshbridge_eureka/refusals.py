"""Why a server gave no answer, in words for who configured it: the reason, ``; `` and a remedy.

Nothing of an answer is repeated: a proxy may send back what it was sent, the password included.
"""

import errno
import re
import zlib
from typing import Final

import aiohttp

from meshbridge import RegistryRejected, RegistryUnavailable
from meshbridge.http_faults import words
from meshbridge_eureka.options import Server

CONNECT: Final = 5.0
"""Seconds that a connection may take."""
SILENCE: Final = 10.0
"""Seconds without a byte of an answer after which it is given up."""
TOTAL: Final = 30.0
"""Seconds after which an answer is given up that arrives slowly."""
_UNTRUSTED: Final = frozenset({7, 18, 19, 20, 21})
"""OpenSSL's words for: signed by nobody we know, often by itself, or by a namesake."""
_RESETS: Final = frozenset({errno.ECONNRESET, errno.EPIPE})
_ALERT: Final = re.compile(r"\[SSL: (\w*ALERT\w*)\]")
"""How OpenSSL tells what the other side said when it ended TLS, so that it does speak that."""
_BAD_REQUEST: Final = 400
"""What a server answers, too, that is asked without TLS where it speaks nothing else."""
_UNAUTHORIZED: Final = 401
_NOT_MODIFIED: Final = 304
_WANTS_USER: Final = "it wants to know a user"
_NOT_OFFERED: Final = {
    403: "it is closed (HTTP 403): it was just started and got nothing from its peers yet,"
    " or the user may not read it; wait some minutes, then see what the user may",
    404: "it has no such path (HTTP 404); is that of the URL right? /eureka, or /eureka/v2",
    **{
        status: f"it sends us elsewhere (HTTP {status}), where we do not go;"
        " configure the URL of Eureka itself"
        for status in range(300, 400)
        if status != _NOT_MODIFIED
    },
}


class RefusedError(RegistryUnavailable):
    """The server answered something else than what it was asked for; it may answer the rest."""


class NotOfferedError(RefusedError):
    """The server does not know such a question, or does not let us ask it."""


def refusal(
    status: int, server: Server, *, has_user: bool, known: bool
) -> RefusedError | RegistryRejected:
    """Return what an answer with another status than 200 means.

    ``known`` is a server that has answered before as it should: its URL is right.
    """
    if status == _UNAUTHORIZED:
        return RegistryRejected(
            f"{_WANTS_USER}, and does not know this one (HTTP 401); mend username and password"
            if has_user
            else f"{_WANTS_USER} (HTTP 401); give username and password"
        )
    if status in _NOT_OFFERED:
        return NotOfferedError(_NOT_OFFERED[status])
    maybe_tls = _maybe_tls(server, known=known) if status == _BAD_REQUEST else ""
    return RefusedError(f"it answered HTTP {status}{maybe_tls}")


def reason(error: Exception, server: Server, *, known: bool) -> str:
    """Return what went wrong, in no words of the server's; ``known`` as above."""
    match error:
        case TimeoutError():
            return _patience(error)
        case aiohttp.ServerDisconnectedError() if server.scheme == "https":
            return "it hung up unanswered; does it ask for a certificate? then mend tls"
        case aiohttp.ClientOSError():
            return _lost(error, server, known=known)
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientResponseError():
            is_http = isinstance(error, aiohttp.ServerDisconnectedError)
            what = "it broke off before it answered" if is_http else "its answer is not HTTP"
            return f"{what}{_maybe_tls(server, known=known)}"
        case _:
            return _broken(error)


def _lost(error: aiohttp.ClientOSError, server: Server, *, known: bool) -> str:
    """Return why there is no connection; the error has the system's words, or OpenSSL's."""
    if alert := _ALERT.match(error.strerror or ""):
        return f"it ended TLS: {alert[1]}; does it ask for a certificate? then mend tls"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"{words(error)}{_remedy(error)}"
    if error.errno in _RESETS:
        return f"it reset the connection{_maybe_tls(server, known=known)}"
    return f"the connection broke: {error.strerror or error}"


def _maybe_tls(server: Server, *, known: bool) -> str:
    return "" if known or server.scheme != "http" else "; is its port one for https://?"


def _remedy(error: aiohttp.ClientConnectorError) -> str:
    """Return what to do about it, where that is told from what is wrong."""
    if not isinstance(error, aiohttp.ClientConnectorCertificateError):
        return ""
    untrusted = getattr(error.certificate_error, "verify_code", None) in _UNTRUSTED
    return "; name the file of who signed it: tls: {ca: FILE}" if untrusted else ""


def _patience(error: TimeoutError) -> str:
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return f"no connection within {CONNECT:g} s"
    if isinstance(error, aiohttp.SocketTimeoutError):
        return f"nothing for {SILENCE:g} s"
    return f"no whole answer within {TOTAL:g} s"


def _broken(error: Exception) -> str:
    match error:
        case aiohttp.ClientPayloadError():
            return "it broke off its answer"
        case zlib.error():
            return "its answer is compressed in a way that cannot be read"
        case UnicodeError():
            return "its name is none that DNS could know"
        case OSError() | aiohttp.InvalidURL():
            return str(error)
        case _:
            return type(error).__name__
