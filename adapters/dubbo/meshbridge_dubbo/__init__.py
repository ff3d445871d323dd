"""What Dubbo means, whichever registry holds it: URLs, instances, metadata and rules; pure."""

from meshbridge_dubbo.alike import provider_named
from meshbridge_dubbo.application import (
    ApplicationInstance,
    Framework,
    MetadataService,
    dubbo_instance,
    is_dubbos,
    read_instance,
)
from meshbridge_dubbo.configurators import read_configurators, read_override, service_of
from meshbridge_dubbo.definition import Variant, read_definition
from meshbridge_dubbo.interfaces import (
    ApplicationMetadata,
    Exported,
    Served,
    application_instance,
    exported,
    guessed_providers,
    providers_of,
    read_mapping,
    read_metadata,
)
from meshbridge_dubbo.overrides import Remark, Rule, Rules, apply
from meshbridge_dubbo.provider import (
    Level,
    Provider,
    asks_for,
    not_a_provider,
    read_consumer,
    read_provider,
)
from meshbridge_dubbo.url import Url, parse_url

__all__ = [
    "ApplicationInstance",
    "ApplicationMetadata",
    "Exported",
    "Framework",
    "Level",
    "MetadataService",
    "Provider",
    "Remark",
    "Rule",
    "Rules",
    "Served",
    "Url",
    "Variant",
    "application_instance",
    "apply",
    "asks_for",
    "dubbo_instance",
    "exported",
    "guessed_providers",
    "is_dubbos",
    "not_a_provider",
    "parse_url",
    "provider_named",
    "providers_of",
    "read_configurators",
    "read_consumer",
    "read_definition",
    "read_instance",
    "read_mapping",
    "read_metadata",
    "read_override",
    "read_provider",
    "service_of",
]
