"""Reads a registry from a YAML file."""
