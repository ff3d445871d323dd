"""The adapter for Eureka, Netflix' own and Spring Cloud's: by deltas, and whole now and then."""

from meshbridge_eureka.options import Options

__all__ = ["Options"]
