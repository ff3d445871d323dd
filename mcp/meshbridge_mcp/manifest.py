"""Writes ServiceEntries as YAML that ``istioctl validate`` and ``kubectl apply`` take."""

import re
from collections.abc import Iterable

import yaml
from google.protobuf.json_format import MessageToDict

from meshbridge_mcp.istio import Part

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9./_-]*", re.ASCII)
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
"""What one YAML parser or another takes for something else than a string."""


def manifests(parts: Iterable[Part]) -> str:
    """Return the parts as one stream of YAML documents, empty for no parts."""
    return yaml.dump_all(
        map(_document, parts),
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        explicit_start=True,
        width=10_000,
    )


def _document(part: Part) -> dict[str, object]:
    """Return a part without its create_time: whoever stores the resource sets its own."""
    metadata: dict[str, object] = {"name": part.name, "namespace": part.namespace}
    if part.labels:
        metadata["labels"] = dict(part.labels)
    if part.annotations:
        metadata["annotations"] = dict(part.annotations)
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "ServiceEntry",
        "metadata": metadata,
        "spec": MessageToDict(part.spec),
    }


class _Dumper(yaml.SafeDumper):
    """Quotes every string that is not plainly one.

    PyYAML leaves ``1e3`` and ``y`` bare, which Go's YAML reads as a number and a truth value: a
    label with such a value would be refused.
    """


def _text(_: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    plain = _PLAIN.fullmatch(text) and text.lower() not in _WORDS
    return yaml.ScalarNode("tag:yaml.org,2002:str", text, style=None if plain else "'")


_Dumper.add_representer(str, _text)
