"""The adapter for Nacos 2 and 3: the configured namespaces and groups, by subscription."""

from meshbridge_nacos.adapter import Nacos
from meshbridge_nacos.options import Options

__all__ = ["Nacos", "Options"]
