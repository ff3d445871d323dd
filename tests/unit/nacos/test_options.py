"""The options of a Nacos registry are read strictly and never show the password."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from meshbridge_nacos.options import Options, Server, parse_server


def options(**fields: object) -> Options:
    return Options.model_validate({"servers": ["127.0.0.1"]} | fields)


def test_only_servers_must_be_given() -> None:
    plain = options()
    assert plain.servers == (Server("127.0.0.1", 8848),)
    assert plain.namespaces == ("public",)
    assert plain.groups == ("DEFAULT_GROUP",)
    assert plain.list_interval == timedelta(seconds=10)


@pytest.mark.parametrize(
    ("written", "server"),
    [
        ("nacos", Server("nacos", 8848)),
        ("nacos.example.com:80", Server("nacos.example.com", 80)),
        ("[::1]:9000", Server("[::1]", 9000)),
        ("[::1]", Server("[::1]", 8848)),
        (Server("nacos", 80), Server("nacos", 80)),
    ],
)
def test_a_server_is_a_host_with_a_port_or_without(written: object, server: Server) -> None:
    (read,) = options(servers=[written]).servers
    assert read == server
    assert read.grpc_port == server.port + 1000


@pytest.mark.parametrize(
    "written", ["", "http://nacos:8848", "nacos:", "nacos:0", "nacos:64536", "a b", "a/b", 8848]
)
def test_anything_else_is_no_server(written: object) -> None:
    with pytest.raises(ValidationError):
        options(servers=[written])


@pytest.mark.parametrize(
    "fields",
    [
        {"servers": []},
        {"namespaces": []},
        {"namespaces": [""]},
        {"namespaces": ["../x"]},
        {"groups": ["a/b"]},
        {"groups": ["a", "a"]},
        {"list-interval": "10ms"},
        {"list-interval": 10},
        {"username": "bridge"},
        {"password": "secret"},
        {"pasword": "secret"},
    ],
)
def test_what_cannot_work_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        options(**fields)


def test_the_password_never_shows() -> None:
    word = "hunter2"
    with_user = options(username="bridge", password=word)
    assert with_user.password.reveal() == word
    assert word not in f"{with_user!r} {with_user} {with_user.model_dump_json()}"


USER = {"username": "bridge", "password": "hunter2"}


@pytest.mark.parametrize("server", ["127.0.0.1", "127.8.0.1:80", "[::1]:8848", "localhost"])
def test_a_password_may_travel_in_the_clear_on_this_machine(server: str) -> None:
    assert options(servers=[server], **USER).tls is None


@pytest.mark.parametrize(
    "server", ["10.0.0.1:8848", "nacos:8848", "localhost.example.com:8848", "[fe80::1]:8848"]
)
def test_a_password_travels_in_the_clear_only_where_that_is_meant(server: str) -> None:
    """One server beyond loopback is enough: any of them may be asked to let the user in."""
    servers = ["127.0.0.1:8848", server]
    with pytest.raises(ValidationError) as refused:
        options(servers=servers, **USER)
    (fault,) = refused.value.errors()
    reason, remedy = "would be sent to", 'say "tls: none"'
    assert all(said in fault["msg"] for said in (str(parse_server(server)), reason, remedy))
    assert "hunter2" not in str(refused.value)
    assert options(servers=servers, tls="none", **USER).tls == "none"
    assert options(servers=servers).tls is None, "without a user there is nothing to hide"


@pytest.mark.parametrize("tls", ["some", True, {"ca": "ca.pem"}])
def test_tls_towards_nacos_cannot_be_asked_for_yet(tls: object) -> None:
    with pytest.raises(ValidationError):
        options(tls=tls)


def test_each_option_is_described() -> None:
    undescribed = [
        name
        for name, field in Options.model_fields.items()
        if not (field.description or "").strip()
    ]
    assert undescribed == []
