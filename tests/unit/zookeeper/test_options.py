"""The options of a ZooKeeper registry are read strictly and never show the password."""

from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from meshbridge.settings.client_tls import ClientTls
from meshbridge_zookeeper_dubbo.options import Options, Server

USER = {"username": "bridge", "password": "hunter2"}


def options(**fields: object) -> Options:
    return Options.model_validate({"servers": ["127.0.0.1"]} | fields)


def refused(**fields: object) -> str:
    with pytest.raises(ValidationError) as raised:
        options(**fields)
    return str(raised.value)


def test_only_servers_must_be_given() -> None:
    plain = options()
    assert plain.servers == (Server("127.0.0.1", 2181),)
    assert plain.chroot == ""
    assert plain.roots == ("/dubbo", "/services")
    assert plain.session_timeout == timedelta(seconds=10)
    assert plain.max_reply == 64 * 1024 * 1024
    assert not plain.dial_instances


@pytest.mark.parametrize(
    ("written", "server", "shown"),
    [
        ("zk", Server("zk", 2181), "zk:2181"),
        ("zk.example.com:80", Server("zk.example.com", 80), "zk.example.com:80"),
        ("[::1]:9000", Server("::1", 9000), "[::1]:9000"),
        ("[::1]", Server("::1", 2181), "[::1]:2181"),
        (Server("zk", 80), Server("zk", 80), "zk:80"),
    ],
)
def test_a_server_is_a_host_with_a_port_or_without(
    written: object, server: Server, shown: str
) -> None:
    (read,) = options(servers=[written]).servers
    assert read == server
    assert str(read) == shown


@pytest.mark.parametrize(
    "written", ["", "zk://a", "zk:", "zk:0", "zk:65536", "a b", "a/b", "a,b", "a:1,b:2", "::1", 1]
)
def test_anything_else_is_no_server(written: object) -> None:
    assert "servers.0" in refused(servers=[written])


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"servers": []}, "servers"),
        ({"servers": ["a", "a:2181"]}, "servers names a:2181 twice"),
        ({"interface-roots": ["dubbo"]}, "must begin with /, like /dubbo"),
        ({"interface-roots": [""]}, "must begin with /, like /dubbo"),
        ({"interface-roots": ["/dubbo/"]}, "must be written as /dubbo"),
        ({"application-roots": ["/a//b"]}, "must be written as /a/b"),
        ({"application-roots": ["/a/../b"]}, "must not have . or .. in it"),
        ({"application-roots": ["/a\nb"]}, "has characters that ZooKeeper takes in no path"),
        ({"application-roots": ["/\ue000"]}, "has characters that ZooKeeper takes in no path"),
        ({"application-roots": ["/" + 600 * "a"]}, "at most 512 characters"),
        ({"interface-roots": ["/a", "/a"]}, "interface-roots names /a twice"),
        ({"application-roots": ["/b", "/b"]}, "application-roots names /b twice"),
        ({"interface-roots": [], "application-roots": []}, "nothing would be read"),
        ({"chroot": "shared"}, "must begin with /"),
        ({"session-timeout": "900ms"}, "session-timeout must be from 1s to 5m"),
        ({"session-timeout": "6m"}, "session-timeout must be from 1s to 5m"),
        ({"max-reply": "512KiB"}, "max-reply must be from 1MiB to 1GiB"),
        ({"max-reply": "2GiB"}, "max-reply must be from 1MiB to 1GiB"),
        ({"max-reply": 67108864}, "must be a size like"),
        ({"max-reply": "64"}, "must be a size like"),
        ({"username": "bridge"}, "username and password go together"),
        ({"password": "hunter2"}, "username and password go together"),
        ({"sasl": "DIGEST-MD5"}, "sasl needs a username and a password"),
        ({"sasl": "GSSAPI", **USER}, "sasl"),
        ({"username": "a:b", "password": "c"}, "must have no : in it"),
        ({"pasword": "hunter2"}, "pasword"),
    ],
)
def test_what_cannot_work_is_refused(fields: dict[str, object], reason: str) -> None:
    assert reason in refused(**fields)


def test_the_root_of_the_tree_and_an_empty_chroot_may_be_named() -> None:
    chosen = options(**{"chroot": "/", "interface-roots": ["/"], "application-roots": []})
    assert chosen.chroot == ""
    assert chosen.roots == ("/",)
    assert options(chroot="/shared/zk").chroot == "/shared/zk"


def test_one_path_may_be_the_root_of_both() -> None:
    assert options(**{"interface-roots": ["/services", "/a"]}).roots == ("/services", "/a")


@pytest.mark.parametrize("written", ["1MiB", "1536KiB", "64MiB", "1GiB"])
def test_a_size_is_shown_as_it_is_written(written: str) -> None:
    dumped = options(**{"max-reply": written}).model_dump(mode="json", by_alias=True)
    assert dumped["max-reply"] == written


def test_the_password_never_shows() -> None:
    with_user = options(**USER)
    assert with_user.password.reveal() == "hunter2"
    assert "hunter2" not in f"{with_user!r} {with_user} {with_user.model_dump_json()}"


@pytest.mark.parametrize("server", ["127.0.0.1", "127.8.0.1:80", "[::1]:2181", "localhost"])
def test_a_password_may_travel_in_the_clear_on_this_machine(server: str) -> None:
    assert options(servers=[server], **USER).tls is None


def test_beyond_this_machine_a_password_wants_tls_or_a_word() -> None:
    reason = refused(servers=["127.0.0.1", "zk:2182"], **USER)
    assert "the password of bridge would be sent to zk:2182 in the clear" in reason
    assert "hunter2" not in reason
    assert options(servers=["zk"], tls="none", **USER).tls == "none"
    assert options(servers=["zk"], tls={}, **USER).tls == ClientTls()
    assert options(servers=["zk"], sasl="DIGEST-MD5", **USER).tls is None  # it is not sent


def test_a_certificate_and_its_key_go_together(tmp_path: Path) -> None:
    file = tmp_path / "file.pem"
    file.touch()
    both = options(tls={"ca": str(file), "certificate": str(file), "key": str(file)}).tls
    assert both == ClientTls(ca=file, certificate=file, key=file)
    for one in ("certificate", "key"):
        assert "certificate and key go together" in refused(tls={one: str(file)})
    assert "no readable file" in refused(tls={"ca": str(tmp_path / "missing.pem")})


def test_roots_that_are_read_by_default_are_not_chosen() -> None:
    server = {"servers": ["127.0.0.1"]}
    assert Options.model_validate(server).chosen_roots == ()
    one = Options.model_validate(server | {"interface-roots": ["/a"]})
    assert one.chosen_roots == ("/a",)
    both = Options.model_validate(server | {"application-roots": ["/b"], "interface-roots": ["/a"]})
    assert both.chosen_roots == ("/a", "/b")
