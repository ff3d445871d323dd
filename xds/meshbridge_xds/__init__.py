"""Serves Envoy and proxyless gRPC over xDS."""
