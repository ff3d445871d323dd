"""Whatever stands in a node, a reader returns a bounded value or says why not: BadData."""

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbridge import BadData, Instance
from meshbridge_dubbo import (
    ApplicationInstance,
    Provider,
    Rules,
    Served,
    application_instance,
    apply,
    guessed_providers,
    not_a_provider,
    parse_url,
    provider_named,
    providers_of,
    read_configurators,
    read_consumer,
    read_instance,
    read_mapping,
    read_metadata,
    read_override,
    read_provider,
)
from meshbridge_dubbo.parameters import LONGEST, MOST

CORPUS = Path(__file__).parents[2] / "corpus" / "zookeeper"
RULE = b"""
configVersion: v3.0
scope: service
key: a.B
enabled: true
configs:
  - side: consumer
    addresses: ["0.0.0.0"]
    providerAddresses: ["10.99.0.1:20891"]
    match: {providerAddress: {wildcard: "10.*"}, service: {oneof: [{prefix: a}]}}
    parameters: {disabled: true, weight: 20}
"""
OVERRIDE = (
    "override%3A%2F%2F10.99.0.1%3A20880%2Fa.B%3Fcategory%3Dconfigurators%26dynamic%3Dfalse"
    "%26enabled%3Dtrue%26weight%3D200%26disabled%3Dfalse"
)
EACH = 700
"""Mutations of each sort of text."""
NASTY = (
    b"\x00",
    b"\xff\xfe",
    b"%",
    b"%00",
    b"%FF",
    b"%zz",
    b"9" * 5_000,
    b"1e999999",
    b"-1",
    b"null",
    b"true",
    b"[]",
    b"{}",
    b'"',
    b"[" * 2_000,
    b"{a: " * 100,
    b"&a *a",
    b"\xed\xa0\x80",
    b'"\\ud800"',
    b"\xe2\x80\xae",
    b"=&?#@/:;,",
    b"A" * 70_000,
)


def captured() -> dict[str, list[bytes]]:
    """Every text of the captures that is read, by its sort."""
    found: dict[str, list[bytes]] = {
        "provider": [],
        "consumer": [],
        "instance": [],
        "metadata": [],
        "mapping": [],
        "override": [OVERRIDE.encode()],
        "configurators": [RULE],
    }
    for file in sorted(CORPUS.glob("*.json")):
        for node in cast("list[dict[str, str]]", json.loads(file.read_text())):
            match node["path"].split("/"):
                case ["", "dubbo", _, "providers", name]:
                    found["provider"].append(name.encode())
                case ["", "dubbo", _, "consumers", name]:
                    found["consumer"].append(name.encode())
                case ["", "services", _, _]:
                    found["instance"].append(node["text"].encode())
                case ["", "dubbo", "metadata", "provider", _]:
                    found["metadata"].append(node["text"].encode())
                case ["", "dubbo", "mapping", _]:
                    found["mapping"].append(node["text"].encode())
                case _:
                    pass
    return found


def mutated(text: bytes, dice: random.Random) -> bytes:
    """Break the text in one to three ways."""
    for _ in range(dice.randint(1, 3)):
        at = dice.randrange(len(text) + 1)
        length = dice.randint(1, 40)
        match dice.randrange(6):
            case 0:  # a byte flipped
                text = text[:at] + bytes([dice.randrange(256)]) + text[at + 1 :]
            case 1:  # cut
                text = text[:at]
            case 2:  # a part lost
                text = text[:at] + text[at + length :]
            case 3:  # a part doubled
                text = text[: at + length] + text[at:]
            case 4:  # something put in
                text = text[:at] + dice.choice(NASTY) + text[at:]
            case _:  # a number replaced
                digits = dice.choice((b"0", b"65536", b"-1", b"1" * 30, b"1.5", b'"x"', b"[]"))
                text = text.replace(b"20010", digits).replace(b"1767225600000", digits)
    return text


def bounded(instance: Instance) -> None:
    assert all(1 <= port.number <= 65_535 for port in instance.ports)
    assert instance.ports
    assert instance.address.isprintable()
    assert instance.id.isprintable()
    assert len(instance.id) <= 1_024
    assert len(instance.metadata) <= MOST
    assert all(len(key) <= LONGEST and len(value) <= LONGEST for key, value in instance.metadata)
    hash(instance)


