"""What a bridge or an istiod that is asked may answer, and the line in which a refusal is said."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from meshbridge.cli.diff.fetching import fetch
from meshbridge.cli.diff.sources import NotComparable

SOON = timedelta(seconds=5)


@dataclass
class Answer:
    """What the server answers to whatever is asked."""

    status: int = 200
    body: bytes = b"[]"
    headers: dict[str, str] = field(default_factory=dict[str, str])
    promised: int | None = None
    """Bytes that it says will come; ``None`` for those that do."""
    asked: list[str] = field(default_factory=list[str])


@pytest.fixture
def answer() -> Answer:
    """Return what the server answers, to be changed."""
    return Answer()


@pytest.fixture
def url(answer: Answer) -> Iterator[str]:
    """Return where a server listens."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer.asked.append(self.path)
            self.send_response(answer.status)
            length = len(answer.body) if answer.promised is None else answer.promised
            self.send_header("Content-Length", str(length))
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/api/services"
        finally:
            server.shutdown()
            thread.join()


def refused(url: str, wait: timedelta = SOON) -> str:
    """Return the line in which it is said that nothing was got."""
    with pytest.raises(NotComparable, match=r"^[^\n]+$") as error:
        fetch(url, "it", wait, "is it a bridge?")
    return str(error.value)


def test_what_is_answered_is_returned(url: str, answer: Answer) -> None:
    answer.body = b"[1, 2]"
    assert fetch(url, "it", SOON, "") == b"[1, 2]"
    assert answer.asked == ["/api/services"]


def test_a_bridge_that_is_not_ready_is_quoted(url: str, answer: Answer) -> None:
    answer.status = 503
    reasons = ["not ready: it waits", "waiting: registry shop, public was not read yet"]
    answer.body = json.dumps({"error": "nothing is served yet", "reasons": reasons}).encode()
    assert refused(url) == f"it: it is not ready: nothing is served yet; {'; '.join(reasons)}"
    answer.body = b"<html>"
    assert refused(url) == "it: it is not ready (503)"


def test_a_redirect_is_not_followed(url: str, answer: Answer) -> None:
    answer.status, answer.headers = 302, {"Location": "/elsewhere"}
    assert refused(url) == (
        "it: it redirects to /elsewhere, which is not followed; name that address"
    )
    assert answer.asked == ["/api/services"]


def test_another_status_is_said_with_what_to_try(url: str, answer: Answer) -> None:
    answer.status = 404
    assert refused(url) == "it: it answers with 404; is it a bridge?"


def test_an_answer_that_is_too_large_is_not_read_to_its_end(
    url: str, answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("meshbridge.cli.diff.fetching.LARGEST", 5)
    answer.body = b"[1, 2]"
    assert refused(url) == "it: it is larger than 256 MB"


def test_an_answer_that_breaks_off_is_none(url: str, answer: Answer) -> None:
    """A part of the services must not look like all of them."""
    answer.promised = 100
    assert refused(url).startswith("it: its answer broke off or is no HTTP: ")


def test_a_server_that_does_not_answer_in_time_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        begun = time.monotonic()
        line = refused(f"http://127.0.0.1:{silent.getsockname()[1]}/", timedelta(milliseconds=100))
    assert line == "it: it did not answer whole in 100ms; try a longer --wait"
    assert time.monotonic() - begun < 5


def test_a_port_that_nobody_listens_on_is_said_in_the_systems_words() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert refused(f"http://127.0.0.1:{port}/") == "it: it cannot be reached: Connection refused"


def test_what_speaks_no_tls_is_said_in_a_line(url: str) -> None:
    said = refused(url.replace("http:", "https:"))
    assert said == "it: it speaks no TLS at this port; try http:// instead of https://"
