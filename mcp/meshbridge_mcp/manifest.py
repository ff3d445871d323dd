"""Writes documents as YAML that ``istioctl validate`` and ``kubectl apply`` take."""

import json
import re
from collections.abc import Iterable
from typing import TypeAlias, cast

import yaml
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message

from meshbridge_mcp.resource import Document

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9./_-]*", re.ASCII)
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
"""What one YAML parser or another takes for something else than a string."""
Value: TypeAlias = "str | bool | int | float | list[Value] | dict[str, Value] | None"
"""What a document is made of."""

_TAG = "tag:yaml.org,2002:"
_VERSIONS = {"EnvoyFilter": "v1alpha3"}
"""The version of kinds that have none called v1."""
_WELL_KNOWN = "google.protobuf."


def manifests(documents: Iterable[Document[Message]]) -> str:
    """Return the documents as one stream of YAML, empty for none."""
    return yaml.serialize_all(  # pyright: ignore[reportUnknownMemberType] - untyped in the stubs
        (_node(_manifest(document)) for document in documents),
        # libyaml where the wheel has it: ten thousand services in seconds and not in half a minute.
        Dumper=yaml.CSafeDumper if yaml.__with_libyaml__ else yaml.SafeDumper,
        allow_unicode=True,
        explicit_start=True,
        width=10_000,
    )


def _manifest(document: Document[Message]) -> dict[str, Value]:
    """Return a document without its create_time: whoever stores the resource sets its own."""
    group, _, kind = document.kind.partition("/")
    metadata: dict[str, Value] = {"name": document.name, "namespace": document.namespace}
    if document.labels:
        metadata["labels"] = dict[str, Value](sorted(document.labels))
    if document.annotations:
        metadata["annotations"] = dict[str, Value](sorted(document.annotations))
    return {
        "apiVersion": f"{group}/{_VERSIONS.get(kind, 'v1')}",
        "kind": kind,
        "metadata": metadata,
        "spec": _fields(document.spec),
    }


def _fields(message: Message) -> dict[str, Value]:
    """Return what is set of a message, by the names that its JSON has.

    protobuf's own JSON leaves maps in chance's order and writes 64 bits as a string, which
    Kubernetes refuses where a number is asked for.
    """
    return {
        field.json_name: _field(field, cast("object", value))
        for field, value in message.ListFields()
    }


def _field(field: FieldDescriptor, value: object) -> Value:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        each = field.message_type.fields_by_name["value"]
        pairs = sorted(cast("dict[str, object]", value).items())
        return {key: _single(each, member) for key, member in pairs}
    if field.is_repeated:
        return [_single(field, member) for member in cast("list[object]", value)]
    return _single(field, value)


def _single(field: FieldDescriptor, value: object) -> Value:
    if isinstance(value, Message):
        if value.DESCRIPTOR.full_name.startswith(_WELL_KNOWN):
            return cast("Value", json.loads(MessageToJson(value, sort_keys=True)))
        return _fields(value)
    if field.enum_type is not None:
        return field.enum_type.values_by_number[cast("int", value)].name
    return cast("Value", value)


def _node(value: Value) -> yaml.Node:
    if isinstance(value, dict):
        return yaml.MappingNode(
            f"{_TAG}map",
            [(_text(key), _node(each)) for key, each in value.items()],
            flow_style=False,
        )
    if isinstance(value, list):
        return yaml.SequenceNode(f"{_TAG}seq", [_node(each) for each in value], flow_style=False)
    if isinstance(value, str):
        return _text(value)
    # As JSON spells it, which is YAML too.
    kind = "null" if value is None else type(value).__name__
    return yaml.ScalarNode(f"{_TAG}{kind}", json.dumps(value))


def _text(text: str) -> yaml.ScalarNode:
    """Return a string, quoted unless it is plainly one.

    PyYAML would leave ``1e3`` and ``y`` bare, which Go's YAML reads as a number and a truth value:
    a label with such a value would be refused.
    """
    plain = _PLAIN.fullmatch(text) and text.lower() not in _WORDS
    return yaml.ScalarNode(f"{_TAG}str", text, style=None if plain else "'")
