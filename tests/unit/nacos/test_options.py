"""The options of a Nacos registry are read strictly and never show the password."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from meshbridge_nacos.options import Options, Server, Tls, parse_server


def options(**fields: object) -> Options:
    return Options.model_validate({"servers": ["127.0.0.1"]} | fields)


def test_only_servers_must_be_given() -> None:
    plain = options()
    assert plain.servers == (Server("127.0.0.1", 8848),)
    assert plain.namespaces == ("public",)
    assert plain.groups == ("DEFAULT_GROUP",)
    assert plain.discover_every == timedelta(seconds=5)


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
        {"endpoint": "127.0.0.1"},
        {"servers": ["127.0.0.1", "127.0.0.1:8848"]},
        {"context-path": "nacos"},
        {"context-path": "/../x?"},
        {"access-key": "ak"},
        {"secret-key": "secret"},
        {"namespaces": ["*", "public"]},
        {"groups": ["*"], "admin": False},
        {"namespaces": []},
        {"namespaces": [""]},
        {"namespaces": ["../x"]},
        {"groups": ["a/b"]},
        {"groups": ["a", "a"]},
        {"discover-every": "10ms"},
        {"discover-every": 10},
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


@pytest.mark.parametrize(
    "tls",
    [
        "some",
        True,
        {"ca": "/no/such/file"},
        {"certificate": __file__},
        {"key": __file__},
        {"http": "open"},
    ],
)
def test_tls_is_files_that_can_be_read_or_none(tls: object) -> None:
    with pytest.raises(ValidationError):
        options(tls=tls)


def test_with_tls_the_password_goes_anywhere() -> None:
    asked = options(servers=["nacos:8848"], tls={"ca": __file__}, **USER)
    assert isinstance(asked.tls, Tls)
    assert isinstance(options(servers=["nacos:8848"], tls={}, **USER).tls, Tls)


@pytest.mark.parametrize(
    ("written", "url"),
    [
        ("acm.example.com", "http://acm.example.com:8080/nacos/serverlist"),
        ("127.0.0.1:80", "http://127.0.0.1:80/nacos/serverlist"),
        ("[::1]:80/list", "http://[::1]:80/list"),
        ("https://acm.example.com/x?y=z", "https://acm.example.com/x?y=z"),
    ],
)
def test_an_address_server_is_a_host_or_a_url(written: str, url: str) -> None:
    assert options(servers=[], endpoint=written).endpoint == url


@pytest.mark.parametrize("written", ["ftp://x/y z", "a b", "user@host", "http://"])
def test_anything_else_is_no_address_server(written: str) -> None:
    with pytest.raises(ValidationError):
        options(servers=[], endpoint=written)


def test_an_address_server_may_not_be_handed_a_password_in_the_clear() -> None:
    with pytest.raises(ValidationError, match="the servers that endpoint names"):
        options(servers=[], endpoint="127.0.0.1", **USER)
    assert options(servers=[], endpoint="127.0.0.1", tls="none", **USER).servers == ()


@pytest.mark.parametrize(
    ("written", "path"), [("/nacos", "/nacos"), ("/a/b-c/", "/a/b-c"), ("/", ""), ("", "")]
)
def test_a_context_path_is_a_path_or_nothing(written: str, path: str) -> None:
    assert options(**{"context-path": written}).context_path == path


def test_an_access_key_has_a_secret_that_never_shows() -> None:
    word = "hunter2"
    keyed = options(**{"access-key": "ak", "secret-key": word})
    assert keyed.secret_key.reveal() == word
    assert word not in f"{keyed!r} {keyed} {keyed.model_dump_json()}"


def test_each_option_is_described() -> None:
    undescribed = [
        name
        for name, field in Options.model_fields.items()
        if not (field.description or "").strip()
    ]
    assert undescribed == []
