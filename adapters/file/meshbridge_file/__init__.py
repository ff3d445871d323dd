"""The file registry: services from a YAML file that is watched."""

from meshbridge_file.adapter import File, FileOptions

__all__ = ["File", "FileOptions"]
