"""The options of a Eureka registry are read strictly and never show the password."""

from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from meshbridge.settings.client_tls import ClientTls
from meshbridge_eureka.options import Options, Server, parse_server

HERE = "http://127.0.0.1:8761/eureka"
USER = {"username": "bridge", "password": "hunter2"}


def options(**fields: object) -> Options:
    return Options.model_validate({"servers": [HERE]} | fields)


def refused(**fields: object) -> str:
    with pytest.raises(ValidationError) as raised:
        options(**fields)
    return str(raised.value)


def test_only_servers_must_be_given() -> None:
    plain = options()
    assert plain.servers == (Server("http", "127.0.0.1", 8761, "/eureka"),)
    assert plain.interval == timedelta(seconds=5)
    assert plain.full_interval == timedelta(minutes=5)
    assert plain.regions == ()
    assert plain.names == "vip"


@pytest.mark.parametrize(
    ("written", "server", "url"),
    [
        (HERE, Server("http", "127.0.0.1", 8761, "/eureka"), HERE),
        (
            "https://Eureka_1.example.com/eureka/v2/",
            Server("https", "eureka_1.example.com", 443, "/eureka/v2"),
            "https://eureka_1.example.com/eureka/v2",
        ),
        ("HTTP://[::1]:9000/x", Server("http", "::1", 9000, "/x"), "http://[::1]:9000/x"),
        ("http://[::1]:80/x", Server("http", "::1", 80, "/x"), "http://[::1]/x"),
        ("https://e:80/x", Server("https", "e", 80, "/x"), "https://e:80/x"),
        (Server("http", "e", 1, "/x"), Server("http", "e", 1, "/x"), "http://e:1/x"),
    ],
)
def test_a_server_is_a_url(written: object, server: Server, url: str) -> None:
    (read,) = options(servers=[written]).servers
    assert read == server
    assert str(read) == read.url == url


@pytest.mark.parametrize(
    ("written", "remedy"),
    [
        ("", HERE),
        ("eureka:8761", HERE),
        ("ftp://eureka/eureka", HERE),
        ("http:///eureka", HERE),
        ("http://a/eureka,http://b/eureka", "an item of its own"),
        ("http://a/eureka?x=1", HERE),
        ("http://a b/eureka", HERE),
        (8761, HERE),
        ("http://eureka:8761", "/eureka for Spring Cloud"),
        ("http://eureka:8761/", "/eureka/v2 for Netflix"),
        ("http://eureka:0/eureka", "from 1 to 65535"),
        ("http://eureka:65536/eureka", "from 1 to 65535"),
        ("http://eureka/eureka/apps/", "end before /apps"),
        ("http://bridge:hunter2@eureka/eureka", "give username and password"),
    ],
)
def test_anything_else_is_no_server(written: object, remedy: str) -> None:
    message = refused(servers=[written])
    assert remedy in message
    assert "hunter2" not in message


def test_servers_may_be_written_by_zone() -> None:
    zones = {"z1": ["http://a/eureka", "http://b/eureka"], "z2": ["http://c/eureka"]}
    read = options(servers=zones, zone="z2")
    assert [(each.host, each.zone) for each in read.servers] == [
        ("a", "z1"),
        ("b", "z1"),
        ("c", "z2"),
    ]
    assert read.model_dump()["servers"] == zones
    assert options(servers=zones).zone == ""
    assert options().model_dump()["servers"] == [HERE]


@pytest.mark.parametrize(
    "servers",
    [
        [],
        {},
        HERE,
        None,
        {"z1": HERE},
        {"": [HERE]},
        {1: [HERE]},
        {"z1": ["eureka"]},
        {"z1": [HERE], "z2": [HERE]},
        [HERE, f"{HERE}/"],
    ],
)
def test_servers_are_a_list_or_lists_by_zone(servers: object) -> None:
    assert "servers" in refused(servers=servers)


@pytest.mark.parametrize("server", ["127.0.0.1:1", "127.8.0.1", "[::1]:8761", "localhost"])
def test_what_is_sent_to_loopback_stays_here(server: str) -> None:
    assert parse_server(f"http://{server}/eureka").is_loopback


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"zone": "z1"}, f"zone needs servers by zone, like servers: {{z1: [{HERE}]}}"),
        (
            {"servers": {"z3": [HERE], "z1": ["http://a/eureka"]}, "zone": "z2"},
            "zone z2 is none of those that servers are given for: z1, z3",
        ),
        ({"username": "bridge"}, "go together"),
        ({"password": "hunter2"}, "go together"),
        (USER | {"username": "a:b"}, "no : in it"),
        ({"interval": "900ms"}, "1s or more"),
        ({"interval": 5}, "interval"),
        (
            {"interval": "2h"},
            "interval 2h is above full-interval 5m: shorten interval, or make full-interval as",
        ),
        ({"full-interval": "4s"}, "interval 5s is above full-interval 4s"),
        ({"regions": ["a", "a"]}, "regions names a twice"),
        ({"regions": ["a/b"]}, "regions"),
        ({"names": "host"}, "names"),
        ({"tls": {}}, "https://"),
        ({"tls": "some"}, "tls"),
        ({"tls": {"ca": "/no/such/file"}}, "tls"),
        ({"intervall": "5s"}, "intervall"),
    ],
)
def test_what_cannot_work_is_refused(fields: dict[str, object], said: str) -> None:
    assert said in refused(**fields)


def test_the_password_never_shows() -> None:
    with_user = options(**USER)
    assert with_user.password.reveal() == "hunter2"
    assert "hunter2" not in f"{with_user!r} {with_user} {with_user.model_dump_json()}"


@pytest.mark.parametrize("tls", [None, {}])
def test_a_password_travels_in_the_clear_only_where_that_is_meant(tls: object) -> None:
    """One server beyond loopback is enough: any of them may be asked."""
    servers = ["https://a/eureka", "http://10.0.0.1:8761/eureka"]
    message = refused(servers=servers, tls=tls, **USER)
    assert "would be sent to http://10.0.0.1:8761/eureka in the clear" in message
    assert 'say "tls: none"' in message
    assert "hunter2" not in message
    assert options(servers=servers, tls="none", **USER).tls == "none"
    assert options(servers=servers).tls is None, "without a user there is nothing to hide"


def test_with_https_the_password_goes_anywhere() -> None:
    read = options(servers=["https://a/eureka"], tls={"ca": str(Path(__file__))}, **USER)
    assert isinstance(read.tls, ClientTls)
    assert options(servers=["https://a/eureka"], **USER).tls is None


def test_each_option_is_described() -> None:
    undescribed = [
        name
        for name, field in Options.model_fields.items()
        if not (field.description or "").strip()
    ]
    assert undescribed == []
