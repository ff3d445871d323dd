"""What Dubbo means, whichever registry holds it: URLs, instances, metadata and rules; pure."""

from meshbridge_dubbo.application import (
    ApplicationInstance,
    Framework,
    MetadataService,
    dubbo_instance,
    is_dubbos,
    read_instance,
)
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
    "Served",
    "Url",
    "application_instance",
    "asks_for",
    "dubbo_instance",
    "exported",
    "guessed_providers",
    "is_dubbos",
    "not_a_provider",
    "parse_url",
    "providers_of",
    "read_consumer",
    "read_instance",
    "read_mapping",
    "read_metadata",
    "read_provider",
]
