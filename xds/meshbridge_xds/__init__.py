"""Serves services to Envoy and to proxyless gRPC over xDS."""
