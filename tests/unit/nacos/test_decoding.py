"""What a server sends is decoded, or one error says what was wrong; instances may come later."""

import json
from typing import cast

import msgspec
import pytest

from meshbridge_nacos.decoding import LARGE, UnreadableError, decode, decode_message, fit


def message(**info: object) -> bytes:
    padding = "x" * LARGE
    return json.dumps({"requestId": "7", "padding": padding, "serviceInfo": info}).encode()


def test_a_small_message_is_decoded_whole() -> None:
    body = b'{"serviceInfo": {"hosts": [{"ip": "10.0.0.1"}]}}'
    assert decode_message(body, "a push") == {"serviceInfo": {"hosts": [{"ip": "10.0.0.1"}]}}


def test_the_instances_of_a_large_message_are_left_as_they_came() -> None:
    told = decode_message(message(name="orders", hosts=[{"ip": "10.0.0.1"}, 7]), "a push")
    assert told["requestId"] == "7"
    info = cast("dict[str, object]", told["serviceInfo"])
    hosts = cast("list[msgspec.Raw]", info["hosts"])
    assert info["name"] == "orders"
    assert [bytes(memoryview(host)) for host in hosts] == [b'{"ip": "10.0.0.1"}', b"7"]
    assert all(type(host) is msgspec.Raw for host in hosts)


@pytest.mark.parametrize("hosts", [None, {}, "text", 1])
def test_what_is_no_list_of_instances_is_left_to_who_reads_it(hosts: object) -> None:
    told = decode_message(message(hosts=hosts), "a push")
    assert told["serviceInfo"] == {"hosts": hosts}


@pytest.mark.parametrize("info", ["null", "[1]", '"text"'])
def test_a_large_message_may_describe_nothing(info: str) -> None:
    body = f'{{"padding": "{"x" * LARGE}", "serviceInfo": {info}}}'.encode()
    assert decode_message(body, "a push")["serviceInfo"] == json.loads(info)


@pytest.mark.parametrize("spoilt", [b"[]", b'{"a": ', b'{"serviceInfo": {"hosts": [}}', b"\xff"])
@pytest.mark.parametrize("padding", [b"", b" " * LARGE])
def test_what_cannot_be_read_is_one_error(spoilt: bytes, padding: bytes) -> None:
    with pytest.raises(UnreadableError, match="a push cannot be read: "):
        decode_message(padding + spoilt, "a push")


def test_text_that_is_not_utf8_and_depth_have_reasons_of_their_own() -> None:
    with pytest.raises(UnreadableError, match="it is not UTF-8"):
        decode(b'{"a": "\xff"}', dict[str, str], "it")
    with pytest.raises(UnreadableError, match="nested too deep"):
        decode(b"[" * 100_000, object, "it")


def test_what_was_decoded_may_not_fit() -> None:
    assert fit({"a": 1}, dict[str, int], "it") == {"a": 1}
    with pytest.raises(UnreadableError, match="it cannot be read: Expected"):
        fit({"a": "b"}, dict[str, int], "it")
