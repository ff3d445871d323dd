"""Writes ServiceEntries as YAML that ``istioctl validate`` and ``kubectl apply`` take."""

import re
from collections.abc import Iterable
from typing import TypeAlias

import yaml
from google.protobuf.json_format import MessageToDict

from meshbridge_mcp.istio import Part

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9./_-]*", re.ASCII)
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
"""What one YAML parser or another takes for something else than a string."""
Value: TypeAlias = "str | int | list[Value] | dict[str, Value]"
"""What a document is made of."""

_TAG = "tag:yaml.org,2002:"
_MAPS = frozenset({"labels", "annotations", "ports"})
"""Their keys have no order of their own, in a message least of all: they are sorted."""


def manifests(parts: Iterable[Part]) -> str:
    """Return the parts as one stream of YAML documents, empty for no parts."""
    return yaml.serialize_all(  # pyright: ignore[reportUnknownMemberType] - untyped in the stubs
        (_node(_document(part)) for part in parts),
        # libyaml where the wheel has it: ten thousand services in seconds and not in half a minute.
        Dumper=yaml.CSafeDumper if yaml.__with_libyaml__ else yaml.SafeDumper,
        allow_unicode=True,
        explicit_start=True,
        width=10_000,
    )


def _document(part: Part) -> dict[str, Value]:
    """Return a part without its create_time: whoever stores the resource sets its own."""
    metadata: dict[str, Value] = {"name": part.name, "namespace": part.namespace}
    if part.labels:
        metadata["labels"] = dict[str, Value](part.labels)
    if part.annotations:
        metadata["annotations"] = dict[str, Value](part.annotations)
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "ServiceEntry",
        "metadata": metadata,
        "spec": MessageToDict(part.spec),
    }


def _node(value: Value, field: str = "") -> yaml.Node:
    if isinstance(value, dict):
        pairs = list(value.items())
        if field in _MAPS:
            pairs.sort()
        return yaml.MappingNode(
            f"{_TAG}map", [(_text(key), _node(each, key)) for key, each in pairs], flow_style=False
        )
    if isinstance(value, list):
        return yaml.SequenceNode(f"{_TAG}seq", [_node(each) for each in value], flow_style=False)
    if isinstance(value, int):
        return yaml.ScalarNode(f"{_TAG}int", str(value))
    return _text(value)


def _text(text: str) -> yaml.ScalarNode:
    """Return a string, quoted unless it is plainly one.

    PyYAML would leave ``1e3`` and ``y`` bare, which Go's YAML reads as a number and a truth value:
    a label with such a value would be refused.
    """
    plain = _PLAIN.fullmatch(text) and text.lower() not in _WORDS
    return yaml.ScalarNode(f"{_TAG}str", text, style=None if plain else "'")
