"""Shows resources to people: YAML in Envoy's own field names."""

import json

import yaml
from google.protobuf.json_format import MessageToJson

from meshbridge.protos import message_class, private_pool
from meshbridge.protos.gen.google.protobuf.any_pb2 import Any as AnyMessage
from meshbridge_xds.envoy.names import CDS, EDS, LDS, RDS
from meshbridge_xds.offers import Offer
from meshbridge_xds.resources import ResourceSet

_TITLES = ((LDS, "listeners"), (RDS, "routes"), (CDS, "clusters"), (EDS, "endpoints"))


def as_yaml(offer: Offer) -> str:
    """Return all listed resources by kind, sorted by name."""
    shown = {title: _all(offer.sets.get(url)) for url, title in _TITLES}
    text: str = yaml.safe_dump(shown, sort_keys=False, allow_unicode=True, width=120)
    return text


def _all(resources: ResourceSet | None) -> list[dict[str, object]]:
    if resources is None:
        return []
    return [_plain(resources.listed[name].body) for name in sorted(resources.listed)]


def _plain(body: bytes) -> dict[str, object]:
    packed = AnyMessage.FromString(body)
    message = message_class(packed.type_url.rpartition("/")[2]).FromString(packed.value)
    # By way of text, for MessageToDict shows an Any as an OrderedDict, which YAML has no words for.
    text = MessageToJson(message, preserving_proto_field_name=True, descriptor_pool=private_pool())
    plain: dict[str, object] = json.loads(text)
    return plain
