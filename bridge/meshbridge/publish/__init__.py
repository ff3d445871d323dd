"""Publishing: from what a registry says to what it claims in the mesh, purely."""

from meshbridge.publish.claim import ClaimKey, Published
from meshbridge.publish.publishing import publish, selected
from meshbridge.publish.registry import Registry
from meshbridge.publish.rules import PublishRules

__all__ = ["ClaimKey", "PublishRules", "Published", "Registry", "publish", "selected"]
