"""Turns services into the resources of Envoy and gRPC: pure, deterministic, valid as a whole."""
