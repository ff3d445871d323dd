"""Kubernetes' own schemas, strict: a field that they do not know is a fault.

The package kubernetes-validate carries them, made of the OpenAPI document of each release.
"""

from typing import cast

from kubernetes_validate.utils import ValidationError, latest_version, validate

OLDEST = "1.30"
"""The oldest Kubernetes that the manifests are for."""


def versions() -> tuple[str, str]:
    """Return the oldest and the newest release that a manifest must be right for."""
    return OLDEST, latest_version()


def faults(manifest: object, version: str) -> list[str]:
    """Return what is wrong with a manifest, each with its place."""
    try:
        validate(cast("dict[str, object]", manifest), version, strict=True)
    except ValidationError as error:
        return [f"{'.'.join(map(str, error.absolute_path))}: {error.message}"]
    return []
