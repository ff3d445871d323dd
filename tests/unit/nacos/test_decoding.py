"""What a server sends is decoded, or one error says what was wrong; instances may come later."""

import json
from typing import cast

import msgspec
import pytest

from meshbridge import BadData, ServiceId
from meshbridge_nacos.decoding import PUSH, UnreadableError, decode, decode_message, fit
from meshbridge_nacos.outcome import Outcome
from meshbridge_nacos.parse import read_service

DESCRIBING = [PUSH, "SubscribeServiceResponse"]


def test_a_message_is_decoded_whole() -> None:
    body = b'{"serviceInfo": {"hosts": [{"ip": "10.0.0.1"}]}}'
    told = {"serviceInfo": {"hosts": [{"ip": "10.0.0.1"}]}}
    assert decode_message("ServiceListResponse", body, "it") == told


@pytest.mark.parametrize("kind", DESCRIBING)
def test_the_instances_of_a_description_are_left_as_they_came(kind: str) -> None:
    hosts = [{"ip": "10.0.0.1"}, 7]
    info = {"name": "a", "groupName": "G", "lastRefTime": 5, "reachProtectionThreshold": True}
    whole = {"requestId": "7", "resultCode": 500, "errorCode": 3, "message": "no"}
    described = {**info, "hosts": hosts, "checksum": "x"}
    told = decode_message(kind, json.dumps({**whole, "serviceInfo": described}).encode(), "it")
    told_info = cast("dict[str, object]", told.pop("serviceInfo"))
    held = told_info.pop("hosts")
    assert (told, told_info) == (whole, info)
    assert type(held) is msgspec.Raw
    assert json.loads(memoryview(held).tobytes()) == hosts


@pytest.mark.parametrize("kind", DESCRIBING)
def test_what_a_description_does_not_say_is_no_fault_of_it(kind: str) -> None:
    """Whoever reads it finds out; a push says nothing of an outcome."""
    told = decode_message(kind, b'{"serviceInfo": {"name": 5}}', "it")
    assert fit(told, Outcome, "it") == Outcome()
    info = cast("dict[str, object]", told["serviceInfo"])
    assert info["name"] == 5
    with pytest.raises(BadData, match="its list of instances is missing"):
        read_service(ServiceId("", "", "a"), info)


@pytest.mark.parametrize("kind", DESCRIBING)
@pytest.mark.parametrize("info", ["null", "[1]", '"text"', "1", "1.5", "true"])
def test_a_message_may_describe_nothing(kind: str, info: str) -> None:
    body = f'{{"serviceInfo": {info}}}'.encode()
    assert decode_message(kind, body, "a push")["serviceInfo"] == json.loads(info)


@pytest.mark.parametrize("spoilt", [b"[]", b'{"a": ', b'{"serviceInfo": {"hosts": [}}', b"\xff"])
@pytest.mark.parametrize("kind", [*DESCRIBING, "ServiceListResponse"])
def test_what_cannot_be_read_is_one_error(kind: str, spoilt: bytes) -> None:
    with pytest.raises(UnreadableError, match="a push cannot be read: "):
        decode_message(kind, spoilt, "a push")


def test_text_that_is_not_utf8_and_depth_have_reasons_of_their_own() -> None:
    with pytest.raises(UnreadableError, match="it is not UTF-8"):
        decode(b'{"a": "\xff"}', dict[str, str], "it")
    with pytest.raises(UnreadableError, match="nested too deep"):
        decode(b"[" * 100_000, object, "it")


def test_what_was_decoded_may_not_fit() -> None:
    assert fit({"a": 1}, dict[str, int], "it") == {"a": 1}
    with pytest.raises(UnreadableError, match="it cannot be read: Expected"):
        fit({"a": "b"}, dict[str, int], "it")
