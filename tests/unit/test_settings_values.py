"""The values that configurations are made of."""

import copy
import json
import pickle
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from meshbridge.settings import (
    Address,
    ConfigPath,
    Duration,
    ListenAddress,
    Listener,
    Secret,
    Section,
    Share,
    Tls,
)
from meshbridge.settings.values import Surroundings, format_duration
from rig.certificates import Authority

DURATION = TypeAdapter[timedelta](Duration)
SHARE = TypeAdapter[float](Share)
ADDRESS = TypeAdapter[Address](ListenAddress)


@dataclass
class _Login:
    password: Secret


class _Options(Section):
    password: Secret = Secret("hunter2")


def test_a_secret_shows_in_no_text_that_is_made_of_it() -> None:
    secret = Secret("hunter2")
    login = _Login(secret)
    shown = (
        repr(secret),
        str(secret),
        f"{secret}",
        f"{secret:>10}",
        "{}".format(secret),  # noqa: UP032 - another way to print is the point
        "%s %r" % (secret, secret),  # noqa: UP031 - see above
        repr(login),
        repr(asdict(login)),
        repr(_Options()),
        _Options().model_dump_json(),
        repr(_Options().model_dump()),
        json.dumps({"password": secret}, default=str),
    )
    assert not [text for text in shown if "hunter2" in text]
    assert secret.reveal() == "hunter2"


def test_a_secret_cannot_be_pickled_and_copies_of_its_holders_keep_it() -> None:
    """A pickle would either hold the text or, masked, a wrong password."""
    with pytest.raises(TypeError, match="a secret cannot be pickled"):
        pickle.dumps(Secret("hunter2"))
    assert copy.deepcopy(_Login(Secret("hunter2"))).password.reveal() == "hunter2"
    assert copy.copy(Secret("hunter2")) == Secret("hunter2")


def test_secrets_compare_by_their_text() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert hash(Secret("a")) == hash(Secret("a"))
    assert not Secret("")


def test_an_error_about_a_secret_does_not_show_it() -> None:
    with pytest.raises(ValidationError) as caught:
        _Options.model_validate({"password": 918273})
    assert "918273" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("500ms", 0.5), ("10s", 10), ("5m", 300), ("2h", 7200), ("1.5s", 1.5), ("0s", 0)],
)
def test_a_duration_is_read_with_its_unit(text: str, seconds: float) -> None:
    assert DURATION.validate_python(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("wrong", ["10", 10, "10 s", "-1s", "1d", "", "s", "1e3s", "\u0661s", None])
def test_a_duration_without_a_known_unit_is_refused(wrong: object) -> None:
    """A bare number's unit would be a guess."""
    with pytest.raises(ValidationError, match="must be a duration like 500ms, 10s, 5m or 2h"):
        DURATION.validate_python(wrong)


@given(st.integers(min_value=0, max_value=10**9))
def test_a_duration_that_is_written_reads_as_itself(milliseconds: int) -> None:
    duration = timedelta(milliseconds=milliseconds)
    assert DURATION.validate_python(format_duration(duration)) == duration


def test_a_share_is_read_as_a_part_of_one() -> None:
    assert SHARE.validate_python("50%") == 0.5
    assert SHARE.validate_python("0%") == 0
    assert SHARE.validate_python("100%") == 1
    assert SHARE.dump_python(0.125, mode="json") == "12.5%"


@pytest.mark.parametrize("wrong", ["50", 50, "101%", "-1%", "half", True])
def test_a_share_without_percent_is_refused(wrong: object) -> None:
    with pytest.raises(ValidationError, match="must be a share from 0% to 100%"):
        SHARE.validate_python(wrong)


@pytest.mark.parametrize(
    ("text", "host", "port", "loopback"),
    [
        ("127.0.0.1:15010", "127.0.0.1", 15010, True),
        ("[::1]:0", "::1", 0, True),
        ("[::ffff:127.0.0.1]:1", "::ffff:127.0.0.1", 1, True),
        ("localhost:80", "localhost", 80, True),
        ("0.0.0.0:80", "0.0.0.0", 80, False),  # noqa: S104 - nothing is bound here
        ("[::]:80", "::", 80, False),
        ("localhost.example.com:80", "localhost.example.com", 80, False),
        ("10.1.2.3:65535", "10.1.2.3", 65535, False),
    ],
)
def test_an_address_is_read_and_written_alike(
    text: str, host: str, port: int, *, loopback: bool
) -> None:
    address = ADDRESS.validate_python(text)
    assert address == Address(host, port)
    assert str(address) == text
    assert address.is_loopback is loopback


@pytest.mark.parametrize(
    "wrong",
    ["127.0.0.1", ":80", "::1:80", "a b:80", "h:65536", "h:-1", "[nope]:80", 80, "http://h:80"],
)
def test_what_is_no_address_is_refused(wrong: object) -> None:
    with pytest.raises(ValidationError, match=r"must be host:port|port that is not|must have an"):
        ADDRESS.validate_python(wrong)


def test_a_listener_beyond_loopback_needs_tls_or_its_refusal_by_name() -> None:
    beyond = Address("0.0.0.0", 1)  # noqa: S104 - nothing is bound here
    with pytest.raises(ValidationError, match='give it tls, or say "tls: none"'):
        Listener(listen=beyond)
    assert Listener(listen=beyond, tls="none").listen == beyond
    assert Listener(listen=Address("127.0.0.1", 1)).tls is None


def test_names_of_clients_need_an_authority_that_vouches_for_them(tmp_path: Path) -> None:
    """Without client-ca no client shows a certificate, and ``allow`` would let nobody in."""
    file = tmp_path / "any.pem"
    file.touch()
    with pytest.raises(ValidationError, match="allow needs client-ca"):
        Tls(certificate=file, key=file, allow=("spiffe://x/y",))


def test_a_relative_path_starts_beside_the_configuration() -> None:
    path = TypeAdapter[Path](ConfigPath)
    around = Surroundings(Path("/etc/meshbridge"))
    assert path.validate_python("a.yaml", context=around) == Path("/etc/meshbridge/a.yaml")
    assert path.validate_python("/a.yaml", context=around) == Path("/a.yaml")


def test_certificates_that_cannot_be_used_are_refused_before_anything_listens(
    tmp_path: Path,
) -> None:
    """Garbage, a pair that is none, and authorities that are none."""
    authority = Authority()
    certificate, key = authority.issue(tmp_path, "bridge.test")
    _, other = authority.issue(tmp_path, "other.test")
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("garbage")
    assert Tls(certificate=certificate, key=key).key == key
    for fields in (
        {"certificate": garbage, "key": garbage},
        {"certificate": certificate, "key": other},
    ):
        with pytest.raises(ValidationError, match="certificate and key are no usable pair"):
            Tls.model_validate(fields)
    with pytest.raises(ValidationError, match="client-ca holds no usable certificates"):
        Tls.model_validate({"certificate": certificate, "key": key, "client-ca": garbage})
