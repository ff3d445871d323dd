"""What is said of a server that gave no answer: the reason, and in no word of the server's."""

import errno
import zlib
from http import HTTPStatus

import aiohttp
import pytest

from meshbridge import RegistryRejected
from meshbridge_eureka.options import Server
from meshbridge_eureka.refusals import NotOfferedError, RefusedError, reason, refusal

PLAIN = Server("http", "127.0.0.1", 8761, "/eureka")
OVER_TLS = Server("https", "127.0.0.1", 8761, "/eureka")
MAYBE_UNKNOWN = "; does it ask for a certificate? then mend tls"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (aiohttp.ConnectionTimeoutError(), "no connection within 5 s"),
        (aiohttp.SocketTimeoutError(), "nothing for 10 s"),
        (TimeoutError(), "no whole answer within 30 s"),
        (aiohttp.ClientPayloadError("secret"), "it broke off its answer"),
        (
            zlib.error("secret"),
            "its answer is compressed in a way that cannot be read",
        ),
        (
            UnicodeError("secret"),
            "its name is none that DNS could know",
        ),
        (aiohttp.ClientOSError(errno.ECONNRESET, "secret"), "it reset the connection"),
        (aiohttp.ClientOSError(errno.EPIPE, "secret"), "it reset the connection"),
        (OSError("Too many open files"), "Too many open files"),
        (aiohttp.InvalidURL("http://127.0.0.1:x"), "http://127.0.0.1:x"),
        (aiohttp.ClientConnectionError("secret"), "ClientConnectionError"),
    ],
)
def test_what_went_wrong_is_told_in_words_of_ours(error: Exception, said: str) -> None:
    assert reason(error, PLAIN, known=True) == said


def test_a_server_that_hangs_up_may_want_a_certificate_or_be_one_of_https() -> None:
    error = aiohttp.ServerDisconnectedError()
    assert "certificate? then mend tls" in reason(error, OVER_TLS, known=True)
    assert reason(error, PLAIN, known=False).endswith("; is its port one for https://?")
    assert reason(error, PLAIN, known=True) == "it broke off before it answered"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            aiohttp.ClientOSError(1, "[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] tlsv13 alert"),
            f"it ended TLS: TLSV13_ALERT_CERTIFICATE_REQUIRED{MAYBE_UNKNOWN}",
        ),
        (
            aiohttp.ClientOSError(1, "[SSL: BAD_RECORD_TYPE] bad record type (_ssl.c:2580)"),
            "the connection broke: [SSL: BAD_RECORD_TYPE] bad record type (_ssl.c:2580)",
        ),
        (aiohttp.ClientOSError(errno.ECONNRESET, "secret"), "it reset the connection"),
        (
            aiohttp.ClientOSError(errno.EHOSTUNREACH, "No route to host"),
            "the connection broke: No route to host",
        ),
        (
            aiohttp.ClientOSError(errno.ETIMEDOUT, "Connection timed out"),
            "the connection broke: Connection timed out",
        ),
    ],
)
def test_a_certificate_is_asked_after_only_where_the_server_ended_tls(
    error: Exception, said: str
) -> None:
    assert reason(error, OVER_TLS, known=True) == said


@pytest.mark.parametrize("status", list(HTTPStatus)[5:])
def test_every_status_is_a_reason_and_only_a_user_that_is_not_known_is_rejected(
    status: HTTPStatus,
) -> None:
    told = refusal(status, PLAIN, has_user=True, known=False)
    assert f"HTTP {status.value}" in str(told)
    assert isinstance(told, RegistryRejected) == (status == HTTPStatus.UNAUTHORIZED)
    assert isinstance(told, NotOfferedError) == (
        (300 <= status < 400 and status != HTTPStatus.NOT_MODIFIED) or status in (403, 404)
    )


def test_who_gives_no_user_is_told_to_give_one() -> None:
    asked = refusal(401, PLAIN, has_user=False, known=True)
    assert str(asked).endswith("; give username and password")


def test_a_port_of_https_is_thought_of_where_a_plain_question_is_a_bad_one() -> None:
    maybe = "; is its port one for https://?"
    assert str(refusal(400, PLAIN, has_user=False, known=False)).endswith(maybe)
    for server, known in [(PLAIN, True), (OVER_TLS, False)]:
        told = refusal(400, server, has_user=False, known=known)
        assert isinstance(told, RefusedError)
        assert str(told) == "it answered HTTP 400"