def read_url(text: bytes) -> Provider:
    name = text.decode(errors="surrogateescape")  # as no ZooKeeper client hands it on
    url = parse_url(name)
    assert len(str(url)) <= 1_024
    provider = read_provider(url)
    bounded(provider.instance)
    assert provider_named(name) in {None, provider}
    return provider


def read_application(text: bytes) -> ApplicationInstance:
    found = read_instance("provider", "node", text)
    bounded(found.instance)
    served = guessed_providers(found, ["a.B"])
    assert len(served.providers) + len(served.faults) == len(found.instance.ports)
    return found


def read_exports(text: bytes) -> Served:
    plain = read_application(captured()["instance"][0])
    metadata = read_metadata(text)
    served = providers_of(plain, metadata)
    for provider in served.providers:
        bounded(provider.instance)
    bounded(application_instance(plain, served.providers))
    return served


def read_rules(text: bytes) -> Rules:
    return applied(read_configurators("a.B::.configurators", text))


def read_one_override(text: bytes) -> Rules:
    url = parse_url(text.decode(errors="surrogateescape"))
    not_a_provider(url)
    return applied(read_override(url, "a.B"))


def applied(rules: Rules) -> Rules:
    provider = read_provider(parse_url("dubbo://10.99.0.1:20880/a.B"))
    bounded(apply(provider, rules.rules).instance)
    return rules


def read_caller(text: bytes) -> object:
    return read_consumer(parse_url(text.decode(errors="surrogateescape")))


READERS: dict[str, Callable[[bytes], object]] = {
    "provider": read_url,
    "consumer": read_caller,
    "instance": read_application,
    "metadata": read_exports,
    "mapping": read_mapping,
    "override": read_one_override,
    "configurators": read_rules,
}


def outcomes(sort: str, texts: Iterator[bytes]) -> tuple[int, int]:
    """How many of the texts were read, and how many were refused with a reason."""
    read = 0
    reasons: list[str] = []
    for text in texts:
        try:
            READERS[sort](text)
        except BadData as bad:
            reasons.append(str(bad))
        else:
            read += 1
    assert all(0 < len(reason) < 1_000 for reason in reasons)
    return read, len(reasons)


@pytest.mark.parametrize("sort", READERS)
def test_every_text_as_it_was_captured_is_read(sort: str) -> None:
    texts = captured()[sort]
    assert outcomes(sort, iter(texts)) == (len(texts), 0)
    assert texts


@pytest.mark.parametrize("sort", READERS)
def test_a_broken_text_is_read_or_refused_and_crashes_nothing(sort: str) -> None:
    dice = random.Random(f"malformed {sort}")  # noqa: S311 - the same texts each time
    texts = captured()[sort]
    _, refused = outcomes(sort, (mutated(dice.choice(texts), dice) for _ in range(EACH)))
    assert refused > EACH // 10  # it did break them


@pytest.mark.parametrize("sort", READERS)
@pytest.mark.parametrize("text", [b"", *NASTY], ids=lambda text: repr(text[:12]))
def test_a_text_that_is_none_of_ours_is_read_or_refused(sort: str, text: bytes) -> None:
    outcomes(sort, iter([text, text * 2, b"[" + text + b"]", b'{"services":{"a":' + text + b"}}"]))


KEYS = st.sampled_from(
    [
        *("address", "port", "sslPort", "enabled", "payload", "@class", "metadata"),
        *("dubbo.endpoints", "dubbo.metadata.revision", "meta-v", "instance_status", "name"),
        *("services", "group", "version", "protocol", "path", "params", "app", "revision"),
        *("key", "scope", "configVersion", "configs", "side", "parameters", "weight", "match"),
        *("addresses", "providerAddresses", "providerAddress", "service", "oneof", "wildcard"),
    ]
)
TEXTS = st.text("aé1.-\x00 ", max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=12,
)


@given(st.dictionaries(KEYS, JSON, max_size=8))
def test_json_of_any_other_types_is_read_or_refused(held: dict[str, object]) -> None:
    text = json.dumps(held).encode()
    for sort in ("instance", "metadata", "configurators"):
        outcomes(sort, iter([text]))


@given(st.text() | st.from_regex(r"[a-z]{1,8}://[^?]{0,20}\?[^\x00]{0,40}"))
def test_any_name_of_a_node_is_read_or_refused(name: str) -> None:
    text = name.encode(errors="surrogateescape") if name.isascii() else name.encode()
    for sort in ("provider", "consumer", "override"):
        outcomes(sort, iter([text]))
