"""The adapter for Eureka, where Spring Cloud's services register."""

from meshbridge_eureka.adapter import Eureka
from meshbridge_eureka.options import Options

__all__ = ["Eureka", "Options"]
