"""What a connection is made of: who logs in how, what comes to the loop, and why it has ended."""

import asyncio
import contextlib
import errno
import socket
import ssl
import threading

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from kazoo.exceptions import SessionClosedRequireSaslError, SystemZookeeperError

from meshbridge import RegistryRejected, RegistryUnavailable
from meshbridge.client_tls import UnusableTls
from meshbridge_zookeeper_dubbo import session
from meshbridge_zookeeper_dubbo.options import Options, Server
from meshbridge_zookeeper_dubbo.session_client import ForeignProtocolError, TooLargeError
from meshbridge_zookeeper_dubbo.session_inbox import Inbox, Overrun
from meshbridge_zookeeper_dubbo.session_kazoo import (
    AuthFailedError,
    ConnectionDropped,
    KazooTimeoutError,
)
from meshbridge_zookeeper_dubbo.session_reasons import OversizedAnswer, explain, protected
from meshbridge_zookeeper_dubbo.session_sasl import DigestMd5, SaslError

SERVER = Server("zk", 2181)


# The example of RFC 2831, section 4.
CHALLENGE = (
    b'realm="elwood.innosoft.com",nonce="OA6MG9tEQGm2hh",qop="auth",algorithm=md5-sess,'
    b"charset=utf-8"
)


def chris() -> DigestMd5:
    return DigestMd5("chris", "secret", nonce="OA6MHXh6VqTrRk", service="imap/elwood.innosoft.com")


def test_a_challenge_is_answered_as_the_rfc_shows() -> None:
    login = chris()
    assert login.answer(CHALLENGE).decode().split(",") == [
        "charset=utf-8",
        'username="chris"',
        'realm="elwood.innosoft.com"',
        'nonce="OA6MG9tEQGm2hh"',
        "nc=00000001",
        'cnonce="OA6MHXh6VqTrRk"',
        'digest-uri="imap/elwood.innosoft.com"',
        "response=d388dad90d4bbd760a152321f2143af7",
        "qop=auth",
    ]
    assert login.answer(b"rspauth=ea40f60335c427b5527b84dbabcdfffd") == b""


@pytest.mark.parametrize("proof", [b"rspauth=ea40f60335c427b5527b84dbabcdfffe", b"", b"x=\xff"])
def test_a_server_that_does_not_know_the_password_is_found_out(proof: bytes) -> None:
    login = chris()
    login.answer(CHALLENGE)
    with pytest.raises(SaslError):
        login.answer(proof)


@pytest.mark.parametrize("words", [b"", b"\xff", b'realm="a"', b'nonce="a",algorithm=md5'])
def test_what_is_no_challenge_is_not_answered(words: bytes) -> None:
    with pytest.raises(SaslError):
        chris().answer(words)


@given(words=st.binary())
def test_no_challenge_raises_anything_else(words: bytes) -> None:
    with contextlib.suppress(SaslError):
        chris().answer(words)


@pytest.mark.asyncio
async def test_all_that_another_thread_puts_in_is_taken_in_its_order() -> None:
    inbox: Inbox[int] = Inbox(asyncio.get_running_loop())

    def put_all() -> None:
        for number in range(20_000):
            inbox.put(number)

    putting = threading.Thread(target=put_all)
    putting.start()
    taken: list[int] = []
    while len(taken) < 20_000:
        taken += await inbox.take()
    putting.join()
    assert taken == list(range(20_000))


@pytest.mark.asyncio
async def test_an_inbox_has_a_bound_and_can_be_woken_for_nothing() -> None:
    inbox: Inbox[int] = Inbox(asyncio.get_running_loop(), most=1)
    inbox.put(1)
    with pytest.raises(Overrun):
        inbox.put(2)
    assert await inbox.take() == [1]
    inbox.wake()
    assert await inbox.take() == []


def certificate_error() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "Hostname mismatch"
    return error


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (AuthFailedError(), "check username, password and sasl"),
        (SaslError("no proof"), "no proof; check username and password"),
        (SessionClosedRequireSaslError(), "set username, password and sasl"),
        (UnusableTls("tls ca /a cannot be used"), "tls ca /a cannot be used"),
        (certificate_error(), "Hostname mismatch; check that tls has the ca"),
    ],
)
def test_what_only_a_person_can_mend_is_a_refusal_with_a_remedy(
    error: Exception, remedy: str
) -> None:
    explained = explain(SERVER, error)
    assert isinstance(explained, RegistryRejected)
    assert str(explained).startswith("zk:2181: ")
    assert remedy in str(explained)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (TooLargeError(100, 10), "of 100 bytes, where at most 10 are read; raise max-reply"),
        (ForeignProtocolError(b"HTTP"), "answers 'HTTP'; check that servers name ZooKeeper's port"),
        (KazooTimeoutError("socket time-out during read"), "it did not answer in time"),
        (TimeoutError(), "it did not answer in time"),
        (ssl.SSLError(1, "WRONG_VERSION_NUMBER"), "check that this port speaks TLS"),
        (ssl.SSLError(1, "TLSV1_ALERT_X"), "check that tls has the certificate it wants"),
        (ConnectionRefusedError(111, "Connect call failed"), "Connection refused"),
        (socket.gaierror(-2, "Name or service not known"), "its name is not known: Name or"),
        (OSError("unsaid"), "unsaid"),
        (OSError(), "OSError"),
        (ConnectionDropped("socket connection broken"), "lost: socket connection broken"),
        (Overrun("more than 2 changes wait"), "more than 2 changes wait"),
        (SystemZookeeperError(), "it answers with SystemZookeeperError"),
        (RuntimeError("xids do not match, expected %r received %r", 1, 2), "match, expected"),
        (KeyError(), "its answer cannot be read: KeyError"),
    ],
)
def test_everything_else_is_an_outage_with_its_reason(error: Exception, reason: str) -> None:
    explained = explain(SERVER, error)
    assert isinstance(explained, RegistryUnavailable)
    assert isinstance(explained, OversizedAnswer) == isinstance(error, TooLargeError)
    assert str(explained).startswith("zk:2181: ")
    assert reason in str(explained)


def test_who_hangs_up_on_a_plain_question_may_want_tls() -> None:
    dropped = ConnectionDropped("socket connection broken")
    assert "if this port speaks TLS, set tls" in str(explain(SERVER, dropped, unheard=True))
    assert "TLS" not in str(explain(SERVER, dropped))
    assert "TLS" not in str(explain(SERVER, TimeoutError(), unheard=True))


def test_a_node_that_may_not_be_read_is_told_with_the_user_who_may_not() -> None:
    nobody, somebody = (str(protected(SERVER, user, "/prod/dubbo")) for user in ("", "ann"))
    assert nobody.startswith("zk:2181: /prod/dubbo may not be read; set username and password")
    assert "/prod/dubbo may not be read by ann, or the password is wrong" in somebody


@pytest.mark.asyncio
async def test_each_address_of_a_name_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of a family that this machine does not have, one where nobody listens, and a good one."""
    loop = asyncio.get_running_loop()
    unused = socket.socket()
    unused.bind(("127.0.0.1", 0))
    async with await loop.create_server(asyncio.Protocol, "127.0.0.1", 0) as server:
        good = server.sockets[0].getsockname()

        async def found(*_: object, **__: object) -> list[tuple[int, int, int, str, object]]:
            families = ((999, good), (socket.AF_INET, unused.getsockname()), (socket.AF_INET, good))
            return [(family, socket.SOCK_STREAM, 0, "", address) for family, address in families]

        monkeypatch.setattr(loop, "getaddrinfo", found)
        with await session.reach(SERVER, 5) as connection:
            assert connection.getpeername() == good
    with unused, pytest.raises(ConnectionRefusedError):
        await session.reach(SERVER, 5)


@pytest.mark.asyncio
async def test_too_many_open_files_are_an_outage_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    loop = asyncio.get_running_loop()
    async with await loop.create_server(asyncio.Protocol, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        chosen = Options.model_validate({"servers": [f"127.0.0.1:{port}"]})
        monkeypatch.setattr(socket, "socketpair", refuse)
        with pytest.raises(RegistryUnavailable, match="Too many open files"):
            async with session.connected(chosen, structlog.get_logger()):
                pass
